import * as tf from "@tensorflow/tfjs-core";
import type { Tensor3D } from "@tensorflow/tfjs-core";
import { kvCacheWrite } from "../backend/kv-cache-write.js";
import { FLOAT32 } from "../cost/cost.js";
import type { ModelConfig } from "../model/config.js";
import type { CacheKind, GenerationCache, LayerMemory } from "../model/generation-cache.js";
import { InputError } from "../util/errors.js";
import { allOrNone, pairsOrNone } from "../util/all-or-none.js";
import { codeBytes, Codes, type Grouping } from "./codes.js";

/** Positions of a channel's keys that are rounded together. */
const GROUP = 32;

/**
 * A cache of fewer bits: keys and values as codes of 8 or 4 bits, dequantized when they are read (Liu et al. 2024,
 * "KIVI"). It saves memory, not time: attention still computes in float32.
 *
 * Values are rounded per token: a position's numbers share a scale. Some channels of the keys are large at every
 * position, and would make the scale of each token's group coarse. So keys are rounded per channel, 32 positions
 * together, and the latest keys stay float32 until their group is complete.
 */
class QuantizedCache implements GenerationCache {
  readonly layers: readonly QuantizedLayer[];

  constructor(
    config: ModelConfig,
    readonly batchSize: number,
    readonly capacity: number,
    readonly prefillChunk: number,
    bits: 8 | 4,
    keys: "token" | "channel",
  ) {
    const { nLayers, nKvHeads: K, headDim } = config;
    const layer = { heads: batchSize * K, capacity, headDim };
    const make = (half: 0 | 1): KeysOrValues =>
      keys === "channel" && half === 0 ? new PerChannel(layer, bits) : new PerToken(layer, bits);
    this.layers = pairsOrNone(nLayers, make).map(
      ([ofKeys, ofValues]) => new QuantizedLayer(ofKeys, ofValues),
    );
  }

  get length(): number {
    return this.layers[0]!.length;
  }

  /**
   * Drops all positions from `length` on. Keys per channel keep the last 32 positions or more in float32, and those
   * before the last call: up to there nothing is lost. Beyond that, all positions are dropped.
   */
  truncate(length: number): void {
    const kept = this.layers.every((layer) => layer.canTruncate(length)) ? length : 0;
    for (const layer of this.layers) layer.truncate(kept);
  }

  dispose(): void {
    for (const layer of this.layers) layer.dispose();
  }
}

/** The keys or the values of one layer. */
interface KeysOrValues {
  /** Stores T positions after the `length` before, and returns all of them. */
  append(x: Tensor3D, length: number): Tensor3D;
  /** True if `append` can continue after `length` positions. */
  canContinue(length: number): boolean;
  dispose(): void;
}

class QuantizedLayer implements LayerMemory {
  length = 0;

  constructor(
    private readonly keys: KeysOrValues,
    private readonly values: KeysOrValues,
  ) {}

  append(keys: Tensor3D, values: Tensor3D): [Tensor3D, Tensor3D] {
    const all: [Tensor3D, Tensor3D] = [
      this.keys.append(keys, this.length),
      this.values.append(values, this.length),
    ];
    this.length += keys.shape[1];
    return all;
  }

  canTruncate(length: number): boolean {
    return length >= this.length || (this.keys.canContinue(length) && this.values.canContinue(length));
  }

  truncate(length: number): void {
    this.length = Math.min(this.length, length);
  }

  dispose(): void {
    this.keys.dispose();
    this.values.dispose();
  }
}

/** Sizes of a layer: B*K heads, L positions, D. */
interface LayerSizes {
  readonly heads: number;
  readonly capacity: number;
  readonly headDim: number;
}

/** Rounds each position on its own. */
class PerToken implements KeysOrValues {
  private readonly codes: Codes;

  constructor({ heads, capacity, headDim }: LayerSizes, bits: 8 | 4) {
    this.codes = new Codes(heads, capacity, headDim, { bits, group: 1 });
  }

  append(x: Tensor3D, length: number): Tensor3D {
    this.codes.write(x, length);
    return this.codes.read(length + x.shape[1]);
  }

  canContinue(): boolean {
    return true; // each position has codes of its own
  }

  dispose(): void {
    this.codes.dispose();
  }
}

