import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as tf from "@tensorflow/tfjs-core";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { type TensorFlowBackend, tensorflowBackend } from "../backend/tensorflow-backend.js";
import { explainFileError } from "../util/errors.js";
import { temporaryDirectory } from "../util/file-system.js";
import { savedModel, TAG } from "./saved-model.js";
import type { Tracer } from "./tracer.js";

/** Nodes that run after all weights are filled, and after all other variables are cleared. */
const FILLED = "filled";
const CLEARED = "cleared";

/** Values of a run's inputs, by the names of their nodes. */
export type InputValues = Readonly<
  Record<string, { readonly values: Int32Array | Float32Array; readonly shape: readonly number[] }>
>;

/** A graph inside TensorFlow, with its variables on the device. */
export class Session {
  private constructor(
    private readonly backend: TensorFlowBackend,
    private readonly id: number,
    private readonly weights: Tracer["weights"],
  ) {}

  /**
   * Loads a tracer's graph into TensorFlow and fills its variables. A GPU then has the weights only there: their
   * tensors are disposed, as they are where the graph rounds them.
   *
   * @param previous a session with the same weights, which is closed; by default they come from the model's tensors
   * @throws InputError where the backend is not TensorFlow, or the graph cannot be written to a temporary directory
   */
  static open(tracer: Tracer, previous?: Session): Session {
    const backend = tensorflowBackend("graph mode");
    const session = new Session(backend, load(backend, tracer), tracer.weights);
    const tensors = tracer.weights.map(({ tensor }) => tensor);
    let copies: number[] = [];
    try {
      if (previous) {
        const values = previous.weights.map(({ value }) => value);
        copies = previous.execute([], [], values).map(({ id }) => id!);
      }
      // All in one run: TensorFlow prepares the graph for each new combination of inputs and outputs.
      const inputs = tracer.weights.map(({ handle }) => `${handle}/from`);
      session.runOnly(FILLED, previous ? copies : backend.getInputTensorIds(tensors), inputs);
      session.clear();
    } catch (error) {
      session.close(); // the GPU may be out of memory
      throw error;
    } finally {
      for (const id of copies) backend.binding.deleteTensor(id);
    }
    previous?.close();
    if (!previous && (backend.isUsingGpuDevice || tracer.weightType !== "float32")) {
      for (const { dataId } of tensors) backend.disposeData(dataId, true); // no second copy of the weights
    }
    return session;
  }

  /** Computes a node from values of the inputs that it needs; returns a tensor of the backend. */
  run(inputs: InputValues, output: string): tf.Tensor {
    const { binding } = this.backend;
    const ids = Object.values(inputs).map(({ values, shape }) => {
      const type = values instanceof Int32Array ? binding.TF_INT32 : binding.TF_FLOAT;
      return binding.createTensor([...shape], type, values);
    });
    try {
      return this.backend.createOutputTensor(this.execute(ids, Object.keys(inputs), [output])[0]!);
    } finally {
      for (const id of ids) binding.deleteTensor(id);
    }
  }

  /** Sets the KV cache's variables to zeros. */
  clear(): void {
    this.runOnly(CLEARED);
  }

  /** Frees the graph and its variables. */
  close(): void {
    this.backend.binding.deleteSavedModel(this.id);
  }

  private runOnly(node: string, ids: number[] = [], inputs: string[] = []): void {
    const [output] = this.execute(ids, inputs, [node]);
    this.backend.binding.deleteTensor(output!.id!);
  }

  private execute(ids: number[], inputs: readonly string[], outputs: readonly string[]): TensorMetadata[] {
    return this.backend.binding.runSavedModel(this.id, ids, inputs.join(","), outputs.join(","));
  }
}

/** Loads a graph and returns TensorFlow's id for it. The addon reads graphs from a directory only. */
function load({ binding }: TensorFlowBackend, { graph, weights, cacheVariables }: Tracer): number {
  const one = { tensor: { values: [1], shape: [], type: "int32" } } as const;
  const variables = { [FILLED]: weights.map(({ handle }) => handle), [CLEARED]: cacheVariables };
  for (const [name, handles] of Object.entries(variables)) {
    const fills = handles.map((handle) => `^${handle}/fill`);
    graph.add("Const", fills, { dtype: { type: "int32" }, value: one }, name);
  }
  const directory = temporaryDirectory("kv-cache-lecture");
  const path = join(directory, "saved_model.pb");
  try {
    writeFileSync(path, savedModel(graph));
    return binding.loadSavedModel(directory, TAG);
  } catch (error) {
    return explainFileError(path)(error);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
