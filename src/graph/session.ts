import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { InputError } from "../util/errors.js";
import { temporaryDirectory } from "../util/file-system.js";
import { type TensorFlowBackend, tensorflowBackend } from "../backend/tensorflow-backend.js";
import type { Recorder } from "./tracer.js";
import { savedModel, TAG } from "./saved-model.js";

/** Nodes that wait until all weights are filled, and all other variables cleared. */
const FILLED = "filled";
const CLEARED = "cleared";

/** Numbers for the inputs of a run, by their nodes' names. */
export type Feeds = Readonly<
  Record<string, { readonly values: Int32Array | Float32Array; readonly shape: readonly number[] }>
>;

/** A recorded graph inside TensorFlow, with its variables on the device. */
export class Session {
  private readonly weights: Recorder["weights"];

  private constructor(
    private readonly backend: TensorFlowBackend,
    private readonly id: number,
    recorder: Recorder,
  ) {
    this.weights = recorder.weights;
  }

  /**
   * Hands a graph to TensorFlow and fills its variables.
   *
   * @param previous has the same weights, and gives them up; without it they come from the backend's tensors
   * @throws InputError where the backend is not TensorFlow, or the graph cannot be written to a temporary directory
   */
  static open(recorder: Recorder, previous?: Session): Session {
    const backend = tensorflowBackend("recorded execution");
    const session = new Session(backend, load(backend, recorder), recorder);
    const tensors = recorder.weights.map(({ tensor }) => tensor);
    let copies: number[] = [];
    try {
      copies = previous?.read() ?? [];
      session.fill(previous ? copies : backend.getInputTensorIds(tensors));
      session.clear();
    } catch (error) {
      session.close(); // the card may be full
      throw error;
    } finally {
      for (const id of copies) backend.binding.deleteTensor(id);
    }
    previous?.close();
    if (!previous && (backend.isUsingGpuDevice || recorder.weightType !== "float32")) {
      for (const { dataId } of tensors) backend.disposeData(dataId, true); // else they were there twice
    }
    return session;
  }

  /** Runs whatever some outputs need, and returns them as tensors of the backend. */
  run(feeds: Feeds, outputs: readonly string[]): tf.Tensor[] {
    const { binding } = this.backend;
    const ids = Object.values(feeds).map(({ values, shape }) => {
      const type = values instanceof Int32Array ? binding.TF_INT32 : binding.TF_FLOAT;
      return binding.createTensor([...shape], type, values);
    });
    try {
      return this.execute(ids, Object.keys(feeds), outputs).map((output) =>
        this.backend.createOutputTensor(output),
      );
    } finally {
      for (const id of ids) binding.deleteTensor(id);
    }
  }

  /** Frees the graph and its variables. */
  close(): void {
    this.backend.binding.deleteSavedModel(this.id);
  }

  /** Makes zeros of all variables that are no weights. */
  clear(): void {
    this.wait([], [], CLEARED);
  }

  // All in one run: TensorFlow prepares anew for every combination of inputs and outputs.
  private fill(weights: readonly number[]): void {
    this.wait([...weights], this.weights.map(({ handle }) => `${handle}/from`), FILLED); // prettier-ignore
  }

  private wait(ids: number[], inputs: readonly string[], done: string): void {
    const [output] = this.execute(ids, inputs, [done]);
    this.backend.binding.deleteTensor(output!.id!);
  }

  /** The native library's numbers for the weights, as float32. */
  private read(): number[] {
    return this.execute([], [], this.weights.map(({ value }) => value)).map(({ id }) => id!); // prettier-ignore
  }

  private execute(ids: number[], inputs: readonly string[], outputs: readonly string[]): TensorMetadata[] {
    return this.backend.binding.runSavedModel(this.id, ids, inputs.join(","), outputs.join(","));
  }
}

/** The addon takes graphs from a directory only; returns its number for this one. */
function load({ binding }: TensorFlowBackend, { graph, weights, rooms }: Recorder): number {
  const one = { tensor: { values: [1], shape: [], type: "int32" } } as const;
  const after = (name: string, variables: readonly string[]) =>
    graph.add("Const", variables.map((variable) => `^${variable}/fill`), { dtype: { type: "int32" }, value: one }, name); // prettier-ignore
  after(FILLED, weights.map(({ handle }) => handle)); // prettier-ignore
  after(CLEARED, rooms);
  const directory = temporaryDirectory("kv-cache-lecture");
  try {
    writeGraph(directory, savedModel(graph));
    return binding.loadSavedModel(directory, TAG);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function writeGraph(directory: string, graph: Uint8Array): void {
  try {
    writeFileSync(join(directory, "saved_model.pb"), graph);
  } catch (error) {
    throw new InputError(
      `the recorded graph cannot be written to ${directory}: ${(error as Error).message}; expected room for ${graph.length} bytes`,
    );
  }
}
