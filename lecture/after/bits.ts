import * as tf from "@tensorflow/tfjs-core";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { Codes } from "../../src/cache/codes.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { type CacheComparison, compareCaches } from "../../src/generation/compare-caches.js";
import { ROUNDINGS } from "./settings.js";
import { greedy, type Subject } from "./subject.js";

/** Positions whose keys are shown: one group of keys per channel. */
const POSITIONS = 32;

const PROMPT = "Once upon a time";
const TEXT = `${PROMPT} there was a king who had a daughter, and she was so beautiful that the sun itself wondered `;

/** The keys of one layer, [K, positions, D], and the same after they were rounded. */
interface RoundedKeys {
  readonly keys: Float32Array;
  readonly rounded: Float32Array;
}

/** A quantized cache compared with the plain one, and the keys of a text before and after. */
export interface Rounding {
  /** Positions of each head's keys. */
  readonly positions: number;
  readonly layers: readonly RoundedKeys[];
  readonly loss: CacheComparison;
  /** Bytes of a cache for as many positions as the model has, divided by those of the plain one. */
  readonly share: number;
}

/** Rounds the keys of a text, and measures what a cache of such keys and values loses. @param choice of `ROUNDINGS` */
export async function rounding({ model, tokenizer }: Subject, choice: number): Promise<Rounding> {
  const { bits, keys } = ROUNDINGS[choice]!;
  const { config } = model;
  const { maxSeqLen } = config;
  const ids = tokenizer.encode(TEXT.repeat(2)).slice(0, POSITIONS);
  const layers: RoundedKeys[] = [];
  model
    .forward([ids], undefined, (name, _, key) => {
      if (name !== "attention.key") return;
      const [K, , D] = key.shape as [number, number, number];
      const codes = new Codes(K, POSITIONS, D, { bits, group: keys === "channel" ? POSITIONS : 1 });
      codes.write(key as tf.Tensor3D, 0);
      const read = codes.read(POSITIONS);
      layers.push({ keys: key.dataSync() as Float32Array, rounded: read.dataSync() as Float32Array });
      tf.dispose(read);
      codes.dispose();
    })
    .dispose();
  const kind = cacheKind({ cache: "quantized", bits, keys });
  const loss = await compareCaches(model, [tokenizer.encode(PROMPT)], kind, greedy(64));
  const share = kind.bytes(config, 1, maxSeqLen) / cacheBytes(config, 1, maxSeqLen);
  return { positions: POSITIONS, layers, loss, share };
}
