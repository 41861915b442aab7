import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../../../src/backend/kv-cache-write.js";

/** The sizes of one layer's keys: R rows (batch times key/value heads), room for L positions, D numbers each. */
export interface Sizes {
  readonly rows: number;
  readonly room: number;
  readonly headDim: number;
}

/** One way to add a position to the past ones. */
export interface Strategy {
  /** Makes what a step finds: the past, of `length` positions or with room for more. */
  prepare(past: Tensor3D, sizes: Sizes): Tensor3D;
  /** Adds `update`, [R, 1, D], as position `length`; returns the tensor that holds all, the old one where it can. */
  write(past: Tensor3D, update: Tensor3D, length: number): Tensor3D;
  /** Whether the tensor has room for more than was asked for, so that attention reads a slice of it. */
  readonly roomy: boolean;
}

const padded = (past: Tensor3D, { room }: Sizes): Tensor3D => tf.pad(past, [[0, 0], [0, room - past.shape[1]], [0, 0]]); // prettier-ignore

/** What people do with a KV cache: the first is the obvious way, the last is ours. */
export const STRATEGIES: Readonly<Record<string, Strategy>> = {
  concat: {
    prepare: (past) => tf.clone(past),
    write: (past, update) => tf.concat([past, update], 1),
    roomy: false,
  },
  scatter: {
    prepare: padded,
    write: (past, update, length) => {
      const [R, L, D] = past.shape;
      const indices = tf.tensor2d(Array.from({ length: R }, (_, row) => [row * L + length]), [R, 1], "int32"); // prettier-ignore
      const flat = tf.tensorScatterUpdate(tf.reshape(past, [R * L, D]), indices, tf.reshape(update, [R, D]));
      return tf.reshape(flat, past.shape);
    },
    roomy: true,
  },
  "in place": {
    prepare: padded,
    write: (past, update, length) => {
      kvCacheWrite(past, update, length);
      return past;
    },
    roomy: true,
  },
};

/** What attention gets: the `length` first positions. */
export function read(all: Tensor3D, { roomy }: Strategy, length: number): Tensor3D {
  const [R, , D] = all.shape;
  return roomy ? tf.slice(all, [0, 0, 0], [R, length, D]) : all;
}
