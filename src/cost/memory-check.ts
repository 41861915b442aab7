import { getBackend, memory } from "@tensorflow/tfjs-core";
import { type MemoryLimit, memoryLimits } from "../backend/memory-limit.js";
import { cacheBytes, FLOAT32, weightBytes } from "./cost.js";
import { InputError } from "../util/errors.js";
import { bytesOfKind, type GenerationSize, largestTensor, predictMemory } from "./predicted-memory.js";
import type { ModelConfig } from "../model/config.js";

const GIB = 2 ** 30;

/**
 * Rejects a model that does not fit in the backend's memory, before its weights are read.
 *
 * @param what   name of the model, for the error
 * @param copies of the weights at the peak; see `weightCopies`
 * @throws InputError with required and available memory, and what would fit
 */
export function checkWeightsFit(config: ModelConfig, what: string, copies = 1): void {
  const model = copies > 1 ? `${what} in graph mode` : what;
  check(tensorBytes() + copies * weightBytes(config), model, (limit) => {
    const parameters = Math.max(0, limit.bytes - tensorBytes()) / (copies * FLOAT32);
    const elsewhere = getBackend() === "wasm" ? "; backend tensorflow has no such limit" : "";
    return `a model of at most ${(parameters / 1e9).toFixed(2)} billion parameters would fit${elsewhere}`;
  });
}

/**
 * Rejects a generation whose cache and activations do not fit beside the loaded model.
 *
 * @param capacity of the cache that is still to be allocated; by default that of the generation, 0 for none
 * @throws InputError with required and available memory, and what would fit
 */
export function checkGenerationFits(config: ModelConfig, size: GenerationSize, capacity?: number): void {
  const { batch, input, output, past = 0 } = size;
  const needed = (other: Partial<GenerationSize> = {}): number => {
    const { cache, activations } = predictMemory(config, { ...size, ...other });
    const bytes = bytesOfKind(size.cacheKind);
    const cached = capacity === undefined ? cache : bytes(config, other.batch ?? batch, capacity);
    return tensorBytes() + cached + activations;
  };
  const scores = (other: Partial<GenerationSize> = {}) => largestTensor(config, { ...size, ...other });
  const after = past > 0 ? ` after ${past} cached ones` : "";
  const inCache = capacity ? `, in a KV cache of ${capacity} positions,` : "";
  const what = `a batch of ${batch} with ${input} prompt tokens${after} and ${output} to generate${inCache}`;
  const advice = ({ bytes, elements = Infinity }: MemoryLimit): string => {
    const fits = (other: Partial<GenerationSize>) => needed(other) <= bytes && scores(other) <= elements;
    const positions = (capacity ?? 0) - Math.ceil((needed() - bytes) / cacheBytes(config, batch, 1));
    if (positions > past + input && scores() <= elements)
      return `a cache of ${positions} positions would fit`;
    const sequences = largest(batch - 1, (n) => fits({ batch: n }));
    if (sequences > 0) return `a batch of ${sequences} would fit`;
    const tokens = largest(input - 1, (n) => fits({ batch: 1, input: n }));
    return tokens > 0 ? `a prompt of ${tokens} tokens would fit` : "not even a batch of 1 would fit";
  };
  check(needed(), what, advice);
  const limit = memoryLimits.get(getBackend());
  if (!limit?.elements || scores() <= limit.elements) return;
  throw new InputError(
    `${what} must have at most ${limit.elements} attention scores in a layer on backend ${getBackend()}, ` +
      `got ${scores()}: ${advice(limit)}`,
  );
}

/** The largest whole number from 0 to `most` that fits; smaller ones than a fitting one fit too. */
function largest(most: number, fits: (n: number) => boolean): number {
  let [low, high] = [0, Math.max(0, most)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Bytes of all live tensors. */
const tensorBytes = (): number => memory().numBytes;

function check(needed: number, what: string, fitting: (limit: MemoryLimit) => string): void {
  const backend = getBackend();
  const limit = memoryLimits.get(backend);
  if (!limit || needed <= limit.bytes) return;
  throw new InputError(
    `${what} must fit in ${gibibytes(limit.bytes)} on backend ${backend} ${limit.source}, ` +
      `got ${gibibytes(needed)}: ${fitting(limit)}`,
  );
}

const gibibytes = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;
