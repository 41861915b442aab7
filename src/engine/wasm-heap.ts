import { getBackend } from "@tensorflow/tfjs-core";
import { weightBytes } from "../cost.js";
import { InputError } from "../errors.js";
import type { ModelConfig } from "../model/config.js";
import { predictMemory } from "../predicted-memory.js";

const GIB = 2 ** 30;

/** Of the heap's 4 GiB; the rest is for what no prediction sees. */
const LIMIT = 3.5 * GIB;

/**
 * Refuses what WebAssembly's heap cannot hold; does nothing on other engines. A full heap is no error there, it damages
 * memory: a model or a batch must not get that far.
 *
 * @param what names the model in the error
 * @throws InputError when the weights alone are too large: each matrix twice, since XNNPACK keeps a packed copy
 */
export function checkWeightsFit(config: ModelConfig, what: string): void {
  refuse(2 * weightBytes(config), what);
}

/** The same for a whole generation: weights, cache, and the largest set of intermediate results. */
export function checkHeap(
  config: ModelConfig,
  batchSize: number,
  input: number,
  output: number,
  kvCaching: boolean,
): void {
  const { weights, cache, activations } = predictMemory(config, batchSize, input, output, kvCaching);
  const what = `a batch of ${batchSize} with ${input} tokens of prompt and ${output} to generate`;
  refuse(2 * weights + cache + activations, what);
}

function refuse(needed: number, what: string): void {
  if (getBackend() !== "wasm" || needed <= LIMIT) return;
  throw new InputError(
    `${what} needs ${(needed / GIB).toFixed(1)} GiB on engine wasm, which has room for ${LIMIT / GIB} GiB; ` +
      "use --engine tensorflow",
  );
}
