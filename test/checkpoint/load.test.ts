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
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import { weightBytes } from "../../src/cost/cost.js";
import { tensorflowBackend } from "../../src/backend/tensorflow-backend.js";
import { setMemoryLimit } from "../../src/backend/memory-limit.js";
import { backends, expectRejection, fixture, onEveryBackend, onOneBackend } from "../support.js";
import { safetensors, type StoredTensor, withHeader } from "./write-safetensors.js";

onEveryBackend("loadCheckpoint", () => {
  it("takes as much memory as the parameters, and dispose gives it back", async () => {
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

  it("leaves no weight in JavaScript's memory, where the first step would double it", async () => {
    const { tensorMap } = tensorflowBackend("the test");
    const { model } = await loadCheckpoint(fixture("fairy-tales"));
    const { embedding, layers, norm, output } = (model as unknown as { weights: LlamaWeights }).weights;
    const weights = [
      embedding,
      norm,
      output,
      ...layers.flatMap((layer) => Object.values(layer) as tf.Tensor[]),
    ];
    expect(weights.map(({ dataId }) => tensorMap.get(dataId)!.values)).to.deep.equal(weights.map(() => null));
    model.dispose();
  });
});

onOneBackend("loadCheckpoint refuses", () => {
  let directory: string;
  const file = (name: string) => join(directory, name);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "checkpoint-"));
    await cp(fixture("fairy-tales"), directory, { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function refuses(message: RegExp): Promise<void> {
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
    const source = await SafetensorsFile.open(fixture("fairy-tales/model.safetensors"));
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
    await refuses(/model\.safetensors: no tensor is called "model\.layers\.3\.mlp\.up_proj\.weight"/);
  });

  it("a tensor of the wrong shape, with both shapes", async () => {
    await changeTensor(UP, ({ shape: [rows, columns], ...rest }) => ({ ...rest, shape: [columns!, rows!] }));
    await refuses(
      /tensor model\.layers\.3\.mlp\.up_proj\.weight .* has the shape \[\d+,\d+\], config.json asks for \[\d+,\d+\]/,
    );
  });

  it("a tensor that the model has no place for: a bias, a layer more than config.json says", async () => {
    const bias = {
      name: "model.layers.0.self_attn.q_proj.bias",
      dtype: "F32",
      shape: [1],
      bytes: Buffer.alloc(4),
    };
    await changeTensor(UP, (tensor) => [tensor, bias]);
    await refuses(
      /has a tensor "model\.layers\.0\.self_attn\.q_proj\.bias", which the model that config\.json/,
    );
    await cp(fixture("fairy-tales/model.safetensors"), file("model.safetensors"));
    const { num_hidden_layers: layers } = JSON.parse(await readFile(file("config.json"), "utf8")) as { num_hidden_layers: number }; // prettier-ignore
    await changeConfig({ num_hidden_layers: layers - 1 });
    await refuses(new RegExp(`has a tensor "model\\.layers\\.${layers - 1}\\..*; expected its \\d+ tensors`));
  });

  it("a head that is not the embedding it is tied to; one that is loads, and so do old checkpoints' inv_freq", async () => {
    const EMBEDDING = "model.embed_tokens.weight";
    const head = (tensor: StoredTensor, bytes: Uint8Array) => [tensor, { ...tensor, name: "lm_head.weight", bytes }]; // prettier-ignore
    const changed = (bytes: Uint8Array) => Uint8Array.from(bytes, (byte, i) => byte ^ (i === 5 ? 1 : 0));
    await changeTensor(EMBEDDING, (tensor) => head(tensor, changed(tensor.bytes)));
    await refuses(
      /ties the word embeddings, but lm_head\.weight in .* number \d is .*, expected .*, or tie_word/,
    );
    const frequencies = { name: "model.layers.0.self_attn.rotary_emb.inv_freq", dtype: "F32", shape: [1], bytes: Buffer.alloc(4) }; // prettier-ignore
    await changeTensor(EMBEDDING, (tensor) => [...head(tensor, tensor.bytes), frequencies]);
    (await loadCheckpoint(directory)).model.dispose();
  });

  it("a dtype that it does not read", async () => {
    await changeTensor(UP, (tensor) => ({ ...tensor, dtype: "I16" }));
    await refuses(/up_proj\.weight" holds I16, expected F32, F16 or BF16/);
  });

  it("another architecture", async () => {
    await changeConfig({ model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] });
    await refuses(/config\.json: model_type is "qwen3", expected "llama" or "mistral"/);
  });

  it("an unknown rope type", async () => {
    const rope = { rope_type: "yarn", rope_theta: 10000, factor: 4 };
    await changeConfig({ rope_parameters: rope });
    await refuses(/rope_type is "yarn", expected "default", "linear" or "llama3"/);
  });

  it("a stop id beyond the vocabulary, which would never come", async () => {
    await changeConfig({ eos_token_id: 100_000_000 });
    await refuses(/config\.json: eos_token_id holds 100000000, expected a token id from 0 to 2047 or a list/);
  });

  it("a tokenizer whose size is not the embedding's", async () => {
    const model = await readFile(file("tokenizer.model"), "utf8");
    await writeFile(file("tokenizer.model"), model.trimEnd().split("\n").slice(0, -1).join("\n"));
    await refuses(/tokenizer\.model has \d+ tokens, .* has \d+; expected the same number/);
  });

  it("a tokenizer.json with more tokens than the model has embeddings, before it is walked through", async () => {
    await rm(file("tokenizer.model"));
    // Were it walked through, the first error would be the id of "a".
    await writeFile(file("tokenizer.json"), JSON.stringify({ model: { vocab: manyTokens(2050) } }));
    await refuses(/tokenizer\.json has 2050 tokens, .* in config\.json has 2048; expected as many or fewer/);
    const model = { type: "BPE", vocab: { a: 0 }, merges: [], unk_token: "a" };
    const added_tokens = Array.from({ length: 2048 }, (_, n) => ({ id: n + 1, content: `<${n}>` }));
    await writeFile(file("tokenizer.json"), JSON.stringify({ model, added_tokens }));
    await refuses(/tokenizer\.json has 2049 tokens, .* in config\.json has 2048; expected as many or fewer/);
    await changeConfig({ vocab_size: 1_000_000 });
    await writeFile(file("tokenizer.json"), JSON.stringify({ model: { vocab: manyTokens(524_289) } }));
    await refuses(/tokenizer\.json has 524289 tokens, expected at most 524288/);
  });

  const manyTokens = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, -1]));

  it("a file that would take far more memory or stack than its size", async () => {
    const nested = (levels: number) => `{"model":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    await rm(file("tokenizer.model"));
    await writeFile(file("tokenizer.json"), nested(200_000));
    await refuses(/tokenizer\.json nests more than 128 levels deep, expected less/);
    await writeFile(file("tokenizer.json"), `[${"[],".repeat(5_000_000)}[]]`);
    await refuses(/tokenizer\.json holds more than 2500000 values, expected less/);
    await writeFile(file("generation_config.json"), `{"x":[${"0,".repeat(400_000)}0]}`);
    await refuses(/generation_config\.json holds more than 400000 values, expected less/);
    await rm(file("generation_config.json"));
    await writeFile(file("config.json"), Buffer.alloc(33 * 2 ** 20, " "));
    await refuses(/config\.json has 34603008 bytes, expected at most 33554432 of a text file/);
  });

  it("a JSON file that is not UTF-8, which would load with U+FFFD in the place of a letter", async () => {
    await rm(file("tokenizer.model"));
    for (const name of ["tokenizer.json", "generation_config.json", "config.json"]) {
      const bytes = Buffer.from(
        `{"damaged":"?",${(await readFile(file(name), "utf8")).trimStart().slice(1)}`,
      );
      bytes[bytes.indexOf("?")] = 0xff;
      await writeFile(file(name), bytes);
      await refuses(new RegExp(`${name.replace(".", "\\.")} is not UTF-8, expected JSON$`));
      await cp(fixture(`fairy-tales/${name}`), file(name));
    }
  });

  it("a pipe, without waiting for what may come out of it", async function () {
    if (process.platform === "win32") this.skip();
    await rm(file("config.json"));
    execFileSync("mkfifo", [file("config.json")]);
    await refuses(/config\.json is a directory or a device, expected a text file/);
  });

  it("a generation_config.json that is not JSON, though it may be missing", async () => {
    await writeFile(file("generation_config.json"), "[");
    await refuses(/generation_config\.json is not valid JSON/);
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
  const load = async () => (await loadModel(await config(), join(directory, index))).dispose();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "sharded-"));
    await cp(fixture("tiny/sharded"), directory, { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function refuses(message: RegExp): Promise<void> {
    const before = tf.memory().numTensors;
    await expectRejection(load(), InputError, message);
    expect(tf.memory().numTensors, "tensors left behind").to.equal(before);
  }

  async function changeIndex(change: (map: Record<string, unknown>) => unknown): Promise<void> {
    const { weight_map: map } = JSON.parse(await readFile(join(directory, index), "utf8"));
    await writeFile(join(directory, index), JSON.stringify({ weight_map: change(map) }));
  }

  it("refuses a missing file, by name", async () => {
    await rm(join(directory, shard(2)));
    await refuses(/model-00002-of-00003\.safetensors is missing/);
  });

  it("refuses a tensor that the index lacks, or that is not where it says", async () => {
    await changeIndex((map) => ({ ...map, "model.norm.weight": undefined })); // left out of the JSON
    await refuses(/index\.json: no tensor is called "model\.norm\.weight" among the 20 there/);
    await changeIndex((map) => Object.fromEntries(Object.keys(map).map((name) => [name, shard(1)])));
    await refuses(/model-00001-of-00003\.safetensors: no tensor is called/);
  });

  it("refuses an index that is none", async () => {
    await writeFile(join(directory, index), "[]");
    await refuses(/index\.json has no weight_map/);
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
    it(`refuses ${JSON.stringify(name)} as the name of a file`, async () => {
      await changeIndex((map) => ({ ...map, "model.norm.weight": name }));
      await refuses(
        /tensor "model\.norm\.weight" is in .*, expected the name of a safetensors file beside the index/,
      );
    });
  }

  it("refuses a name that no file can have, and shows its beginning", async () => {
    const name = (letters: number) => `${"a".repeat(letters - ".safetensors".length)}.safetensors`;
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(5000) }));
    await refuses(/^.{0,300} is in "a{80}…", expected the name of a safetensors file beside the index$/);
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(256) }));
    await refuses(/ is in "a{80}…", expected the name/);
    await changeIndex((map) => ({ ...map, "model.norm.weight": name(255) }));
    await refuses(/a\.safetensors is missing, expected a safetensors file$/);
  });

  it("refuses more files than any model has, before it looks for one", async () => {
    const many = Array.from({ length: 1001 }, (_, n) => [`x${n}`, `${n}.safetensors`]);
    await changeIndex((map) => ({ ...map, ...Object.fromEntries(many) }));
    await refuses(/index\.json names 1004 files, expected at most 1000/);
  });

  it("refuses files whose headers are too much together", async () => {
    for (const n of [1, 2, 3]) {
      const bytes = await readFile(join(directory, shard(n)));
      const length = Number(bytes.readBigUInt64LE());
      const header = Buffer.concat([bytes.subarray(8, 8 + length), Buffer.alloc(40_000_000, " ")]);
      await writeFile(join(directory, shard(n)), withHeader(header, bytes.subarray(8 + length)));
    }
    await refuses(/the headers of its files have 12000\d+ bytes, expected at most 100000000 together/);
  });

  it("refuses a link out of the directory, and follows Hugging Face's cache", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "elsewhere-"));
    await rename(join(directory, shard(3)), join(elsewhere, "secret"));
    await symlink(join(elsewhere, "secret"), join(directory, shard(3)));
    await refuses(/model-00003-of-00003\.safetensors is a link to .*secret, outside of the model directory/);

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

  it("refuses a number that is none, and names its tensor", async () => {
    const file = join(directory, shard(3)); // float32
    const bytes = await readFile(file);
    bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
    await writeFile(file, bytes);
    await refuses(/tensor \S+ in .* holds NaN as number \d+ of \d+, expected finite numbers/);
  });

  it("stops when it is told to, and leaves no tensor", async () => {
    const before = tf.memory().numTensors;
    const stop = new AbortController();
    stop.abort(new InputError("stopped"));
    const loading = loadModel(await config(), join(directory, index), { signal: stop.signal });
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

describe("Other forms of a checkpoint are refused", () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "forms-"))));
  afterEach(() => rm(directory, { recursive: true }));
  const refuses = (message: RegExp) => expectRejection(loadCheckpoint(directory), InputError, message);

  it("Meta's, with the command that gets the right one", async () => {
    await writeFile(join(directory, "params.json"), "{}");
    await writeFile(join(directory, "consolidated.00.pth"), "");
    const message = /is in Meta's own layout .*: `npm run download -- meta-llama\/Llama-3\.2-1B` gets it/;
    await refuses(message);
    await mkdir(join(directory, "original"));
    await rename(join(directory, "params.json"), join(directory, "original", "params.json"));
    await refuses(message);
  });

  for (const name of ["consolidated.00.pth", "original/consolidated.00.pth"]) {
    it(`Meta's by its weights alone, ${name}`, async () => {
      await mkdir(join(directory, "original"));
      await writeFile(join(directory, name), "");
      await refuses(/is in Meta's own layout .*: `npm run download -- \S+` gets it/);
    });
  }

  it("llama.cpp's, with and without a config.json, and as a file", async () => {
    await writeFile(join(directory, "model-Q4_K_M.gguf"), "");
    const message =
      /holds "model-Q4_K_M\.gguf", and GGUF is not read; expected .*: config\.json, model\.safetensors and a tokenizer$/;
    await refuses(message);
    await cp(fixture("fairy-tales/config.json"), join(directory, "config.json"));
    await cp(fixture("fairy-tales/tokenizer.json"), join(directory, "tokenizer.json"));
    await refuses(message);
    await expectRejection(
      loadCheckpoint(join(directory, "model-Q4_K_M.gguf")),
      InputError,
      /gguf is a file in GGUF, which is not read; expected a Hugging Face model directory: /,
    );
  });

  it("a file", async () => {
    const path = fixture("fairy-tales/model.safetensors");
    await expectRejection(
      loadCheckpoint(path),
      InputError,
      /safetensors is a file; expected a .* directory: /,
    );
  });

  it("no name, which would be the working directory", async () => {
    const before = process.cwd();
    process.chdir(fixture("fairy-tales"));
    try {
      await expectRejection(
        loadCheckpoint(""),
        InputError,
        /^the model directory is "", expected the name of/,
      );
    } finally {
      process.chdir(before);
    }
  });

  it("a repository's name, with the command that gets it; but no path that has a directory in it", async () => {
    await expectRejection(
      loadCheckpoint("HuggingFaceTB/SmolLM2-135M"),
      InputError,
      /^there is no directory HuggingFaceTB\/SmolLM2-135M, expected .*; if it is a repository's name, `npm run download -- HuggingFaceTB\/SmolLM2-135M` gets it to checkpoints.HuggingFaceTB.SmolLM2-135M$/,
    );
    for (const path of ["fixtures/no-such-model", "no/such/model", "no-such-model", directory]) {
      await expectRejection(
        loadCheckpoint(path),
        InputError,
        /config\.json is missing; expected a Hugging Face/,
      );
    }
  });

  it("PyTorch's, which can run programs", async () => {
    await cp(fixture("fairy-tales/config.json"), join(directory, "config.json"));
    await cp(fixture("fairy-tales/tokenizer.json"), join(directory, "tokenizer.json"));
    await writeFile(join(directory, "pytorch_model.bin"), "");
    await refuses(/holds its weights as pytorch_model\.bin, a format that can run programs/);
  });

  it("SentencePiece's tokenizer.model alone, but not beside tokenizer.json", async () => {
    await cp(fixture("fairy-tales"), directory, { recursive: true });
    await writeFile(
      join(directory, "tokenizer.model"),
      Buffer.from([0x0a, 0x0e, 0x0a, 0x05, 0x3c, 0x75, 0x6e, 0x6b]),
    );
    const { model, tokenizer } = await loadCheckpoint(directory);
    expect(tokenizer.bosId).to.equal(1792);
    model.dispose();
    await rm(join(directory, "tokenizer.json"));
    await refuses(/tokenizer\.model is SentencePiece's, expected tokenizer\.json beside it/);
  });

  it("but not Meta's tokenizer.model for a blank line before it, as SentencePiece's", async () => {
    await cp(fixture("fairy-tales"), directory, { recursive: true });
    const model = await readFile(join(directory, "tokenizer.model"), "utf8");
    await rm(join(directory, "tokenizer.json"));
    await writeFile(join(directory, "tokenizer.model"), `\n\n${model}`);
    (await loadCheckpoint(directory)).model.dispose();
  });

  it("no tokenizer at all", async () => {
    await cp(fixture("tiny/mistral"), directory, { recursive: true });
    await refuses(/has no tokenizer, expected tokenizer\.model or tokenizer\.json/);
  });
});

