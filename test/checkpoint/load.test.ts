import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import {
  generate,
  InputError,
  loadCheckpoint,
  loadEngine,
  loadModel,
  PRESETS,
  SafetensorsFile,
  weightBytes,
} from "../../src/index.js";
import { expectRejection, fixture, onEveryEngine, onOneEngine } from "../support.js";
import { safetensors, type StoredTensor } from "./write-safetensors.js";

onEveryEngine("loadCheckpoint", () => {
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

onOneEngine("loadCheckpoint refuses", () => {
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

  /** Rewrites the model's file with one tensor changed or left out. */
  async function changeTensor(
    name: string,
    change: (tensor: StoredTensor) => StoredTensor | undefined,
  ): Promise<void> {
    const source = await SafetensorsFile.open(fixture("fairy-tales/model.safetensors"));
    const bytes = await readFile(fixture("fairy-tales/model.safetensors"));
    const tensors: StoredTensor[] = [];
    for (const [key, { dtype, shape, begin, end }] of source.tensors) {
      const stored = { name: key, dtype, shape, bytes: bytes.subarray(begin, end) };
      const kept = key === name ? change(stored) : stored;
      if (kept) tensors.push(kept);
    }
    await source.close();
    await writeFile(file("model.safetensors"), safetensors(tensors));
  }

  const UP = "model.layers.3.mlp.up_proj.weight";

  it("a missing tensor, by name", async () => {
    await changeTensor(UP, () => undefined);
    await refuses(/model\.safetensors: no tensor is called 'model\.layers\.3\.mlp\.up_proj\.weight'/);
  });

  it("a tensor of the wrong shape, with both shapes", async () => {
    await changeTensor(UP, ({ shape: [rows, columns], ...rest }) => ({ ...rest, shape: [columns!, rows!] }));
    await refuses(
      /tensor model\.layers\.3\.mlp\.up_proj\.weight .* has the shape \[\d+,\d+\], config.json asks for \[\d+,\d+\]/,
    );
  });

  it("a dtype that it does not read", async () => {
    await changeTensor(UP, (tensor) => ({ ...tensor, dtype: "I16" }));
    await refuses(/up_proj\.weight' holds I16, expected F32, F16 or BF16/);
  });

  it("another architecture", async () => {
    await changeConfig({ model_type: "mistral", architectures: ["MistralForCausalLM"] });
    await refuses(/config\.json: model_type is "mistral", expected "llama"/);
  });

  it("an unknown rope type", async () => {
    const rope = { rope_type: "yarn", rope_theta: 10000, factor: 4 };
    await changeConfig({ rope_parameters: rope });
    await refuses(/rope_type is "yarn", expected "default" or "llama3"/);
  });

  it("a tokenizer whose size is not the embedding's", async () => {
    const model = await readFile(file("tokenizer.model"), "utf8");
    await writeFile(file("tokenizer.model"), model.trimEnd().split("\n").slice(0, -1).join("\n"));
    await refuses(/tokenizer\.model has \d+ tokens, .* has \d+; expected the same number/);
  });

  it("a generation_config.json that is not JSON, though it may be missing", async () => {
    await writeFile(file("generation_config.json"), "[");
    await refuses(/generation_config\.json is not valid JSON/);
    await rm(file("generation_config.json"));
    const { model } = await loadCheckpoint(directory);
    model.dispose();
  });
});

describe("WebAssembly's heap", () => {
  before(() => loadEngine("wasm"));

  it("refuses a model that it cannot hold, before the file is opened", async () => {
    const message = /needs \d+\.\d GiB on engine wasm, which has room for 3\.5 GiB; use --engine tensorflow/;
    await expectRejection(loadModel(PRESETS["llama-3.2-1b"]!, "no-such-file"), InputError, message);
  });

  it("refuses a batch that it cannot hold, before anything is computed", async () => {
    const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
    const before = tf.memory().numTensors;
    const prompts = Array.from({ length: 40 }, () => "a king ".repeat(450));
    const message =
      /a batch of 40 with \d+ tokens of prompt and 64 to generate needs \d\.\d GiB on engine wasm/;
    await expectRejection(generate(model, tokenizer, prompts), InputError, message);
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });
});
