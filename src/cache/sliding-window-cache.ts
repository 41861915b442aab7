import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../backend/kv-cache-write.js";
import { cacheBytes } from "../cost/cost.js";
import type { ModelConfig } from "../model/config.js";
import type { CacheKind, GenerationCache, LayerMemory } from "../model/generation-cache.js";
import { rotate, type Rotation, RotaryEmbedding } from "../model/rotary-embedding.js";
import { pairsOrNone } from "../util/all-or-none.js";

/**
 * A cache of constant size: the last `window` positions in a ring, in which new ones overwrite the oldest, and the first
 * `sinks` positions for ever (Jiang et al. 2023, "Mistral 7B"; for the sinks Xiao et al. 2024, "StreamingLLM").
 *
 * It is exact as long as nothing is dropped, and for a model that was trained with such a window. For other models it is
 * lossy. The ring has `prefillChunk` slots more than the window: a call writes all its positions before its first query
 * looks back, and positions that are dropped again must not have overwritten one that the window still needs.
 */
export class SlidingWindowCache implements GenerationCache {
  readonly layers: readonly RingLayer[];
  readonly capacity: number;
  private readonly slots: number;
  private readonly rotary: RotaryEmbedding;
  private written = 0; // the most positions that were ever stored

  constructor(
    config: ModelConfig,
    readonly batchSize: number,
    capacity: number,
    readonly prefillChunk: number,
    private readonly window: number,
    private readonly sinks: number,
  ) {
    this.slots = Math.min(sinks + window + prefillChunk, capacity);
    this.capacity = ringCapacity(config, this.slots, capacity, sinks + window);
    this.rotary = new RotaryEmbedding(config);
    const heads = batchSize * config.nKvHeads;
    const shape: [number, number, number] = [heads, this.slots, config.headDim];
    const rings = pairsOrNone(config.nLayers, () => tf.keep(tf.fill<tf.Rank.R3>(shape, 0)));
    this.layers = rings.map(([layerKeys, layerValues]) => new RingLayer(layerKeys, layerValues, sinks));
  }

  /** Positions seen, dropped ones included: a query is rotated by its position in the text. */
  get length(): number {
    return this.layers[0]!.length;
  }

  begin(T: number): Tensor2D | undefined {
    const { slots, sinks, window, length: start } = this;
    const end = start + T;
    this.written = start === 0 ? end : Math.max(this.written, end);

    // Runs of consecutive slots for the new positions, and the position that each slot then has.
    const runs: Run[] = [];
    for (let t = 0; t < T;) {
      const slot = slotOf(start + t, sinks, slots);
      const size = Math.min(T - t, slots - slot);
      runs.push({ from: t, slot, size });
      t += size;
    }
    const positionAt = positionsInRing(end, sinks, slots);

    // Queries and window keep their positions in the text. Only distances matter, so the few sinks are rotated on to
    // stand right before the window, instead of all keys of the window being rotated back.
    const dropped = end - window - sinks;
    const shift = sinks > 0 && dropped > 0 ? this.rotary.at(dropped, dropped + 1) : undefined;
    for (const layer of this.layers) layer.begin(runs, positionAt.length, shift);
    return windowMask(start, T, positionAt, sinks, window);
  }

  /** Drops the last positions, up to `prefillChunk`; beyond that, the ring no longer has the window, so all of them. */
  truncate(length: number): void {
    if (this.written > this.slots && this.written - length > this.prefillChunk) length = 0;
    for (const layer of this.layers) layer.length = Math.min(layer.length, length);
  }

  dispose(): void {
    for (const layer of this.layers) layer.dispose();
  }
}

/** Some of a call's positions, from the given one on, whose slots are consecutive. */
interface Run {
  readonly from: number;
  readonly slot: number;
  readonly size: number;
}

/** The ring of one layer. */
class RingLayer implements LayerMemory {
  length = 0;
  private runs: readonly Run[] = [];
  private filled = 0;
  private shift: Rotation | undefined;

  constructor(
    private readonly keys: Tensor3D, // [B*K, slots, D]
    private readonly values: Tensor3D,
    private readonly sinks: number,
  ) {}

