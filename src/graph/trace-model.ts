import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { TensorType } from "./graph.js";
import { addCompiled } from "./graph-function.js";
import { record, Recorder, type WeightType } from "./tracer.js";
import type { LayerMemory } from "../model/kv-cache.js";
import type { Llama } from "../model/llama.js";
import { causalMask } from "../model/positions.js";
import type { Probe, ProbeName } from "../model/probe.js";
import { greedyChoice } from "./greedy-choice.js";
import type { Seen } from "./captured.js";

/** The longest piece of a prompt that is fed to the cache in one call. */
const LONGEST_PIECE = 512;

/** Without a cache the prefix is filled up to one of so many lengths. */
const PREFIX_LENGTHS = 8;

/** The shapes that a recording is for. */
export interface Sizes {
  /** Rows. */
  readonly B: number;
  /** Positions that the cache holds, and the longest prefix. */
  readonly L: number;
}

/** One recorded call, of fixed shapes. Its nodes have names that begin with `scope/`. */
export interface GraphCall {
  readonly scope: string;
  /** Positions fed, whether they are all wanted or fill the prefix up. */
  readonly T: number;
  readonly useCache: boolean;
  /** What probes can see of it, in the order in which the model shows it. */
  readonly seen: readonly Seen[];
  /** The nodes that hold what the call is for. */
  readonly results: Readonly<Record<Result, string>>;
  /** The same of an operation by operation call, for when a probe looks in; where XLA compiles none, `results`. */
  readonly plain: Readonly<Record<Result, string>>;
}

/** What a call ends with: the scores of the next token, [B, V], or what `greedyChoice` makes of them, [B, 2]. */
export type Result = "logits" | "choice";

/** How a model is recorded. */
export interface GraphOptions {
  /**
   * Whether TensorFlow's compiler XLA makes one program of a call, where that is the faster: on a card of every call, on
   * a processor of those that feed few positions. It compiles a call when it is first run.
   */
  readonly xla?: boolean | undefined;
  /** How matrices of weights are kept. As bfloat16 they take half the memory, and have 8 of 24 bits left. */
  readonly weightType?: WeightType | undefined;
}

/** A model's calls as one TensorFlow graph. */
export interface Recording {
  readonly recorder: Recorder;
  /** The calls, those that feed most positions first. */
  readonly calls: readonly GraphCall[];
}

/** The node of a call that holds what a probe would see. */
export const probeNode = (scope: string, name: ProbeName, layer: number | undefined): string =>
  `${scope}/${name}${layer === undefined ? "" : `.${layer}`}`;

/**
 * Runs the model's own code over a recorder, once for each number of positions that may be fed: with the cache all
 * powers of two, which any prompt can be cut into; without it a few lengths that the prefix is filled up to, since
 * the causal mask hides what comes after its last token anyway.
 */
export function traceCalls(
  model: Llama,
  { B, L }: Sizes,
  { weightType, compiled }: { weightType?: WeightType | undefined; compiled: (T: number) => boolean },
): Recording {
  const { nLayers, nKvHeads: K, headDim: D } = model.config;
  const recorder = new Recorder(weightType);
  const { graph } = recorder;
  const caches = Array.from({ length: nLayers }, (_, i) => ({
    keys: recorder.room(`keys${i}`, [B * K * L, D]),
    values: recorder.room(`values${i}`, [B * K * L, D]),
  }));
  const calls: GraphCall[] = [];

  function recordCall(T: number, useCache: boolean): void {
    const scope = `${useCache ? "cached" : "uncached"}.${T}`;
    const input = (name: string, shape: number[], type: TensorType = "float32") =>
      recorder.tensor(graph.input(name, shape, type), shape, type);
    const seen: Seen[] = [];
    graph.enter(scope);

    const positions = input("positions", [T], "int32") as Tensor1D;
    const rotation = input("rotation", [2 * T, D]) as Tensor2D; // together: each input takes its time
    const [cos, sin] = [tf.slice(rotation, [0, 0], [T, D]), tf.slice(rotation, [T, 0], [T, D])];
    const inputs = {
      ids: input("ids", [B * T], "int32") as Tensor1D,
      // A mask for a single position too: what follows in the cache is not filled yet.
      positions: { T, rotation: { cos, sin }, mask: causalMask(positions, useCache ? L : T) },
      last: T > 1 ? (input("last", [B], "int32") as Tensor1D) : undefined,
    };
    const layers = useCache ? layerMemories(positions) : undefined;
    const probe: Probe = (name, layer, tensor) => {
      seen.push({ name, layer });
      graph.add("Identity", [recorder.nameOf(tensor)], { T: { type: "float32" } }, probeNode(scope, name, layer)); // prettier-ignore
    };
    const logits = model.logits(inputs, layers, probe);
    const plain = { logits: recorder.nameOf(logits), choice: recorder.nameOf(greedyChoice(logits)) };
    let results = plain;
    if (compiled(T)) {
      const [first, second] = addCompiled(graph, `${scope}/compiled`, [plain.logits, plain.choice]);
      results = { logits: first!, choice: second! };
    }
    calls.push({ scope, T, useCache, seen, results, plain });
  }

  /** The layers' caches as operations: new rows are written into the variables, and all rows are read, filled or not. */
  function layerMemories(positions: Tensor1D): LayerMemory[] {
    // In the flat view [B*K*L, D], position p of row r is row r·L + p.
    const starts = tf.tensor2d(Array.from({ length: B * K }, (_, r) => [r * L]), [B * K, 1], "int32"); // prettier-ignore
    const rows = tf.reshape(tf.add(starts, positions), [-1]); // [B*K*T]
    const write = (handle: string, update: Tensor3D): Tensor3D => {
      const flat = tf.reshape(update, [-1, D]); // [B*K*T, D]
      const types = { dtype: { type: "float32" }, Tindices: { type: "int32" } } as const;
      const inputs = [handle, recorder.nameOf(rows), recorder.nameOf(flat)];
      const written = graph.add("ResourceScatterUpdate", inputs, types);
      const all = graph.add("ReadVariableOp", [handle, `^${written}`], { dtype: { type: "float32" } });
      return tf.reshape(recorder.tensor(all, [B * K * L, D], "float32"), [B * K, L, D]);
    };
    return caches.map(({ keys, values }) => ({
      append: (newKeys, newValues) => [write(keys, newKeys), write(values, newValues)],
    }));
  }

  record(recorder, () => {
    for (let T = 1; T <= Math.min(LONGEST_PIECE, L); T *= 2) recordCall(T, true);
    const stride = Math.ceil(L / PREFIX_LENGTHS);
    for (let T = stride; T < L + stride; T += stride) recordCall(T, false);
  });
  calls.sort((a, b) => b.T - a.T);
  return { recorder, calls };
}
