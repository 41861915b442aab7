import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import { positionsInRing, ringCapacity, slotOf } from "../cache/sliding-window-cache.js";
import { rotate, RotaryEmbedding } from "../model/rotary-embedding.js";
import { type CacheSizes, cacheVariables, type Places, type TracedCache } from "./graph-cache.js";
import type { Tracer } from "./tracer.js";

/** The position of a slot that has none yet: later than any query, so the mask hides it. */
const NONE = 2 ** 30;

/** The sliding window's sizes: its own sinks, window and slots, see `SlidingWindowCache`. */
function ringOf({ config, kind, L }: CacheSizes) {
  const { sinks = 0, prefillChunk } = kind;
  const window = Math.min(kind.window - sinks, config.slidingWindow ?? Infinity);
  return { sinks, window, prefillChunk, slots: Math.min(sinks + window + prefillChunk, L) };
}

/** Positions that a generation of some capacity can store, see `ringCapacity`. */
export function slidingCapacity(sizes: CacheSizes, capacity: number): number {
  const { sinks, window, slots } = ringOf(sizes);
  return ringCapacity(sizes.config, slots, capacity, sinks + window);
}

/**
 * The sliding window in a graph. The slots to write and the position in each slot are inputs, so the ring turns without
 * another graph. The sinks' rotation is one as well: by zero positions as long as nothing is dropped.
 */
export function traceSliding(tracer: Tracer, sizes: CacheSizes): (positions: Tensor1D) => TracedCache {
  const { config, B } = sizes;
  const { nKvHeads: K, headDim: D } = config;
  const { sinks, window, slots } = ringOf(sizes);
  const exchange = cacheVariables(tracer, config, B * K * slots);
  return (positions) => {
    const T = positions.size;
    const writes = tracer.input<tf.Rank.R1>("writes", [B * K * T], "int32");
    const positionAt = tracer.input<tf.Rank.R1>("positionAt", [slots], "int32");
    const byHead = (all: Tensor2D) => tf.reshape<tf.Rank.R3>(all, [B * K, slots, D]);
    const mask = ringMask(positions, positionAt, sinks, window);
    if (sinks === 0) return { layers: exchange(writes, byHead), mask };

    const shift = tracer.input<tf.Rank.R2>("shift", [2, D], "float32");
    const rotation = { cos: tf.slice(shift, [0, 0], [1, D]), sin: tf.slice(shift, [1, 0], [1, D]) };
    const moved = (all: Tensor2D) => {
      const keys = byHead(all);
      const first = tf.slice(keys, [0, 0, 0], [B * K, sinks, D]);
      const others = tf.slice(keys, [0, sinks, 0], [B * K, slots - sinks, D]);
      return tf.concat([rotate(first, rotation), others], 1);
    };
    return { layers: exchange(writes, moved, byHead), mask };
  };
}

/** Hides keys that come later than a query, and those before its window unless they are sinks, [T, slots]. */
function ringMask(positions: Tensor1D, positionAt: Tensor1D, sinks: number, window: number): Tensor2D {
  const slots = positionAt.size;
  const query = tf.reshape(positions, [-1, 1]); // [T, 1]
  const key = tf.reshape(positionAt, [1, -1]); // [1, slots]
  const hide = (hidden: tf.Tensor) => tf.mul<Tensor2D>(tf.cast(hidden, "float32"), -1e9);
  const before = hide(tf.greater(query, tf.add(key, tf.scalar(window - 1, "int32"))));
  const canBeDropped = Float32Array.from({ length: slots }, (_, slot) => (slot < sinks ? 0 : 1));
  return tf.add(hide(tf.greater(key, query)), tf.mul(before, tf.tensor2d(canBeDropped, [1, slots])));
}

/** The ring of a generation. */
export function slidingPlaces(sizes: CacheSizes): Places {
  const { config, B } = sizes;
  const { nKvHeads: K, headDim: D } = config;
  const { sinks, window, slots, prefillChunk } = ringOf(sizes);
  const rotary = new RotaryEmbedding(config);
  let written = 0; // the most positions that were ever stored
  return {
    inputs(start, T) {
      const end = start + T;
      written = start === 0 ? end : Math.max(written, end);
      const writes = Array.from({ length: B * K * T }, (_, i) => {
        const head = Math.floor(i / T);
        return head * slots + slotOf(start + (i % T), sinks, slots);
      });
      const positionAt = new Int32Array(slots).fill(NONE);
      positionAt.set(positionsInRing(end, sinks, slots));
      const dropped = Math.max(0, end - window - sinks);
      const { cos, sin } = rotary.rows(dropped, dropped + 1);
      return {
        writes: { values: Int32Array.from(writes), shape: [writes.length] },
        positionAt: { values: positionAt, shape: [slots] },
        ...(sinks > 0 && { shift: { values: Float32Array.from([...cos, ...sin]), shape: [2, D] } }),
      };
    },
    truncate(length) {
      return written > slots && written - length > prefillChunk ? 0 : length;
    },
  };
}
