import { execFileSync } from "node:child_process";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import { generate, InputError, loadCheckpoint, loadBackend } from "../../src/index.js";
import type { LlamaWeights } from "../../src/model/llama.js";
import { loadModel } from "../../src/checkpoint/load.js";
import { PRESETS } from "../../src/model/presets.js";
import { diskFile } from "../../src/checkpoint/directory.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import { weightBytes } from "../../src/cost/cost.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { memoryLimits } from "../../src/backend/memory-limit.js";
import { backends, expectRejection, fixture, itOnPosix, onEveryBackend, onOneBackend } from "../support.js";
import { safetensors, type StoredTensor, withHeader } from "./write-safetensors.js";

onEveryBackend("loadCheckpoint", () => {
  it("uses as much memory as the parameters, and dispose frees it", async () => {
    const before = tf.memory();
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    expect(tf.memory().numBytes - before.numBytes).to.equal(weightBytes(model.config));
    expect(tokenizer.vocabSize).to.equal(model.config.vocabSize);
    expect(tokenizer.stopIds).to.include(tokenizer.special("<|end_of_text|>"));
    model.dispose();
    expect(tf.memory()).to.include({ numBytes: before.numBytes, numTensors: before.numTensors });
  });
});

describe("loadCheckpoint (tensorflow)", () => {
  before(async function () {
    if (!backends.includes("tensorflow")) this.skip();
    await loadBackend("tensorflow");
  });

  it("keeps no weights in JavaScript's memory", async () => {
    const { tensorMap } = tensorflowBackend("the test");
    const { model } = await loadCheckpoint(fixture("fairy-tales"));
    const { embedding, layers, norm, lmHead } = (model as unknown as { weights: LlamaWeights }).weights;
    const weights = [
      embedding,
      norm,
      lmHead,
      ...layers.flatMap((layer) => Object.values(layer) as tf.Tensor[]),
    ];
    expect(weights.map(({ dataId }) => tensorMap.get(dataId)!.values)).to.deep.equal(weights.map(() => null));
    model.dispose();
  });
});

