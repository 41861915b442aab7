import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import * as fc from "fast-check";
import { InputError, loadCheckpoint, loadEngine } from "../src/index.js";
import { safetensors, type StoredTensor } from "./checkpoint/write-safetensors.js";
import { llama3TokenizerModel } from "./llama3-vocabulary.js";
import { oneEngine } from "./support.js";

// A small checkpoint with one of its files damaged either loads, and then computes, or is refused in one sentence.
// `npm run test:fuzz -- --runs N` tries more of them; `ENGINES=wasm` before it says on which engine.
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 150);

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  max_position_embeddings: 64,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  num_key_value_heads: 1,
  head_dim: 4,
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  tie_word_embeddings: true,
  attention_bias: false,
  vocab_size: 258,
  eos_token_id: [257],
};

const SHAPES: Record<string, number[]> = {
  "model.embed_tokens.weight": [258, 8],
  "model.norm.weight": [8],
  "model.layers.0.input_layernorm.weight": [8],
  "model.layers.0.post_attention_layernorm.weight": [8],
  "model.layers.0.self_attn.q_proj.weight": [8, 8],
  "model.layers.0.self_attn.k_proj.weight": [4, 8],
  "model.layers.0.self_attn.v_proj.weight": [4, 8],
  "model.layers.0.self_attn.o_proj.weight": [8, 8],
  "model.layers.0.mlp.gate_proj.weight": [12, 8],
  "model.layers.0.mlp.up_proj.weight": [12, 8],
  "model.layers.0.mlp.down_proj.weight": [8, 12],
};
const SHARD = "model-00001-of-00001.safetensors";

/** What stands where it should not. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(0, -1, 1.5, 1e9, 1e9 + 1, 2 ** 31, 2 ** 53, 1e308, -1e-320),
  fc.constantFrom(
    "",
    "8",
    "../../etc/passwd",
    "/etc/passwd",
    "__proto__",
    "constructor",
    "\0",
    "a".repeat(100_000),
  ),
  fc.constantFrom<unknown>(null, true, [], {}, [[]], ["a", "b"], { type: "Sequence" }, { Regex: "(a+)+$" }),
  fc.jsonValue(),
);

/** Puts a hostile value anywhere into a JSON document, takes something away, or adds something. */
const jsonDamage = fc.array(
  fc.record({
    path: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
    value: hostile,
    remove: fc.boolean(),
  }),
  { minLength: 1, maxLength: 2 },
);

type Damage = typeof jsonDamage extends fc.Arbitrary<infer T> ? T : never;

function damageJson(json: unknown, damages: Damage): string {
  const root = { root: structuredClone(json) };
  for (const { path, value, remove } of damages) {
    let at = root as Record<string, unknown>;
    let key = "root";
    for (const step of path) {
      const next = at[key];
      if (typeof next !== "object" || next === null) break;
      const keys = Object.keys(next);
      at = next as Record<string, unknown>;
      key = keys[step % (keys.length + 1)] ?? "new";
    }
    if (remove) delete at[key];
    else {
      const own = structuredClone(value); // the same one may be drawn twice, and would then be put into itself
      Object.defineProperty(at, key, { value: own, enumerable: true, configurable: true, writable: true });
    }
  }
  return JSON.stringify(root.root) ?? "";
}

/** Changes, removes or repeats bytes anywhere. */
const byteDamage = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    remove: fc.nat(8),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc
        .constantFrom("[".repeat(5000), '{"a":', "\n\n", "IQ== 1\n", "999999999999")
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
  }),
  { minLength: 1, maxLength: 3 },
);

