import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../backend/kv-cache-write.js";
import { allOrNone } from "../util/all-or-none.js";

/** The numbers that are rounded with one scale and zero point: all channels of a position, or positions of a channel. */
export interface Grouping {
  /** Bits of a code: 256 or 16 steps between the smallest and the largest number of a group. */
  readonly bits: 8 | 4;
  /** Positions of a group that has one channel; 1 if a group has one position and all its channels. */
  readonly group: number;
}

/** Bytes of one matrix per head, [heads, L, D], in codes with their scales and zero points. */
export function codeBytes({ bits, group }: Grouping, heads: number, L: number, D: number): number {
  const groups = group === 1 ? L : Math.ceil(L / group) * D;
  return heads * ((L * D * bits) / 8 + 2 * 4 * groups);
}

/**
 * Keys or values rounded to integer codes: x ≈ zero + code · scale, with a scale and a zero point for each group
 * (uniform asymmetric quantization, as in Liu et al. 2024, "KIVI").
 *
 * TensorFlow.js has no tensors of bytes, so 4 codes of 8 bits, or 8 of 4, are the digits of one int32.
 */
export class Codes {
  private readonly words: Tensor3D; // [heads, L, D · bits/32], int32
  private readonly zeros: Tensor3D; // [heads, L, 1] or [heads, L/group, D]
  private readonly scales: Tensor3D;

  constructor(
    heads: number,
    L: number,
    private readonly D: number,
    private readonly grouping: Grouping,
  ) {
    const { bits, group } = grouping;
    const groups: [number, number, number] = group === 1 ? [heads, L, 1] : [heads, Math.ceil(L / group), D];
    const words: [number, number, number] = [heads, L, (D * bits) / 32];
    const tensors = allOrNone(3, (i) =>
      tf.keep(tf.fill<tf.Rank.R3>(i === 0 ? words : groups, 0, i === 0 ? "int32" : "float32")),
    );
    [this.words, this.zeros, this.scales] = tensors as [Tensor3D, Tensor3D, Tensor3D];
  }

  /**
   * Rounds and stores T positions, [heads, T, D]. T and position are multiples of the group.
   *
   * A group's smallest number has code 0 and its largest the largest code, so the error is at most half a step.
   */
  write(x: Tensor3D, position: number): void {
    const { D } = this;
    const { bits, group } = this.grouping;
    const [heads, T] = x.shape;
    tf.tidy(() => {
      const axis = group === 1 ? 3 : 2;
      const grouped = tf.reshape(x, [heads, T / group, group, D]);
      const zero = tf.min(grouped, axis, true); // [heads, T/group, 1, D], or [heads, T, 1, 1]
      const range = tf.sub(tf.max(grouped, axis, true), zero);
      const scale = tf.maximum(tf.div(range, 2 ** bits - 1), 1e-12); // equal numbers have range 0
      const codes = tf.reshape(tf.round(tf.div(tf.sub(grouped, zero), scale)), [heads, T, D]);
      const perGroup = (each: tf.Tensor) => tf.reshape(each, [heads, T / group, -1]) as Tensor3D;
      kvCacheWrite(this.words, pack(codes as Tensor3D, bits), position);
      kvCacheWrite(this.zeros, perGroup(zero), position / group);
      kvCacheWrite(this.scales, perGroup(scale), position / group);
    });
  }

  /** The first S positions as float32, [heads, S, D]. */
  read(S: number): Tensor3D {
    const { D } = this;
    const { bits, group } = this.grouping;
    const heads = this.words.shape[0];
    const first = (x: Tensor3D, n: number) => tf.slice(x, [0, 0, 0], [heads, n, x.shape[2]]);
    const perGroup = (x: Tensor3D) => tf.reshape(first(x, S / group), [heads, S / group, 1, x.shape[2]]);
    return tf.tidy(() => {
      const codes = tf.reshape(unpack(first(this.words, S), bits), [heads, S / group, group, D]);
      const x = tf.add(tf.mul(codes, perGroup(this.scales)), perGroup(this.zeros));
      return tf.reshape(x, [heads, S, D]) as Tensor3D;
    });
  }

  dispose(): void {
    tf.dispose([this.words, this.zeros, this.scales]);
  }
}

/** Digits of a word: the D channels in `32 / bits` parts, and one channel of each part. */
function pack(codes: Tensor3D, bits: 8 | 4): Tensor3D {
  const [lowest, ...others] = tf.split(tf.cast(codes, "int32"), 32 / bits, 2) as Tensor3D[];
  return others.reduce<Tensor3D>((word, digit, i) => {
    const signed = i < others.length - 1 ? digit : tf.sub(digit, int32(2 ** (bits - 1))); // int32 has a sign
    return tf.add(word, tf.mul(signed, int32(2 ** (bits * (i + 1)))));
  }, lowest!);
}

/** The inverse of `pack`, as float32, [heads, S, D]. */
function unpack(words: Tensor3D, bits: 8 | 4): Tensor3D {
  const digits: Tensor3D[] = [];
  let rest = words;
  for (let i = 32 / bits - 1; i > 0; i--) {
    const place = int32(2 ** (bits * i));
    const digit = tf.floorDiv<Tensor3D>(rest, place);
    rest = tf.sub(rest, tf.mul(digit, place));
    digits.unshift(i < 32 / bits - 1 ? digit : tf.add(digit, int32(2 ** (bits - 1))));
  }
  return tf.cast(tf.concat([rest, ...digits], 2), "float32");
}

const int32 = (value: number): tf.Scalar => tf.scalar(value, "int32");