onOneBackend("loadCheckpoint rejects", () => {
  let directory: string;
  const file = (name: string) => join(directory, name);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "checkpoint-"));
    await cp(fixture("fairy-tales"), directory, { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function rejects(message: RegExp): Promise<void> {
    const before = tf.memory().numTensors;
    await expectRejection(loadCheckpoint(directory), InputError, message);
    expect(tf.memory().numTensors, "tensors left behind").to.equal(before);
  }

  async function changeConfig(change: Record<string, unknown>): Promise<void> {
    const config = JSON.parse(await readFile(file("config.json"), "utf8")) as object;
    await writeFile(file("config.json"), JSON.stringify({ ...config, ...change }));
  }

  /** Rewrites the model's file with one tensor changed, left out, or joined by another. */
  async function changeTensor(
    name: string,
    change: (tensor: StoredTensor) => StoredTensor | StoredTensor[] | undefined,
  ): Promise<void> {
    const source = await SafetensorsFile.open(diskFile(fixture("fairy-tales/model.safetensors")));
    const bytes = await readFile(fixture("fairy-tales/model.safetensors"));
    const tensors: StoredTensor[] = [];
    for (const [key, { dtype, shape, begin, end }] of source.tensors) {
      const stored = { name: key, dtype, shape, bytes: bytes.subarray(begin, end) };
      const kept = key === name ? change(stored) : stored;
      if (kept) tensors.push(...[kept].flat());
    }
    await source.close();
    await writeFile(file("model.safetensors"), safetensors(tensors));
  }

  const UP = "model.layers.3.mlp.up_proj.weight";

  it("a missing tensor, by name", async () => {
    await changeTensor(UP, () => undefined);
    await rejects(/model\.safetensors must hold tensor "model\.layers\.3\.mlp\.up_proj\.weight"/);
  });

  it("a tensor of the wrong shape, with both shapes", async () => {
    await changeTensor(UP, ({ shape: [rows, columns], ...rest }) => ({ ...rest, shape: [columns!, rows!] }));
    await rejects(
      /the shape of tensor model\.layers\.3\.mlp\.up_proj\.weight must be \[\d+, \d+\] by config\.json, got \[\d+, \d+\]/,
    );
  });

  it("a tensor that the model does not use: a bias, one more layer than config.json says", async () => {
    const bias = {
      name: "model.layers.0.self_attn.q_proj.bias",
      dtype: "F32",
      shape: [1],
      bytes: Buffer.alloc(4),
    };
    await changeTensor(UP, (tensor) => [tensor, bias]);
    await rejects(
      /must hold the \d+ tensors of the model .* and no others, got "model\.layers\.0\.self_attn\.q_proj\.bias"/,
    );
    await cp(fixture("fairy-tales/model.safetensors"), file("model.safetensors"));
    const { num_hidden_layers: layers } = JSON.parse(await readFile(file("config.json"), "utf8")) as {
      num_hidden_layers: number;
    };
    await changeConfig({ num_hidden_layers: layers - 1 });
    await rejects(
      new RegExp(`must hold the \\d+ tensors of .* and no others, got "model\\.layers\\.${layers - 1}\\.`),
    );
  });

  it("an LM head that differs from the embedding it is tied to; but not an equal one, nor buffers that transformers ignores", async () => {
    const EMBEDDING = "model.embed_tokens.weight";
    const head = (tensor: StoredTensor, bytes: Uint8Array) => [
      tensor,
      { ...tensor, name: "lm_head.weight", bytes },
    ];
    const changed = (bytes: Uint8Array) => Uint8Array.from(bytes, (byte, i) => byte ^ (i === 5 ? 1 : 0));
    await changeTensor(EMBEDDING, (tensor) => head(tensor, changed(tensor.bytes)));
    await rejects(
      /lm_head\.weight must equal model\.embed_tokens\.weight, as config\.json sets tie_word_embeddings, got .* at index \d/,
    );
    const attention = "model.layers.0.self_attn";
    const names = ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "masked_bias", "bias"];
    const buffers = names.map((name) => {
      const dtype = name === "bias" ? "BOOL" : "F32";
      return {
        name: `${attention}.${name}`,
        dtype,
        shape: [4],
        bytes: Buffer.alloc(name === "bias" ? 4 : 16),
      };
    });
    await changeTensor(EMBEDDING, (tensor) => [...head(tensor, tensor.bytes), ...buffers]);
    (await loadCheckpoint(directory)).model.dispose();
  });

  it("a dtype that is not read", async () => {
    await changeTensor(UP, (tensor) => ({ ...tensor, dtype: "I16" }));
    await rejects(/tensor ".*up_proj\.weight": dtype must be F32, F16 or BF16, got "I16"/);
  });

  it("another architecture", async () => {
    await changeConfig({ model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] });
    await rejects(/config\.json: model_type must be "llama" or "mistral", got "qwen3"/);
  });

  it("an unknown rope type", async () => {
    const rope = { rope_type: "yarn", rope_theta: 10000, factor: 4 };
    await changeConfig({ rope_parameters: rope });
    await rejects(/rope_type must be "default", "linear" or "llama3", got "yarn"/);
  });

  it("a stop id outside of the vocabulary", async () => {
    await writeFile(file("generation_config.json"), '{"eos_token_id":100000000}');
    await rejects(
      /generation_config\.json: eos_token_id must be a token id from 0 to 2047 or a list of them, got 100000000/,
    );
  });

  it("a tokenizer.model with another size than the embedding, if there is no tokenizer.json", async () => {
    const model = await readFile(file("tokenizer.model"), "utf8");
    await writeFile(file("tokenizer.model"), model.trimEnd().split("\n").slice(0, -1).join("\n"));
    const { model: loaded, tokenizer } = await loadCheckpoint(directory);
    expect(tokenizer.vocabSize).to.equal(2048); // of tokenizer.json
    loaded.dispose();
    await rm(file("tokenizer.json"));
    await rejects(/tokenizer\.model must have 2048 tokens, as vocab_size in config\.json says, got 2047/);
  });

  it("a text with a token that has no embedding, but not the token: an unused <pad>", async () => {
    await rm(file("tokenizer.model"));
    const json = JSON.parse(await readFile(file("tokenizer.json"), "utf8"));
    const added = ["<pad>", "<extra>"].map((content, n) => ({ id: 2048 + n, content, special: n === 0 }));
    await writeFile(
      file("tokenizer.json"),
      JSON.stringify({ ...json, added_tokens: [...json.added_tokens, ...added] }),
    );
    const { model, tokenizer } = await loadCheckpoint(directory);
    const complete = (prompt: string) => generate(model, tokenizer, [prompt], { maxGenLen: 2 });
    const [completion] = await complete("a <pad>");
    expect(completion!.tokens).to.have.length(2);
    await expectRejection(complete("a <extra>"), InputError, /token ids must be 0 to 2047, got 2049/);
    model.dispose();
  });

  it("a tokenizer.json with more tokens than the embedding, before looking at each", async () => {
    await rm(file("tokenizer.model"));
    // If it looked at each token, the first error would be the id of "a0".
    await writeFile(file("tokenizer.json"), JSON.stringify({ model: { vocab: manyTokens(2050) } }));
    await rejects(
      /tokenizer\.json must have at most 2048 tokens, as vocab_size in config\.json says, got 2050/,
    );
    await changeConfig({ vocab_size: 1_000_000 });
    await writeFile(file("tokenizer.json"), JSON.stringify({ model: { vocab: manyTokens(524_289) } }));
    await rejects(/tokenizer\.json must have at most 524288 tokens, got 524289/);
  });

  const manyTokens = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, -1]));

  it("a file that would need far more memory or stack than its size", async () => {
    const nested = (levels: number) => `{"model":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    await rm(file("tokenizer.model"));
    await writeFile(file("tokenizer.json"), nested(200_000));
    await rejects(/tokenizer\.json must nest at most 128 levels deep/);
    await writeFile(file("tokenizer.json"), `[${"[],".repeat(5_000_000)}[]]`);
    await rejects(/tokenizer\.json must hold at most 2500000 values/);
    await writeFile(file("generation_config.json"), `{"x":[${"0,".repeat(400_000)}0]}`);
    await rejects(/generation_config\.json must hold at most 400000 values/);
    await rm(file("generation_config.json"));
    await writeFile(file("config.json"), Buffer.alloc(33 * 2 ** 20, " "));
    await rejects(/config\.json must have at most 33554432 bytes, got 34603008/);
  });

  it("a JSON file that is not UTF-8, which would load with U+FFFD in place of a character", async () => {
    await rm(file("tokenizer.model"));
    for (const name of ["tokenizer.json", "generation_config.json", "config.json"]) {
      const bytes = Buffer.from(
        `{"damaged":"?",${(await readFile(file(name), "utf8")).trimStart().slice(1)}`,
      );
      bytes[bytes.indexOf("?")] = 0xff;
      await writeFile(file(name), bytes);
      await rejects(new RegExp(`${name.replace(".", "\\.")} must be valid JSON, but it is not UTF-8$`));
      await cp(fixture(`fairy-tales/${name}`), file(name));
    }
  });

  itOnPosix("a pipe, without waiting for its content", async () => {
    await rm(file("config.json"));
    execFileSync("mkfifo", [file("config.json")]);
    await rejects(/config\.json must be a file, but is a directory or a device/);
  });

  it("a generation_config.json that is not JSON, though it may be missing", async () => {
    await writeFile(file("generation_config.json"), "[");
    await rejects(/generation_config\.json must be valid JSON: /);
    await rm(file("generation_config.json"));
    const { model } = await loadCheckpoint(directory);
    model.dispose();
  });
});

onOneBackend("loadCheckpoint with several files", () => {
  let directory: string;
  const index = "model.safetensors.index.json";
  const shard = (n: number) => `model-0000${n}-of-00003.safetensors`;
  const config = async () =>
    parseConfig(JSON.parse(await readFile(join(directory, "config.json"), "utf8")), "");
  const load = async () => (await loadModel(await config(), directory)).dispose();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "sharded-"));
    await cp(fixture("tiny/sharded"), directory, { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function rejects(message: RegExp): Promise<void> {
    const before = tf.memory().numTensors;
    await expectRejection(load(), InputError, message);
    expect(tf.memory().numTensors, "tensors left behind").to.equal(before);
  }

  async function changeIndex(change: (map: Record<string, unknown>) => unknown): Promise<void> {
    const { weight_map: map } = JSON.parse(await readFile(join(directory, index), "utf8"));
    await writeFile(join(directory, index), JSON.stringify({ weight_map: change(map) }));
  }

  it("rejects a missing file, by name", async () => {
    await rm(join(directory, shard(2)));
    await rejects(/model-00002-of-00003\.safetensors is missing/);
  });

  it("rejects a tensor that the index lacks, or that is not where it says", async () => {
    await changeIndex((map) => ({ ...map, "model.norm.weight": undefined })); // left out of the JSON
    await rejects(/index\.json must hold tensor "model\.norm\.weight", which is not among the 20 there/);
    await changeIndex((map) => Object.fromEntries(Object.keys(map).map((name) => [name, shard(1)])));
    await rejects(/model-00001-of-00003\.safetensors must hold tensor "/);
  });

  it("rejects an index without a weight_map", async () => {
    await writeFile(join(directory, index), "[]");
    await rejects(/index\.json: weight_map must be an object \{tensor: file\}, but it is missing/);
  });

  for (const name of [
    "../model.safetensors",
    "/etc/passwd",
    "a/b.safetensors",
    "..",
    "a\\b.safetensors",
    "x.bin",
    3,
  ]) {
    it(`rejects ${JSON.stringify(name)} as the name of a file`, async () => {
      await changeIndex((map) => ({ ...map, "model.norm.weight": name }));
      await rejects(
        /the file of tensor "model\.norm\.weight" must be the name of a safetensors file beside the index, got /,
      );
    });
  }

  it("rejects a name longer than file names can be, and shows its beginning", async () => {
    const name = (length: number) => `${"a".repeat(length - ".safetensors".length)}.safetensors`;
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(5000) }));
    await rejects(/^.{0,300} must be the name of a safetensors file beside the index, got "a{80}…"$/);
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(256) }));
    await rejects(/ must be the name of .*, got "a{80}…"$/);
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(255) }));
    await rejects(/ must be a Hugging Face model directory .*, but a+\.safetensors is missing$/);
  });

  it("rejects an index of many files that are not in the directory, at the first of them", async () => {
    const many = Array.from({ length: 100_000 }, (_, n) => [`x${n}`, `${n}.safetensors`]);
    await changeIndex((map) => ({ ...map, ...Object.fromEntries(many) }));
    await rejects(/ must be a Hugging Face model directory .*0\.safetensors is missing$/);
  });

  it("rejects files whose headers are too large together", async () => {
    for (const n of [1, 2, 3]) {
      const bytes = await readFile(join(directory, shard(n)));
      const length = Number(bytes.readBigUInt64LE());
      const header = Buffer.concat([bytes.subarray(8, 8 + length), Buffer.alloc(40_000_000, " ")]);
      await writeFile(join(directory, shard(n)), withHeader(header, bytes.subarray(8 + length)));
    }
    await rejects(/the headers of its files must have at most 100000000 bytes together, got 12000\d+/);
  });

  itOnPosix("rejects a link out of the directory, and follows links of Hugging Face's cache", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "elsewhere-"));
    await rename(join(directory, shard(3)), join(elsewhere, "secret"));
    await symlink(join(elsewhere, "secret"), join(directory, shard(3)));
    await rejects(
      /model-00003-of-00003\.safetensors must be inside the model directory, but links to .*secret/,
    );

    const snapshot = join(elsewhere, "snapshots", "abc");
    await mkdir(join(elsewhere, "blobs"));
    await mkdir(join(elsewhere, "snapshots"));
    await rename(join(elsewhere, "secret"), join(elsewhere, "blobs", "123"));
    await rename(directory, snapshot);
    await rm(join(snapshot, shard(3)));
    await symlink("../../blobs/123", join(snapshot, shard(3)));
    directory = snapshot;
    await load();
    directory = elsewhere;
  });

  it("rejects NaN, and names its tensor", async () => {
    const file = join(directory, shard(3)); // float32
    const bytes = await readFile(file);
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    await writeFile(file, bytes);
    await rejects(/the \d+ numbers of tensor \S+ must be finite, got NaN at index \d+/);
  });

  it("stops when its signal is aborted, and keeps no tensor", async () => {
    const before = tf.memory().numTensors;
    const stop = new AbortController();
    stop.abort(new InputError("stopped"));
    const loading = loadModel(await config(), directory, { signal: stop.signal });
    await expectRejection(loading, InputError, /^stopped$/);
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("changes nothing in the directory", async () => {
    const seen = async () => {
      const names = await readdir(directory);
      return Promise.all(names.map(async (name) => [name, (await stat(join(directory, name))).mtimeMs]));
    };
    const before = await seen();
    await load();
    expect(await seen()).to.deep.equal(before);
  });
});

describe("loadCheckpoint rejects other formats:", () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "formats-"))));
  afterEach(() => rm(directory, { recursive: true }));
  const rejects = (message: RegExp) => expectRejection(loadCheckpoint(directory), InputError, message);

  it("Meta's, with the command that downloads the right one", async () => {
    await writeFile(join(directory, "params.json"), "{}");
    await writeFile(join(directory, "consolidated.00.pth"), "");
    const message = /: "\S+" is in Meta's own format; run npm run download -- meta-llama\/Llama-3\.2-1B$/;
    await rejects(message);
    await mkdir(join(directory, "original"));
    await rename(join(directory, "params.json"), join(directory, "original", "params.json"));
    await rejects(message);
  });

  for (const name of ["consolidated.00.pth", "original/consolidated.00.pth"]) {
    it(`Meta's, recognized by ${name} alone`, async () => {
      await mkdir(join(directory, "original"));
      await writeFile(join(directory, name), "");
      await rejects(/is in Meta's own format; run npm run download -- \S+$/);
    });
  }

  it("GGUF, with and without config.json", async () => {
    await writeFile(join(directory, "model-Q4_K_M.gguf"), "");
    const message = / is missing: "model-Q4_K_M\.gguf" is in GGUF, which is not supported$/;
    await rejects(message);
    await cp(fixture("fairy-tales/config.json"), join(directory, "config.json"));
    await cp(fixture("fairy-tales/tokenizer.json"), join(directory, "tokenizer.json"));
    await rejects(message);
  });

  it("a file", async () => {
    const path = fixture("fairy-tales/model.safetensors");
    await expectRejection(
      loadCheckpoint(path),
      InputError,
      /safetensors must be a Hugging Face model directory .*, but cannot be read: ENOTDIR/,
    );
  });

  it("an empty name, which would be the working directory", async () => {
    const before = process.cwd();
    process.chdir(fixture("fairy-tales"));
    try {
      await expectRejection(
        loadCheckpoint(""),
        InputError,
        /^the model directory must be a directory's name, got ""$/,
      );
    } finally {
      process.chdir(before);
    }
  });

  it("a repository's name, with the command that downloads it", async () => {
    await expectRejection(
      loadCheckpoint("HuggingFaceTB/SmolLM2-135M"),
      InputError,
      /^HuggingFaceTB\/SmolLM2-135M must be .*; npm run download -- HuggingFaceTB\/SmolLM2-135M downloads one$/,
    );
    for (const path of ["no/such/model", "no-such-model"]) {
      await expectRejection(
        loadCheckpoint(path),
        InputError,
        /must be .*, but does not exist; npm run download -- OWNER\/NAME downloads one$/,
      );
    }
    await rejects(/ must be a Hugging Face model directory [^:]*, but config\.json is missing$/);
  });

  it("PyTorch's, which can run code", async () => {
    await cp(fixture("fairy-tales/config.json"), join(directory, "config.json"));
    await cp(fixture("fairy-tales/tokenizer.json"), join(directory, "tokenizer.json"));
    await writeFile(join(directory, "pytorch_model.bin"), "");
    await rejects(/model\.safetensors is missing: "pytorch_model\.bin" is in a format that can run code/);
  });

  it("a SentencePiece tokenizer.model without tokenizer.json beside it", async () => {
    await cp(fixture("fairy-tales"), directory, { recursive: true });
    await writeFile(
      join(directory, "tokenizer.model"),
      Buffer.from([0x0a, 0x0e, 0x0a, 0x05, 0x3c, 0x75, 0x6e, 0x6b]),
    );
    const { model, tokenizer } = await loadCheckpoint(directory);
    expect(tokenizer.bosId).to.equal(1792);
    model.dispose();
    await rm(join(directory, "tokenizer.json"));
    await rejects(
      /tokenizer\.model must be Llama 3's or have tokenizer\.json beside it, got SentencePiece's alone/,
    );
  });

  it("but not Meta's tokenizer.model with empty lines before it, which looks like SentencePiece's", async () => {
    await cp(fixture("fairy-tales"), directory, { recursive: true });
    const model = await readFile(join(directory, "tokenizer.model"), "utf8");
    await rm(join(directory, "tokenizer.json"));
    await writeFile(join(directory, "tokenizer.model"), `\n\n${model}`);
    (await loadCheckpoint(directory)).model.dispose();
  });

  it("a directory without a tokenizer", async () => {
    await cp(fixture("tiny/mistral"), directory, { recursive: true });
    await rejects(/must hold tokenizer\.model or tokenizer\.json, got neither$/);
  });
});