  begin(runs: readonly Run[], filled: number, shift: Rotation | undefined): void {
    this.runs = runs;
    this.filled = filled;
    this.shift = shift;
  }

  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    const [heads, T, D] = keys.shape;
    for (const { from, slot, size } of this.runs) {
      const part = (x: Tensor3D) => (size === T ? x : tf.slice(x, [0, from, 0], [heads, size, D]));
      kvCacheWrite(this.keys, part(keys), slot);
      kvCacheWrite(this.values, part(values), slot);
    }
    this.length += T;
    const { sinks, filled, shift } = this;
    const read = (ring: Tensor3D, start: number, end: number) =>
      tf.slice(ring, [0, start, 0], [heads, end - start, D]);
    const stored = read(this.values, 0, filled); // [B*K, S, D]
    if (!shift) return [read(this.keys, 0, filled), stored];
    const moved = rotate(read(this.keys, 0, sinks), shift);
    return [tf.concat([moved, read(this.keys, sinks, filled)], 1), stored];
  }

  dispose(): void {
    tf.dispose([this.keys, this.values]);
  }
}

/** The slot of a position: the sinks have their own, the others share a ring. */
export const slotOf = (position: number, sinks: number, slots: number): number =>
  position < sinks ? position : sinks + ((position - sinks) % (slots - sinks));

/** The position that each slot has after `end` positions were written; only of the slots that have one. */
export function positionsInRing(end: number, sinks: number, slots: number): Int32Array {
  const positionAt = new Int32Array(Math.min(end, slots));
  for (let p = 0; p < Math.min(sinks, end); p++) positionAt[p] = p;
  for (let p = Math.max(sinks, end - (slots - sinks)); p < end; p++) positionAt[slotOf(p, sinks, slots)] = p;
  return positionAt;
}

/** Positions that a ring accepts: all, if it drops old ones and the distances in it are within the model's context. */
export const ringCapacity = (
  { maxSeqLen }: ModelConfig,
  slots: number,
  capacity: number,
  distances: number,
): number => (capacity > slots && distances <= maxSeqLen ? Infinity : capacity);

/**
 * A query may attend to the sinks and to the last `window` positions, its own included. The order of slots does not
 * matter: each key has its position in its rotation.
 *
 * @returns [T, S]; undefined if all S may be attended to
 */
function windowMask(
  start: number,
  T: number,
  positionAt: Int32Array,
  sinks: number,
  window: number,
): Tensor2D | undefined {
  const S = positionAt.length;
  const mask = new Float32Array(T * S);
  for (let t = 0; t < T; t++) {
    for (let slot = 0; slot < S; slot++) {
      const [query, key] = [start + t, positionAt[slot]!];
      if (key > query || (key >= sinks && key <= query - window)) mask[t * S + slot] = -1e9;
    }
  }
  return mask.every((value) => value === 0) ? undefined : tf.tensor2d(mask, [T, S]);
}

/** The sliding window as a kind of cache. The bound on its divergence is for texts with positions that were dropped. */
export function slidingWindowCache(prefillChunk: number, window: number, sinks: number): CacheKind {
  const chunk = Math.min(prefillChunk, window); // a chunk's first query must see the sinks behind it
  const windowOf = ({ slidingWindow = Infinity }: ModelConfig) => Math.min(window, slidingWindow);
  return {
    type: "sliding",
    name: `sliding window of ${window}${sinks > 0 ? ` and ${sinks} sinks` : ""}`,
    prefillChunk: chunk,
    window: window + sinks,
    sinks,
    readCopies: sinks > 0 ? 2 : 1,
    maxDivergence: ({ slidingWindow = Infinity }, positions) => {
      const isExact =
        positions <= slidingWindow ? positions <= window + sinks : window >= slidingWindow && sinks === 0;
      return isExact ? 0 : 0.1;
    },
    bytes: (config, batchSize, capacity) =>
      cacheBytes(config, batchSize, Math.min(sinks + windowOf(config) + chunk, capacity)),
    create: (config, batchSize, capacity) =>
      new SlidingWindowCache(config, batchSize, capacity, chunk, windowOf(config), sinks),
  };
}
