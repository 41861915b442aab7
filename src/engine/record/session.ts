import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { type TensorFlowBackend, tensorflowBackend } from "../tensorflow-backend.js";
import type { Recorder } from "./recorder.js";
import { savedModel, TAG } from "./saved-model.js";

/** The node that waits until all variables are filled. */
const FILLED = "filled";

/** Numbers for the inputs of a run, by their nodes' names. */
export type Feeds = Readonly<
  Record<string, { readonly values: Int32Array | Float32Array; readonly shape: readonly number[] }>
>;

/** A recorded graph inside TensorFlow, with its variables on the device. */
export class Session {
  private readonly weights: readonly string[];

  private constructor(
    private readonly backend: TensorFlowBackend,
    private readonly id: number,
    recorder: Recorder,
  ) {
    this.weights = recorder.weights.map(({ handle }) => handle);
  }

  /**
   * Hands a graph to TensorFlow and fills its variables: the weights and, with zeros, all others.
   *
   * @param previous has the same weights, and gives them up; without it they come from the engine's tensors
   * @throws InputError where the engine is not TensorFlow
   */
  static open(recorder: Recorder, previous?: Session): Session {
    const backend = tensorflowBackend("recorded execution");
    const session = new Session(backend, load(backend, recorder), recorder);
    const weights = previous ? previous.read(previous.weights) : backend.getInputTensorIds(recorder.weights.map(({ tensor }) => tensor)); // prettier-ignore
    try {
      session.fill(weights, recorder.rooms);
    } catch (error) {
      session.close(); // the card may be full
      throw error;
    }
    if (previous) {
      for (const id of weights) backend.binding.deleteTensor(id);
      previous.close();
    } else if (backend.isUsingGpuDevice) {
      for (const { tensor } of recorder.weights) backend.disposeData(tensor.dataId, true); // else the card had them twice
    }
    return session;
  }

  /** Runs whatever some outputs need, and returns them as tensors of the engine. */
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

  // All in one run: TensorFlow prepares anew for every combination of inputs and outputs.
  private fill(weights: readonly number[], rooms: Recorder["rooms"]): void {
    const zeros = rooms.map(({ shape }) => tf.fill([...shape], 0));
    const ids = [...weights, ...this.backend.getInputTensorIds(zeros)];
    const inputs = [...this.weights, ...rooms.map(({ handle }) => handle)].map((handle) => `${handle}/from`);
    try {
      const [filled] = this.execute(ids, inputs, [FILLED]);
      this.backend.binding.deleteTensor(filled!.id!);
    } finally {
      tf.dispose(zeros);
    }
  }

  /** The native library's numbers for what variables hold. */
  private read(handles: readonly string[]): number[] {
    return this.execute([], [], handles.map((handle) => `${handle}/value`)).map(({ id }) => id!); // prettier-ignore
  }

  private execute(ids: number[], inputs: readonly string[], outputs: readonly string[]): TensorMetadata[] {
    return this.backend.binding.runSavedModel(this.id, ids, inputs.join(","), outputs.join(","));
  }
}

/** The addon takes graphs from a directory only; returns its number for this one. */
function load({ binding }: TensorFlowBackend, { graph, weights, rooms }: Recorder): number {
  const fills = [...weights, ...rooms].map(({ handle }) => `^${handle}/fill`);
  const one = { tensor: { values: [1], shape: [], type: "int32" } } as const;
  graph.add("Const", fills, { dtype: { type: "int32" }, value: one }, FILLED);
  const directory = mkdtempSync(join(tmpdir(), "kv-cache-lecture-"));
  try {
    writeFileSync(join(directory, "saved_model.pb"), savedModel(graph));
    return binding.loadSavedModel(directory, TAG);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
