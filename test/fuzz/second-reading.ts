import { isDeepStrictEqual } from "node:util";
import { expect } from "chai";
import type { Llama } from "../../src/model/llama.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { type Files, SHARD, smallCheckpoint } from "./small-checkpoint.js";

// Reads a checkpoint's files a second time, in the simplest way and without validation, and compares what was loaded.

type Json = Record<string, unknown>;
const parse = (file: Buffer): Json => JSON.parse(file.toString().replace(/^\uFEFF/, "")) as Json;

/** transformers' defaults for missing fields of config.json. */
const DEFAULTS: Json = { max_position_embeddings: 2048, rms_norm_eps: 1e-6 };

/** Fails unless the loaded weights are those of the file, and the configuration that of config.json. */
export async function expectModel(model: Llama, files: Files): Promise<void> {
  const config = parse(files["config.json"]!);
  for (const [ours, theirs] of [
    ["hiddenSize", "hidden_size"],
    ["nLayers", "num_hidden_layers"],
    ["nHeads", "num_attention_heads"],
    ["intermediateSize", "intermediate_size"],
    ["vocabSize", "vocab_size"],
    ["maxSeqLen", "max_position_embeddings"],
    ["normEps", "rms_norm_eps"],
  ] as const)
    expect(model.config[ours], theirs).to.equal(config[theirs] ?? DEFAULTS[theirs]);

  const file = files[SHARD]!;
  const dataBegin = 8 + file.readUInt32LE();
  const header = JSON.parse(file.subarray(8, dataBegin).toString()) as Record<
    string,
    { shape: [number, number]; data_offsets: [number, number] }
  >;
  const { embedding, layers, norm, lmHead } = model["weights"];
  const [layer] = layers as [(typeof layers)[0]];
  expect(lmHead).to.equal(embedding);
  for (const [name, tensor, transposed] of [
    ["model.embed_tokens", embedding, false],
    ["model.norm", norm, false],
    ["model.layers.0.input_layernorm", layer.attentionNorm, false],
    ["model.layers.0.post_attention_layernorm", layer.feedForwardNorm, false],
    ["model.layers.0.self_attn.q_proj", layer.wq, true],
    ["model.layers.0.self_attn.k_proj", layer.wk, true],
    ["model.layers.0.self_attn.v_proj", layer.wv, true],
    ["model.layers.0.self_attn.o_proj", layer.wo, true],
    ["model.layers.0.mlp.gate_proj", layer.gate, true],
    ["model.layers.0.mlp.up_proj", layer.up, true],
    ["model.layers.0.mlp.down_proj", layer.down, true],
  ] as const) {
    const { shape, data_offsets } = header[`${name}.weight`]!;
    const stored = file.subarray(dataBegin + data_offsets[0], dataBegin + data_offsets[1]);
    const [rows, columns] = shape;
    const loaded = await tensor.data();
    expect(loaded.length, name).to.equal(stored.length / 4);
    const differs = loaded.findIndex((value, i) => {
      const at = transposed ? (i % rows) * columns + Math.floor(i / rows) : i;
      return !Object.is(value, stored.readFloatLE(4 * at));
    });
    expect(differs, `first number of ${name} that differs from the file`).to.equal(-1);
  }
}

/** Fails unless the loaded tokenizer has the stop tokens, tokens and ids of the files. */
export function expectTokenizer(tokenizer: Tokenizer, files: Files): void {
  const eos = [parse(files["generation_config.json"]!)["eos_token_id"] ?? []].flat();
  const stopIds = new Set(eos.filter((id) => Number(id) >= 0));
  const model = files["tokenizer.model"];
  if (!model || stopIds.size > 0) expect(tokenizer.stopIds).to.deep.equal(stopIds); // else Meta's own

  if (model) {
    const lines = model.toString().split(/\r?\n/).filter(Boolean);
    const ranks = new Map(
      lines.map((line) => {
        const [token, rank] = line.split(" ");
        return [atob(token!), Number(rank)];
      }),
    );
    expect(ranks.size, "tokens that differ").to.equal(lines.length);
    expect([...ranks.values()].toSorted((a, b) => a - b)).to.deep.equal([...lines.keys()]);
    for (const [token, rank] of ranks)
      expect(Buffer.from(tokenizer.bytes(rank)).toString("latin1")).to.equal(token);
    const ids = merged((left, right) => ranks.get(left + right)).map((token) => ranks.get(token));
    expect(tokenizer.encode(TEXT)).to.deep.equal([ranks.size, ...ids]);
    return;
  }
  const { vocab, merges, ...unchanged } = parts(files["tokenizer.json"]!);
  if (!isDeepStrictEqual(unchanged, undamaged)) return; // another kind of tokenizer, which has tests of its own
  const pairs = merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
  const rankOf = (left: string, right: string) => pairs.lastIndexOf(`${left} ${right}`);
  const ids = merged((left, right) => (rankOf(left, right) < 0 ? undefined : rankOf(left, right)));
  expect(tokenizer.encode(TEXT)).to.deep.equal(ids.map((token) => vocab[token]));
  const unnamed = Number(parse(files["config.json"]!)["vocab_size"]) - 1; // has an embedding, and no token
  expect(tokenizer.decode([...tokenizer.encode(TEXT), unnamed])).to.equal(TEXT);
}

function parts(file: Buffer) {
  const { model, ...others } = parse(file);
  const { vocab, merges, ...rest } = model as Json;
  return { vocab: vocab as Json, merges: merges as (string | string[])[], rest, others };
}

const { vocab: _vocab, merges: _merges, ...undamaged } = parts(smallCheckpoint()["tokenizer.json"]!);

/** A word, which is one pre-token. */
const TEXT = "aaabaab";

/** The word's tokens: always the two neighbours with the lowest rank are merged, the leftmost on a tie. */
function merged(rankOf: (left: string, right: string) => number | undefined): string[] {
  const tokens = [...TEXT];
  for (;;) {
    const ranks = tokens.slice(1).map((right, i) => rankOf(tokens[i]!, right) ?? Infinity);
    const lowest = Math.min(...ranks);
    if (lowest === Infinity) return tokens;
    tokens.splice(ranks.indexOf(lowest), 2, tokens.slice(ranks.indexOf(lowest)).slice(0, 2).join(""));
  }
}