describe("WebAssembly's heap", () => {
  before(() => loadBackend("wasm"));

  it("rejects a model that does not fit, before the file is opened", async () => {
    const message =
      /must fit in 3\.5 GiB on backend wasm .*, got 4\.6 GiB: a model of at most 0\.94 billion parameters would fit; backend tensorflow has no such limit$/;
    await expectRejection(loadModel(PRESETS["llama-3.2-1b"]!, "no-such-file"), InputError, message);
  });

  it("rejects a batch that does not fit, before anything is computed", async () => {
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    const before = tf.memory().numTensors;
    const prompts = Array.from({ length: 400 }, () => "a king ".repeat(450));
    const message =
      /a batch of 400 with \d+ prompt tokens and 64 to generate must fit in \d\.\d GiB on backend wasm.*: a batch of \d+ would fit/;
    await expectRejection(generate(model, tokenizer, prompts), InputError, message);
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });

  it("rejects a tensor that does not fit", () => {
    const backend = tf.backend() as unknown as { makeOutput(shape: number[], dtype: string): tf.TensorInfo };
    const made: tf.TensorInfo[] = [];
    const GIB = 2 ** 30;
    try {
      expect(() => {
        for (let i = 0; i < 5; i++) made.push(backend.makeOutput([GIB / 4], "float32")); // never touched: takes nothing
      }).to.throw(InputError, "WebAssembly's heap is full");
    } finally {
      for (const { dataId } of made) tf.backend().disposeData(dataId);
    }
  });

  it("multiplies by a matrix where no copy of it fits", () => {
    const backend = tf.backend() as unknown as { makeOutput(shape: number[], dtype: string): tf.TensorInfo };
    const [K, N] = [1024, 512];
    const weights = tf.ones([K, N]); // 2 MiB
    const spaceForTheResult = tf.ones([2 ** 16]); // and for the other matrix
    const made: tf.TensorInfo[] = [];
    for (let bytes = 2 ** 30; bytes >= 2 ** 18;) {
      try {
        made.push(backend.makeOutput([bytes / 4], "float32"));
      } catch {
        bytes /= 2;
      }
    }
    try {
      spaceForTheResult.dispose();
      for (const rows of [1, 8]) {
        const product = tf.tidy(() => tf.matMul(tf.ones([rows, K]), weights).dataSync());
        expect(product.every((one) => one === K)).to.equal(true);
      }
    } finally {
      for (const { dataId } of made) tf.backend().disposeData(dataId);
      weights.dispose();
    }
  });
});

