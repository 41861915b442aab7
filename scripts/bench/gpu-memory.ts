import { cacheBytes, weightBytes } from "../../src/cost/cost.js";
import { weightCopies } from "../../src/cost/predicted-memory.js";
import { LONGEST_CHUNK } from "../../src/graph/call-sizes.js";
import { GROUP_BYTES } from "../../src/graph/session.js";
import { type ModelConfig, predictMemory } from "../../src/index.js";
import { run } from "../../src/util/run-command.js";

/** Bytes in use on the first GPU, by any process; null without nvidia-smi. */
export async function usedOnGpu(): Promise<number | null> {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  const { ok, stdout } = await run("nvidia-smi", query);
  return ok ? Number.parseInt(stdout, 10) * 2 ** 20 : null;
}

/**
 * Predicts the peak memory of an XLA-compiled generation on a GPU, of a model that was read from a file, beside what CUDA
 * itself takes. Of the activations of `predictMemory`, whose tensors all exist at once, a compiled call stores about half.
 * While XLA tries the matmuls of a call it has a copy of the largest matrix, the LM head.
 */
export function predictedOnGpu(
  config: ModelConfig,
  { batch, input, output }: { readonly batch: number; readonly input: number; readonly output: number },
  bfloat16: boolean,
): number {
  const copies = weightCopies(true, bfloat16, true, "cuda");
  const { activations } = predictMemory(config, {
    batch,
    input,
    output,
    useCache: true,
    longestChunk: LONGEST_CHUNK,
  });
  const head = (bfloat16 ? 2 : 4) * config.vocabSize * config.hiddenSize;
  const running = cacheBytes(config, batch, input + output) + activations / 2;
  return copies * weightBytes(config) + Math.max(head + GROUP_BYTES, running);
}
