import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor3D } from "@tensorflow/tfjs-core";
import { inOneCall } from "../backend/in-one-call.js";
import type { ModelConfig, RopeConfig } from "./config.js";

/** RoPE cos/sin tables for T positions. */
export interface Rotation {
  /** [T, D], or [B, 1, T, D] if the sequences are at different positions */
  readonly cos: Tensor;
  /** The same shape; negative in the first half, see `rotate`. */
  readonly sin: Tensor;
}

/**
 * Rotary position embedding (Su et al. 2021, "RoFormer"). Channels i and i + D/2 of a head are the two coordinates of a
 * point, which position p rotates by p · frequency[i] radians. The dot product of a query and a key then depends only on
 * the distance between them. This is why keys can be cached: a key is rotated once, by its own position, and stays right
 * for every later query.
 *
 * Meta's files pair channels 2i and 2i + 1. Hugging Face's, which this project reads, permute the rows of wq and wk so
 * that the pairs are i and i + D/2. Both give the same attention scores.
 */
export class RotaryEmbedding {
  private readonly frequencies: readonly number[]; // D/2
  private readonly cos: number[] = []; // D numbers per position, computed up to the last one requested
  private readonly sin: number[] = [];

  constructor(private readonly config: Pick<ModelConfig, "headDim" | "rope">) {
    this.frequencies = rotaryFrequencies(config.headDim, config.rope);
  }

  /** The tables of positions start … end-1. */
  at(start: number, end: number): Rotation {
    const { cos, sin, shape } = this.rows(start, end);
    return { cos: tf.tensor2d(cos, shape), sin: tf.tensor2d(sin, shape) };
  }

  /** The same tables as plain numbers, D per position. */
  rows(start: number, end: number) {
    const D = this.config.headDim;
    for (let position = this.cos.length / D; position < end; position++) {
      // In doubles: at position 100,000 a float32 angle is already off by 0.004 radians.
      const angles = this.frequencies.map((frequency) => position * frequency);
      const cos = angles.map(Math.cos);
      const sin = angles.map(Math.sin);
      this.cos.push(...cos, ...cos);
      this.sin.push(...sin.map((value) => -value), ...sin);
    }
    const rows = (table: number[]) => Float32Array.from(table.slice(start * D, end * D));
    const shape: [T: number, D: number] = [end - start, D];
    return { cos: rows(this.cos), sin: rows(this.sin), shape };
  }
}

/**
 * Rotates queries or keys by their positions. With the sign of the sine already in `sin`,
 *
 *     (a, b) → (a · cos − b · sin, b · cos + a · sin)   is   x ⊙ cos + swapHalves(x) ⊙ sin
 *
 * @param x one matrix per head, [heads, T, D]; the result has the same shape
 */
export function rotate(x: Tensor3D, { cos, sin }: Rotation): Tensor3D {
  return inOneCall("Rotate", { x, cos, sin }, {}, () => {
    const [heads, T, D] = x.shape;
    const a = tf.slice(x, [0, 0, 0], [heads, T, D / 2]);
    const b = tf.slice(x, [0, 0, D / 2], [heads, T, D / 2]);
    const swapped = tf.concat([b, a], -1);
    if (cos.rank === 2) return tf.add(tf.mul(x, cos), tf.mul(swapped, sin));
    const bySequence = (y: Tensor3D) => tf.reshape(y, [cos.shape[0]!, -1, T, D]); // [B, heads/B, T, D]
    return tf.reshape(tf.add(tf.mul(bySequence(x), cos), tf.mul(bySequence(swapped), sin)), [heads, T, D]);
  });
}

/**
 * Radians per position of each of the D/2 pairs, highest first: theta^(-2i/D), the low ones rescaled in Llama 3.1 and
 * later (`apply_scaling` in Meta's llama-models, `rope_type` "llama3" in Hugging Face's).
 */
export function rotaryFrequencies(
  headDim: number,
  { theta, scaling, linearFactor = 1 }: RopeConfig,
): number[] {
  const pairs = Array.from({ length: headDim / 2 }, (_, i) => i);
  const frequencies = pairs.map((i) => theta ** ((-2 * i) / headDim) / linearFactor);
  if (!scaling) return frequencies;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen } = scaling;
  return frequencies.map((frequency) => {
    const rotations = (originalMaxSeqLen * frequency) / (2 * Math.PI); // within the original context
    const kept = (rotations - lowFreqFactor) / (highFreqFactor - lowFreqFactor); // ≥ 1: unchanged, ≤ 0: divided
    const blend = Math.min(1, Math.max(0, kept));
    return blend * frequency + ((1 - blend) * frequency) / factor;
  });
}