/**
 * Rounds each channel for 32 positions together. The latest positions, 32 to 63 of them, are float32 in a tail. There
 * are two tails: a call writes the other one, so that the state before it can be restored when it fails.
 */
class PerChannel implements KeysOrValues {
  private readonly codes: Codes;
  private readonly tails: Tensor3D[]; // two of [B*K, 64, D]
  private current: Tail = { tensor: 0, start: 0, length: 0 };
  private former: Tail = { tensor: 1, start: 0, length: 0 };

  constructor({ heads, capacity, headDim }: LayerSizes, bits: 8 | 4) {
    const rounded = GROUP * Math.ceil(capacity / GROUP);
    this.tails = allOrNone(2, () => tf.keep(tf.fill<tf.Rank.R3>([heads, 2 * GROUP, headDim], 0)));
    const [codes] = allOrNone(
      1,
      () => new Codes(heads, rounded, headDim, { bits, group: GROUP }),
      this.tails,
    );
    this.codes = codes!;
  }

  append(keys: Tensor3D, length: number): Tensor3D {
    const tail = this.tailOf(length);
    const part = (x: Tensor3D, from: number, to: number) =>
      tf.slice(x, [0, from, 0], [x.shape[0], to - from, x.shape[2]]);
    const { start } = tail; // of the positions in float32: those before are codes
    const kept = length - start;
    const late = kept > 0 ? tf.concat([part(this.tails[tail.tensor]!, 0, kept), keys], 1) : keys;
    const end = length + keys.shape[1];
    const rounded = Math.max(start, GROUP * (Math.floor(end / GROUP) - 1)); // the last complete group stays float32
    const all = start > 0 ? tf.concat([this.codes.read(start), late], 1) : late;

    if (rounded > start) this.codes.write(part(late, 0, rounded - start), start);
    const next = { tensor: 1 - tail.tensor, start: rounded, length: end };
    kvCacheWrite(this.tails[next.tensor]!, part(late, rounded - start, end - start), 0);
    [this.former, this.current] = [{ ...tail, length }, next];
    return all;
  }

  canContinue(length: number): boolean {
    const { current, former } = this;
    return length === 0 || length === former.length || (length >= current.start && length <= current.length);
  }

  /** The tail to continue after `length` positions: the current one, or after a failed call the former. */
  private tailOf(length: number): Tail {
    if (length === 0) return { tensor: 0, start: 0, length };
    return length === this.former.length ? this.former : this.current;
  }

  dispose(): void {
    this.codes.dispose();
    tf.dispose(this.tails);
  }
}

/** The latest keys in float32: which tensor has them, their first position, and the cache's length with them. */
interface Tail {
  readonly tensor: number;
  readonly start: number;
  readonly length: number;
}

/** Bounds of the mean KL divergence, in nats: about twice what is measured on texts that the bundled model knows. */
const MAX_DIVERGENCE = { 8: 0.002, 4: 0.1 };

/** The quantized cache as a kind. */
export function quantizedCache(prefillChunk: number, bits: 8 | 4, keys: "token" | "channel"): CacheKind {
  const values: Grouping = { bits, group: 1 };
  return {
    type: "quantized",
    name: `${bits} bits, keys per ${keys}`,
    prefillChunk,
    window: Infinity,
    readCopies: 3,
    maxDivergence: () => MAX_DIVERGENCE[bits],
    bytes: ({ nLayers, nKvHeads: K, headDim: D }, batchSize, capacity) => {
      const heads = batchSize * K;
      const rounded = GROUP * Math.ceil(capacity / GROUP);
      const perChannel =
        codeBytes({ bits, group: GROUP }, heads, rounded, D) + 2 * heads * 2 * GROUP * D * FLOAT32;
      const ofValues = codeBytes(values, heads, capacity, D);
      return nLayers * ((keys === "token" ? ofValues : perChannel) + ofValues);
    },
    create: (config, batchSize, capacity) => {
      const multiple = 32 / bits;
      if (config.headDim % multiple !== 0) {
        throw new InputError(
          `the head dim must be a multiple of ${multiple} for a cache of ${bits} bits, got ${config.headDim}`,
        );
      }
      return new QuantizedCache(config, batchSize, capacity, prefillChunk, bits, keys);
    },
  };
}
