import * as tf from "@tensorflow/tfjs-core";
import { BlockMemory, PagedCache } from "../cache/paged-cache.js";
import { raggedStep } from "../cache/ragged-batch.js";
import { PREFILL_CHUNK } from "../model/generation-cache.js";
import type { Llama } from "../model/llama.js";
import { RotaryEmbedding } from "../model/rotary-embedding.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { InputError } from "../util/errors.js";
import { checkedLength } from "./options.js";
import { readLogits, readRows, sampleToken, type SamplingOptions } from "./sampling.js";
import { Sequence } from "./sequence.js";

/** A prompt, and how many tokens to generate after it. */
export interface Request {
  readonly prompt: readonly number[];
  readonly maxGenLen: number;
}

/** Options of `schedule`. */
export interface ScheduleOptions extends SamplingOptions {
  readonly stopIds: ReadonlySet<number>;
  /** Sequences that are decoded together, at most. */
  readonly maxBatch: number;
  /** Blocks of all sequences together, and positions of each. */
  readonly blocks: number;
  readonly blockSize: number;
  readonly prefillChunk?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One forward pass: the prefill of a request that joins, or a decode step of all that run. */
export interface ScheduledCall {
  readonly kind: "prefill" | "decode";
  /** Requests that take part, by their index. */
  readonly requests: readonly number[];
  /** The token that the call decided for each of them. */
  readonly tokens: readonly number[];
  /** Positions computed, in all sequences together. */
  readonly positions: number;
  /** Requests that are finished with it. */
  readonly finished: readonly number[];
  /** Blocks in use after it. */
  readonly blocks: number;
}

interface Running {
  readonly request: number;
  readonly sequence: Sequence;
  readonly cache: PagedCache;
  /** Blocks that it may need until its end. */
  readonly reserved: number;
}

/**
 * Continuous batching (Yu et al. 2022, "Orca"): requests join the batch as soon as others leave it, between any two decode
 * steps. In the loop of `steps`, a batch runs until its longest sequence is finished, and the others are padded; here
 * each sequence is at a position of its own, and no position is computed in vain.
 *
 * A request joins if the pool has blocks for its full length. Prompts that begin with the same tokens as one that is
 * running share its blocks. Tokens are those of `steps`.
 *
 * @throws what `steps` throws, and InputError for a maxBatch below 1 and a request that exceeds the whole pool
 */
export async function* schedule(
  model: Llama,
  requests: readonly Request[],
  options: ScheduleOptions,
): AsyncGenerator<ScheduledCall, void, void> {
  const { blocks, blockSize, maxBatch, signal, prefillChunk = PREFILL_CHUNK, stopIds } = options;
  const blocksOf = ({ prompt, maxGenLen }: Request) => Math.ceil((prompt.length + maxGenLen) / blockSize);
  if (!Number.isInteger(maxBatch) || maxBatch < 1) {
    throw new InputError(`maxBatch must be a whole number >= 1, got ${maxBatch}`);
  }
  for (const [i, request] of requests.entries()) {
    const { maxGenLen } = request;
    checkedLength([request.prompt], { ...options, maxGenLen, useCache: true }, model);
    if (blocksOf(request) > blocks) {
      throw new InputError(`request ${i} must fit in ${blocks} blocks, got ${blocksOf(request)}`);
    }
  }
  const rotary = new RotaryEmbedding(model.config);
  const memory = new BlockMemory(model.config, blocks, blockSize);
  const waiting = [...requests.entries()];
  let running: Running[] = [];
  const sample = ({ request, sequence }: Running, logits: Float32Array): number => {
    const curPos = sequence.tokens.length;
    return sequence.advance(curPos, () => sampleToken(logits, request, curPos, options)).id;
  };
  const leave = (): number[] => {
    const finished = running.filter(({ sequence }) => sequence.finished);
    for (const { cache } of finished) cache.dispose();
    running = running.filter(({ sequence }) => !sequence.finished);
    return finished.map(({ request }) => request);
  };
  try {
    while (waiting.length > 0 || running.length > 0) {
      await yieldToEventLoop(signal);
      const reserved = running.reduce((sum, one) => sum + one.reserved, 0);
      const next = waiting[0];
      if (next && running.length < maxBatch && reserved + blocksOf(next[1]) <= blocks) {
        const [request, { prompt, maxGenLen }] = waiting.shift()!;
        const cache = PagedCache.find(memory, prompt, prompt.length + maxGenLen, prefillChunk);
        const sequence = new Sequence(prompt, maxGenLen, stopIds);
        const one: Running = { request, sequence, cache, reserved: blocksOf(next[1]) };
        running.push(one);
        const inputIds = prompt.slice(cache.length);
        const logits = await readLogits(model.forward([inputIds], cache), prompt.length);
        cache.remember(prompt);
        const tokens = [sample(one, logits[0]!)];
        const positions = inputIds.length;
        yield {
          kind: "prefill",
          requests: [request],
          tokens,
          positions,
          finished: leave(),
          blocks: memory.pool.used,
        };
        continue;
      }
      const batch = running;
      const logits = tf.tidy(() => {
        const step = raggedStep(
          memory,
          batch.map(({ cache }) => cache),
          rotary,
        );
        const ids = tf.tensor1d(
          batch.map(({ sequence }) => sequence.tokens.at(-1)!),
          "int32",
        ); // [B]
        return model.logits({ ids, positions: step.positions, last: undefined }, step.layers); // [B, V]
      });
      for (const { cache } of batch) cache.length++;
      const nameOf = ({ request, sequence }: Running) =>
        `request ${request} at position ${sequence.tokens.length}`;
      const values = await readRows(logits, (row) => nameOf(batch[row]!));
      const tokens = batch.map((one, i) => sample(one, values[i]!));
      yield {
        kind: "decode",
        requests: batch.map(({ request }) => request),
        tokens,
        positions: batch.length,
        finished: leave(),
        blocks: memory.pool.used,
      };
    }
  } finally {
    memory.dispose();
  }
}
