import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { type TensorFlowBackend, tensorflowBackend } from "../backend/tensorflow-backend.js";
import { formOf, freeWeight } from "../backend/packed-weight.js";
import { explainFileError } from "../util/errors.js";
import { temporaryDirectory } from "../util/file-system.js";
import { savedModel, TAG } from "./saved-model.js";
import type { Tracer, GraphWeight } from "./tracer.js";

/** The node that runs after a group of weights has been filled. */
const filled = (group: number): string => `filled${group}`;

/** The node that runs after all other variables have been filled: with zeros, unless a run has other values for them. */
const CLEARED = "cleared";

/**
 * Bytes of weights that are handed over together. Smaller groups need less memory beside the variables, but TensorFlow
 * prepares the graph for each new combination of inputs and outputs.
 */
const GROUP_BYTES = 256e6;

/** Values of a run's inputs, by the names of their nodes. */
export type InputValues = Readonly<
  Record<string, { readonly values: Int32Array | Float32Array; readonly shape: readonly number[] }>
>;

/** A graph inside TensorFlow, with its variables on the device. */
export class Session {
  private constructor(
    private readonly backend: TensorFlowBackend,
    private readonly id: number,
  ) {}

  /**
   * Loads a tracer's graph into TensorFlow and fills its variables, group by group. A GPU then has the weights only
   * there: each group's data are freed, as they are where the graph rounds or unpacks them.
   *
   * @param previous  a session with the same weights, which is closed; by default they come from the model's tensors
   * @param keepCache copies the KV cache from the previous session, too, instead of clearing it
   * @throws InputError where the backend is not TensorFlow, or the graph cannot be written to a temporary directory
   */
  static open(tracer: Tracer, previous?: Session, keepCache = false): Session {
    const backend = tensorflowBackend("graph mode");
    const groups = groupsOf(tracer.weights);
    const session = new Session(backend, load(backend, tracer, groups));
    try {
      for (const [i, group] of groups.entries()) {
        const [names, tensors] = [group.map(({ name }) => name), group.map(({ tensor }) => tensor)];
        if (previous) session.copy(names, previous, filled(i));
        else session.fill(names, backend.getInputTensorIds(tensors), filled(i));
        if (!previous)
          for (const weight of group) if (isCopied(weight, backend, tracer)) freeWeight(weight.tensor);
      }
      if (previous && keepCache) session.copy(tracer.cacheVariables, previous, CLEARED);
      else session.clear();
    } catch (error) {
      session.close(); // the GPU may be out of memory
      throw error;
    }
    previous?.close();
    return session;
  }

  /** Fills variables with the values of native tensors. */
  private fill(variables: readonly string[], ids: number[], done: string): void {
    this.runOnly(
      done,
      ids,
      variables.map((name) => `${name}/from`),
    );
  }

  /** Fills variables with the values that they have in another session. */
  private copy(variables: readonly string[], from: Session, done: string): void {
    const copies = from.execute(
      [],
      [],
      variables.map((name) => `${name}/float32`),
    );
    const ids = copies.map(({ id }) => id!);
    try {
      this.fill(variables, ids, done);
    } finally {
      for (const id of ids) this.backend.binding.deleteTensor(id);
    }
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

/** True if a variable does not share its memory with the tensor that it was filled from. */
const isCopied = (
  { name, variable, tensor }: GraphWeight,
  backend: TensorFlowBackend,
  { weightType }: Tracer,
): boolean =>
  backend.isUsingGpuDevice || weightType !== "float32" || name !== variable || formOf(tensor) !== undefined;

/** Splits weights into groups of at most `GROUP_BYTES`, and those of one variable together. */
function groupsOf(weights: Tracer["weights"]): GraphWeight[][] {
  const groups: GraphWeight[][] = [];
  let bytes = Infinity;
  let last = "";
  for (const weight of weights) {
    bytes += bytesOf(weight.tensor);
    if (bytes > GROUP_BYTES && weight.variable !== last) {
      groups.push([]);
      bytes = bytesOf(weight.tensor);
    }
    groups.at(-1)!.push(weight);
    last = weight.variable;
  }
  return groups;
}

/** Bytes that are handed over for a weight. */
function bytesOf(tensor: tf.TensorInfo): number {
  return (formOf(tensor)?.type === "bfloat16" ? 2 : 4) * tf.util.sizeFromShape(tensor.shape);
}

/** Loads a graph and returns TensorFlow's id for it. The addon reads graphs from a directory only. */
function load(
  { binding }: TensorFlowBackend,
  { graph, cacheVariables }: Tracer,
  groups: readonly (readonly GraphWeight[])[],
): number {
  const one = { tensor: { values: [1], shape: [], type: "int32" } } as const;
  const fills = groups.map((group, i) => [filled(i), group.map(({ variable }) => variable)] as const);
  for (const [name, variables] of [...fills, [CLEARED, cacheVariables] as const]) {
    const after = [...new Set(variables)].map((variable) => `^${variable}/fill`);
    graph.add("Const", after, { dtype: { type: "int32" }, value: one }, name);
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
