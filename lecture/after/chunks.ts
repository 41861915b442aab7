import * as tf from "@tensorflow/tfjs-core";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { readLogits } from "../../src/generation/sampling.js";
import { CHUNKS, PREFILL_LENGTH } from "./settings.js";
import type { Subject } from "./subject.js";

/** A prefill in chunks of one size. */
export interface ChunkedPrefill {
  readonly chunk: number;
  /** The most bytes of activations that were alive at once; neither weights nor cache. */
  readonly peakBytes: number;
  /** Of the next token, V numbers. */
  readonly logits: Float32Array;
}

/** Prefills a prompt in chunks and measures its memory. @param choice index into `CHUNKS` */
export async function chunkedPrefill({ model, tokenizer }: Subject, choice: number): Promise<ChunkedPrefill> {
  const chunk = CHUNKS[choice]!;
  const text = "Once there was a king and a queen who lived in a castle. ".repeat(40);
  const ids = tokenizer.encode(text).slice(0, PREFILL_LENGTH);
  const kind = cacheKind({ cache: "plain", prefillChunk: chunk });
  const cache = model.createCache(1, ids.length, kind);
  try {
    model.forward([ids], cache).dispose(); // the first matmuls of a shape pack the weights
    cache.truncate(0);
    const before = tf.memory().numBytes;
    const { peakBytes, result } = await tf.profile(() => model.forward([ids], cache));
    const [logits] = await readLogits(result as tf.Tensor2D, ids.length);
    return { chunk, peakBytes: peakBytes - before, logits: logits! };
  } finally {
    cache.dispose();
  }
}
