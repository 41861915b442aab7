import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { TensorMetadata } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { type TensorFlowBackend, tensorflowBackend } from "../backend/tensorflow-backend.js";
import { formOf, freeWeight, isFreed } from "../backend/packed-weight.js";
import { explainFileError, InputError } from "../util/errors.js";
import { temporaryDirectory } from "../util/file-system.js";
import { savedModel, TAG } from "./saved-model.js";
import type { Tracer, GraphWeight } from "./tracer.js";

/** The nodes that run after variables have been filled, and after they have been freed: a group of weights, or one of the cache. */
const filled = (part: number | string): string => `filled.${part}`;
const freed = (part: number | string): string => `freed.${part}`;

/** The node that runs after all of the cache's variables have been filled with zeros. */
const CLEARED = "cleared";

/**
 * Bytes of weights that are handed over together. Smaller groups need less memory beside the variables, but TensorFlow
 * prepares the graph for each new combination of inputs and outputs.
 */
export const GROUP_BYTES = 256e6;

/** Values of a run's inputs, by the names of their nodes. */
export type InputValues = Readonly<
  Record<string, { readonly values: Int32Array | Float32Array; readonly shape: readonly number[] }>
>;

/** Options of `Session.open`. */
interface OpenOptions {
  /** A session with the same weights, which is closed; by default they come from the model's tensors. */
  readonly previous?: Session | undefined;
  /** Copies the previous session's KV cache, too. */
  readonly keepCache?: boolean;
  /** Receives the number of groups that have been filled, and the number of all groups. */
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
  /** Bytes of a group of weights, at most; by default `GROUP_BYTES`. */
  readonly groupBytes?: number;
  /** Frees the previous session's weights group by group, and its cache; by default on a GPU. */
  readonly moves?: boolean;
}

/** A graph inside TensorFlow, with its variables on the device. */
export class Session {
  private closed = false;

  /** @param groups of variables that are filled, and freed, together */
  private constructor(
    private readonly backend: TensorFlowBackend,
    private readonly id: number,
    private readonly groups: readonly ReadonlySet<string>[],
  ) {}

  /**
   * Loads a tracer's graph into TensorFlow and fills its variables, group by group. A GPU then has the weights only
   * there: each group's data are freed, as they are where the graph rounds or unpacks them.
   *
   * @throws InputError where the backend is not TensorFlow, the graph cannot be written to a temporary directory, or an
   *         earlier attempt failed after it had taken over weights. When a GPU is out of memory, the weights are lost, and
   *         the previous session is closed
   */
  static open(tracer: Tracer, options: OpenOptions = {}): Session {
    const backend = tensorflowBackend("graph mode");
    const { previous, keepCache, onProgress, groupBytes, moves = backend.isUsingGpuDevice } = options;
    const { weights, cacheVariables, weightType } = tracer;
    if (!previous && weights.some(({ tensor }) => isFreed(tensor))) {
      throw new InputError(
        "the model must be loaded again: an earlier call failed after TensorFlow had taken its weights",
      );
    }
    const groups = previous
      ? previous.groups.map((names) => weights.filter(({ variable }) => names.has(variable)))
      : groupsOf(weights, groupBytes);
    const variables = groups.map((group) => new Set(group.map(({ variable }) => variable)));
    const session = new Session(backend, load(backend, tracer, variables), variables);
    const copies = ({ name, variable, tensor }: GraphWeight): boolean =>
      backend.isUsingGpuDevice ||
      weightType !== "float32" ||
      name !== variable ||
      formOf(tensor) !== undefined;
    let moved = false;
    try {
      for (const [i, group] of groups.entries()) {
        const names = group.map(({ name }) => name);
        if (previous) {
          session.copy(names, previous, filled(i));
          moved ||= moves;
          if (moved) previous.runOnly(freed(i)); // the weights are on the GPU once
        } else {
          session.fill(names, backend.getInputTensorIds(group.map(({ tensor }) => tensor)), filled(i));
          for (const weight of group) if (copies(weight)) freeWeight(weight.tensor);
        }
        onProgress?.(i + 1, groups.length);
      }
      for (const name of previous ? cacheVariables : []) {
        if (keepCache) session.copy([name], previous!, filled(name));
        if (moves) previous!.runOnly(freed(name)); // so is the cache
      }
      if (!previous || !keepCache) session.clear();
    } catch (error) {
      session.close(); // the GPU may be out of memory
      if (moved) previous?.close();
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

  /** True once the graph and its variables are freed. */
  get isClosed(): boolean {
    return this.closed;
  }

  /** Frees the graph and its variables. */
  close(): void {
    this.closed = true;
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

/**
 * Splits weights into groups, those of one variable together.
 *
 * @param most bytes of a group, unless one variable has more
 */
function groupsOf(weights: Tracer["weights"], most = GROUP_BYTES): GraphWeight[][] {
  const groups: GraphWeight[][] = [];
  let bytes = Infinity;
  let last = "";
  for (const weight of weights) {
    bytes += bytesOf(weight.tensor);
    if (bytes > most && weight.variable !== last) {
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
  groups: readonly ReadonlySet<string>[],
): number {
  const one = { tensor: { values: [1], shape: [], type: "int32" } } as const;
  const addLast = (name: string, nodes: readonly string[]): void => {
    const after = nodes.map((node) => `^${node}`);
    graph.add("Const", after, { dtype: { type: "int32" }, value: one }, name);
  };
  const fill = (variable: string) => `${variable}/fill`;
  const destroy = (variable: string) => graph.add("DestroyResourceOp", [variable], {}, `${variable}/free`);
  const groupsOfWeights = groups.map((group, i) => [i, [...group]] as const);
  const cache = cacheVariables.map((variable) => [variable, [variable]] as const);
  for (const [part, variables] of [...groupsOfWeights, ...cache]) {
    addLast(filled(part), variables.map(fill));
    addLast(freed(part), variables.map(destroy));
  }
  addLast(CLEARED, cacheVariables.map(fill));
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
