import { getBackend, memory } from "@tensorflow/tfjs-core";
import { type MemoryLimit, memoryLimit } from "../backend/memory-limit.js";
import { cacheBytes, FLOAT32, weightBytes } from "./cost.js";
import { InputError } from "../util/errors.js";
import { type GenerationSize, predictMemory } from "./predicted-memory.js";
import type { ModelConfig } from "../model/config.js";

const GIB = 2 ** 30;

/**
 * Refuses a model that the backend in use has no room for, before anything is read.
 *
 * @param what names the model in the error
 * @param copies how often the weights will be held, see `weightCopies`
 * @throws InputError with what it needs, what there is, and what would fit
 */
export function checkWeightsFit(config: ModelConfig, what: string, copies = 1): void {
  const needed = (bytes: number) => held(tensorBytes() + bytes);
  const model = copies > 1 ? `${what}, recorded,` : what;
  refuse(needed(copies * weightBytes(config)), model, (limit) => {
    const parameters = Math.max(0, limit.bytes / held(1) - tensorBytes()) / (copies * FLOAT32);
    const elsewhere = getBackend() === "wasm" ? ", or --backend tensorflow" : "";
    return `a model of at most ${(parameters / 1e9).toFixed(2)} billion parameters would fit${elsewhere}`;
  });
}

/**
 * The same for a generation with a model that is loaded: its cache, and the largest set of intermediate results.
 *
 * @param cachePositions that a cache is still to be made for; without it, as many as the generation comes to
 */
export function checkGenerationFits(
  config: ModelConfig,
  size: GenerationSize,
  cachePositions?: number,
): void {
  const { batch, input, output, past = 0 } = size;
  const needed = (rows: number): number => {
    const { cache, activations } = predictMemory(config, { ...size, batch: rows });
    const cached = cachePositions === undefined ? cache : cacheBytes(config, rows, cachePositions);
    return held(tensorBytes()) + cached + activations;
  };
  const after = past > 0 ? ` after ${past} others` : "";
  const room = cachePositions ? `, in a KV cache of ${cachePositions} positions,` : "";
  const what = `a batch of ${batch} with ${input} tokens of prompt${after} and ${output} to generate${room}`;
  refuse(needed(batch), what, ({ bytes }) => {
    const positions =
      (cachePositions ?? 0) - Math.ceil((needed(batch) - bytes) / cacheBytes(config, batch, 1));
    if (positions > past + input) return `a cache of ${positions} positions would fit`;
    let rows = batch;
    while (rows > 0 && needed(rows) > bytes) rows--;
    return rows > 0 ? `a batch of ${rows} would fit` : "not even one such prompt would fit";
  });
}

/**
 * The same for tensors of any kind.
 *
 * @param what   they are, for the error
 * @param advice on what would fit
 */
export function checkTensorsFit(bytes: number, what: string, advice: string): void {
  refuse(held(tensorBytes()) + bytes, what, () => advice);
}

/** Bytes of all tensors that exist now. */
const tensorBytes = (): number => memory().numBytes;

/** On wasm matrices are held twice, since XNNPACK keeps a packed copy of those that it multiplies by. */
const held = (bytes: number): number => (getBackend() === "wasm" ? 2 * bytes : bytes);

function refuse(needed: number, what: string, fitting: (limit: MemoryLimit) => string): void {
  const backend = getBackend();
  const limit = memoryLimit(backend);
  if (!limit || needed <= limit.bytes) return;
  throw new InputError(
    `${what} needs ${gibibytes(needed)} on backend ${backend}, which has room for ${gibibytes(limit.bytes)} ` +
      `${limit.source}; ${fitting(limit)}`,
  );
}

const gibibytes = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;
