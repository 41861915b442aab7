import { checkGenerationFits } from "../cost/memory-check.js";
import { InputError } from "../util/errors.js";
import type { ModelConfig } from "../model/config.js";
import { checkTokenIds } from "../model/check-tokens.js";
import type { Cache } from "../model/model.js";
import { checkSampling } from "./sampling.js";
import type { StepOptions } from "./steps.js";

/**
 * Checks what a generation was asked for, before anything is computed.
 *
 * @returns the length that the longest row can reach
 * @throws InputError for the first thing that is wrong
 */
export function checkedLength(
  prompts: readonly (readonly number[])[],
  options: StepOptions,
  config: ModelConfig,
): number {
  const { maxGenLen } = options;
  const { maxSeqLen, vocabSize } = config;
  checkSampling(options);
  if (!Number.isInteger(maxGenLen) || maxGenLen < 1) {
    throw new InputError(`maxGenLen is ${maxGenLen}, expected a whole number from 1 up`);
  }
  if (prompts.length === 0)
    throw new InputError("the list of prompts is empty, expected at least one prompt");
  for (const [row, ids] of prompts.entries()) {
    const { length } = ids;
    checkTokenIds(ids, row, vocabSize);
    if (length === 0) throw new InputError(`prompt ${row} has no tokens, expected at least one`);
    if (length + maxGenLen > maxSeqLen) {
      throw new InputError(
        `prompt ${row} has ${length} tokens and ${maxGenLen} are to be generated, ` +
          `${length + maxGenLen} together; the model's context has room for ${maxSeqLen}`,
      );
    }
  }
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  if (options.cache) checkCache(options.cache, prompts, longest + maxGenLen, options.useCache);
  const past = options.cache?.length ?? 0;
  const size = { batch: prompts.length, input: longest - past, output: maxGenLen, past };
  checkGenerationFits(config, { ...size, useCache: options.useCache }, options.cache ? 0 : undefined);
  return longest + maxGenLen;
}

/** A cache from before must have room, and be for the one row that is continued. */
function checkCache(
  cache: Cache,
  prompts: readonly (readonly number[])[],
  total: number,
  useCache: boolean,
): void {
  if (!useCache)
    throw new InputError("a KV cache was given, and useCache is false; expected one or the other");
  if (prompts.length !== 1)
    throw new InputError(
      `a KV cache was given for ${prompts.length} prompts, expected one that it continues`,
    );
  if (cache.length >= prompts[0]!.length) {
    throw new InputError(
      `the KV cache holds ${cache.length} positions, expected fewer than the prompt's ${prompts[0]!.length}`,
    );
  }
  if (total > cache.maxSeqLen)
    throw new InputError(`the KV cache has room for ${cache.maxSeqLen} positions, ${total} were asked for`);
}