describe("WebAssembly's heap", () => {
  before(() => loadBackend("wasm"));

  it("refuses a model that it cannot hold, before the file is opened", async () => {
    const message =
      /needs 9\.2 GiB on backend wasm, which has room for 3\.5 GiB .*; a model of at most 0\.47 billion parameters would fit, or --backend tensorflow/;
    await expectRejection(loadModel(PRESETS["llama-3.2-1b"]!, "no-such-file"), InputError, message);
  });

  it("refuses a batch that it cannot hold, before anything is computed", async () => {
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    const before = tf.memory().numTensors;
    const prompts = Array.from({ length: 40 }, () => "a king ".repeat(450));
    const message =
      /a batch of 40 with \d+ tokens of prompt and 64 to generate needs \d\.\d GiB on backend wasm.*; a batch of \d+ would fit/;
    await expectRejection(generate(model, tokenizer, prompts), InputError, message);
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });

  it("is never written behind its end: a tensor that it has no room for is an error", () => {
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

  it("has no product where it has no room for a packed matrix: that is an error too, and no numbers", () => {
    const backend = tf.backend() as unknown as { makeOutput(shape: number[], dtype: string): tf.TensorInfo };
    const [K, N] = [1024, 512];
    const product = () => tf.tidy(() => tf.matMul(tf.ones([8, K]), weights).dataSync());
    const weights = tf.ones([K, N]);
    const roomForTheResult = tf.ones([2 ** 16]);
    const made: tf.TensorInfo[] = [];
    for (let bytes = 2 ** 30; bytes >= 2 ** 18;) {
      try {
        made.push(backend.makeOutput([bytes / 4], "float32"));
      } catch {
        bytes /= 2;
      }
    }
    try {
      roomForTheResult.dispose(); // and for `a`, but not for a packed copy of the weights
      expect(product).to.throw(InputError, "WebAssembly's heap is full");
    } finally {
      for (const { dataId } of made) tf.backend().disposeData(dataId);
    }
    expect(product().every((one) => one === K)).to.equal(true);
    weights.dispose();
  });
});

describe("The machine's memory", () => {
  before(() => loadBackend("cpu"));
  after(() => loadBackend("cpu"));

  it("refuses what is larger, with what there is and what would fit, before the file is opened", async () => {
    setMemoryLimit("cpu", { bytes: 2 ** 30, source: "that the machine has free" });
    const message =
      /the model of no-such-file needs 4\.6 GiB on backend cpu, which has room for 1\.0 GiB that the machine has free; a model of at most 0\.27 billion parameters would fit$/;
    await expectRejection(loadModel(PRESETS["llama-3.2-1b"]!, "no-such-file"), InputError, message);
  });

  it("is asked for twice as much where the model will be recorded on a card", async () => {
    const half = PRESETS["smollm2-135m"]!; // 538 MB
    setMemoryLimit("cpu", { bytes: 1e9, source: "that the machine has free" });
    await expectRejection(loadModel(half, "no-such-file"), InputError, /no-such-file (?:is|cannot|was)/);
    const message =
      /the model of no-such-file, recorded, needs 1\.0 GiB .* at most 0\.1\d billion parameters would fit$/;
    await expectRejection(loadModel(half, "no-such-file", { weightCopies: 2 }), InputError, message);
  });

  it("is asked for when an backend is loaded", async () => {
    await loadBackend("cpu");
    const huge = { ...PRESETS["llama-3.2-1b"]!, nLayers: 1_000_000_000 };
    await expectRejection(
      loadModel(huge, "no-such-file"),
      InputError,
      /has room for \d+\.\d GiB \(90% of the/,
    );
  });
});