describe("The machine's memory", () => {
  before(() => loadBackend("cpu"));
  after(() => loadBackend("cpu"));

  it("limits the model, with an error that says what would fit, before the file is opened", async () => {
    memoryLimits.set("cpu", { bytes: 2 ** 30, source: "that the machine has free" });
    const message =
      /the model of no-such-file must fit in 1\.0 GiB on backend cpu that the machine has free, got 4\.6 GiB: a model of at most 0\.27 billion parameters would fit$/;
    await expectRejection(loadModel(PRESETS["llama-3.2-1b"]!, "no-such-file"), InputError, message);
  });

  it("must hold bfloat16 weights of graph mode beside the float32 ones that they are rounded from", async () => {
    const half = PRESETS["smollm2-135m"]!; // 538 MB
    memoryLimits.set("cpu", { bytes: 7e8, source: "that the machine has free" });
    await expectRejection(
      loadModel(half, "no-such-file"),
      InputError,
      /no-such-file must be .* but does not exist/,
    );
    const message =
      /the model of no-such-file in graph mode must fit in .*, got 0\.8 GiB: .* at most 0\.1\d billion parameters would fit$/;
    await expectRejection(loadModel(half, "no-such-file", { weightCopies: 1.5 }), InputError, message);
  });

  it("is determined when a backend is loaded", async () => {
    await loadBackend("cpu");
    const huge = { ...PRESETS["llama-3.2-1b"]!, nLayers: 1_000_000_000 };
    await expectRejection(
      loadModel(huge, "no-such-file"),
      InputError,
      /must fit in \d+\.\d GiB on backend \w+ \(90% of the/,
    );
  });
});