describe("A damaged checkpoint loads right or is refused in one sentence", function () {
  this.timeout(0);
  let directory: string;
  const tokenizer = { model: { type: "BPE", vocab: {} as Record<string, number>, merges: [] as string[] } };
  let files: Record<string, Buffer>;

  before(async () => {
    await loadEngine(oneEngine);
    directory = await mkdtemp(join(tmpdir(), "fuzz-"));
    const lines = llama3TokenizerModel().split("\n");
    const bytes = lines.slice(0, 256);
    const letters = bytes.map((line) => Buffer.from(line.split(" ")[0]!, "base64")[0]!);
    const standIn = (byte: number) => {
      const prints = (code: number) => (code > 0x20 && code < 0x7f) || (code > 0xa0 && code !== 0xad);
      const before = Array.from({ length: byte }, (_, code) => code).filter((code) => !prints(code)).length;
      return String.fromCharCode(prints(byte) ? byte : 256 + before);
    };
    letters.forEach((byte, id) => (tokenizer.model.vocab[standIn(byte)] = id));
    tokenizer.model.vocab["aa"] = 256;
    const whole = {
      ...tokenizer,
      model: { ...tokenizer.model, merges: ["a a"], unk_token: null, byte_fallback: false },
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      decoder: { type: "ByteLevel" },
      post_processor: null,
      added_tokens: [{ id: 257, content: "<|end|>", special: true }],
    };
    const tensors: StoredTensor[] = Object.entries(SHAPES).map(([name, shape], n) => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + n));
      return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
    });
    const weight_map = Object.fromEntries(Object.keys(SHAPES).map((name) => [name, SHARD]));
    files = {
      "config.json": Buffer.from(JSON.stringify(CONFIG)),
      "generation_config.json": Buffer.from('{"eos_token_id":257}'),
      "tokenizer.json": Buffer.from(JSON.stringify(whole)),
      "model.safetensors.index.json": Buffer.from(JSON.stringify({ weight_map })),
      [SHARD]: Buffer.from(safetensors(tensors)),
    };
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  });
  after(() => rm(directory, { recursive: true }));

  /** Loads the directory and computes; only an InputError of one short sentence is a way out. */
  async function loadsOrRefuses(): Promise<"loaded" | "refused"> {
    const tensors = tf.memory().numTensors;
    const started = performance.now();
    try {
      const { model, tokenizer: loaded } = await loadCheckpoint(directory);
      const ids = loaded.encode("aab");
      if (ids.length > 0) model.forward([ids]).dispose();
      loaded.decode(ids);
      model.dispose();
      return "loaded";
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      expect(error.message).to.not.include("\n");
      expect(error.message.length).to.be.below(700);
      return "refused";
    } finally {
      expect(tf.memory().numTensors, "tensors left behind").to.equal(tensors);
      expect(performance.now() - started, "milliseconds").to.be.below(20_000);
    }
  }

  async function withFile(name: string, content: string | Uint8Array): Promise<void> {
    try {
      await writeFile(join(directory, name), content);
      await loadsOrRefuses();
    } finally {
      await writeFile(join(directory, name), files[name]!);
    }
  }

  it("loads as it is", async () => {
    expect(await loadsOrRefuses()).to.equal("loaded");
  });

  for (const name of [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
  ]) {
    it(`${name}, with anything in the place of anything`, async () => {
      const json: unknown = JSON.parse(await readFile(join(directory, name), "utf8"));
      await fc.assert(
        fc.asyncProperty(jsonDamage, (damage) => withFile(name, damageJson(json, damage))),
        { numRuns: RUNS },
      );
    });
  }

  it(`${SHARD}, with anything in its header`, async () => {
    const bytes = files[SHARD]!;
    const length = Number(bytes.readBigUInt64LE());
    const header: unknown = JSON.parse(bytes.subarray(8, 8 + length).toString());
    await fc.assert(
      fc.asyncProperty(jsonDamage, async (damage) => {
        const text = Buffer.from(damageJson(header, damage));
        const prefix = Buffer.alloc(8);
        prefix.writeBigUInt64LE(BigInt(text.length));
        await withFile(SHARD, Buffer.concat([prefix, text, bytes.subarray(8 + length)]));
      }),
      { numRuns: RUNS },
    );
  });

  it("any file, with bytes changed", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(), byteDamage, async (which, damages) => {
        const names = Object.keys(files);
        const name = names[which % names.length]!;
        let bytes = files[name]!;
        for (const { at, remove, insert } of damages) {
          const position = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, position), insert, bytes.subarray(position + remove)]);
        }
        await withFile(name, bytes);
      }),
      { numRuns: 2 * RUNS },
    ));

  it("tokenizer.model, with bytes changed", async () => {
    const model = Buffer.from(llama3TokenizerModel().split("\n").slice(0, 300).join("\n"));
    const name = "tokenizer.model";
    files[name] = model;
    await fc.assert(
      fc.asyncProperty(byteDamage, async (damages) => {
        let bytes = model;
        for (const { at, remove, insert } of damages) {
          const position = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, position), insert, bytes.subarray(position + remove)]);
        }
        await withFile(name, bytes);
      }),
      { numRuns: RUNS },
    );
    await rm(join(directory, name));
    delete files[name];
  });
});
