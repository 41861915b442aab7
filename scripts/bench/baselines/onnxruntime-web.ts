import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { argMax } from "../../../src/generation/sampling.js";
import { InputError } from "../../../src/index.js";

interface Tensor {
  readonly data: Float32Array;
}
type Tensors = Record<string, Tensor>;

/** The part of onnxruntime-web that is used; the package is no dependency of this project. */
interface OnnxRuntime {
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, shape: readonly number[]) => Tensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{ run(inputs: Tensors): Promise<Tensors> }>;
  };
  readonly env: {
    readonly wasm: { numThreads: number };
    readonly versions: { readonly web: string };
    logLevel: string;
  };
}

/** Installs the package, in the version that was tried. */
export const INSTALL = "npm install onnxruntime-web@1.30.0";

/** A model in onnxruntime-web's WebAssembly, with one thread. */
export interface OnnxModel {
  readonly version: string;
  /** Generates greedily for one sequence with the KV cache; yields each token. */
  generate(prompt: readonly number[], length: number): AsyncGenerator<number>;
}

/**
 * Opens a float32 model as onnxruntime-genai's builder exports it: with fused attention and normalisation, and with the
 * keys and values of past tokens as inputs and outputs.
 *
 * @param directory in which `INSTALL` was run
 * @param exported  the builder's directory
 */
export async function openOnnxModel(directory: string, exported: string): Promise<OnnxModel> {
  const path = join(directory, "node_modules/onnxruntime-web/dist/ort.wasm.min.mjs");
  const ort = await import(pathToFileURL(path).href).then(
    (module) => module as OnnxRuntime,
    (error: Error) => {
      throw new InputError(
        `--onnxruntime-web must be a directory in which "${INSTALL}" was run, got ${directory} (${error.message})`,
      );
    },
  );
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const read = (name: string) => readFile(join(exported, name));
  const { model } = JSON.parse(`${await read("genai_config.json")}`);
  const { num_hidden_layers: nLayers, num_key_value_heads: K, head_size: D } = model.decoder;
  const V: number = model.vocab_size;
  const session = await ort.InferenceSession.create(await read("model.onnx"), {
    executionProviders: ["wasm"],
    externalData: [{ path: "model.onnx.data", data: await read("model.onnx.data") }],
  });

  const names = Array.from({ length: nLayers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const integers = (ids: readonly number[]) =>
    new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
  async function* generate(prompt: readonly number[], length: number) {
    const past: Tensors = {};
    for (const name of names)
      past[`past_key_values.${name}`] = new ort.Tensor("float32", new Float32Array(0), [1, K, 0, D]);
    let [ids, positions] = [prompt, prompt.length];
    for (let i = 0; i < length; i++) {
      const mask = integers(Array<number>(positions++).fill(1));
      const out = await session.run({ input_ids: integers(ids), attention_mask: mask, ...past });
      for (const name of names) past[`past_key_values.${name}`] = out[`present.${name}`]!;
      const token = argMax(out["logits"]!.data.subarray(-V));
      yield token;
      ids = [token];
    }
  }
  return { version: ort.env.versions.web, generate };
}
