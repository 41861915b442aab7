import { basename } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { PUBLISHED } from "../../../src/cost/attention-kinds.js";
import { weightBytes } from "../../../src/cost/cost.js";
import { LOGIT_TOLERANCE } from "../../../src/generation/compare.js";
import { compareCaches, isAsPromised } from "../../../src/generation/compare-caches.js";
import { type Model, steps } from "../../../src/index.js";
import { type CacheKind, CACHES } from "../../../src/model/generation-cache.js";
import { type CacheOptions, cacheSettings, kindsOf } from "../../cache-options.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions } from "../../model-options.js";
import { LECTURE_PROMPTS } from "../../lecture-prompts.js";
import { openBackend, openCheckpoint } from "../../open-model.js";
import { clearProgress, showProgress } from "../../terminal.js";
import { GREEDY, spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, several, studyOf } from "../study.js";
import { tableOf } from "../table.js";

interface Options extends ModelOptions, Omit<CacheOptions, "cache"> {
  readonly cache: CacheKind["type"][];
  readonly output: number;
  readonly repeat: number;
}

/** Length of a sequence in positions, and bytes of memory for caches beside the weights. */
const [POSITIONS, MEMORY] = [8192, 80e9];

const description =
  "Compares caches with the plain one: bytes, time of a decode step, and what a lossy cache loses. Exit code 1 if a " +
  "cache is worse than its kind promises.";
const program = command("bench", description)
  .addOption(several("--cache <kinds>", "KV caches", CACHES, [...CACHES]))
  .option("--output <n>", "tokens generated for each prompt", integer(2), 64)
  .option("--repeat <n>", "timed generations of each", integer(), 5)
  .addOption(jsonOption());
for (const option of cacheSettings()) program.addOption(option);

interface CacheCase {
  readonly cache: CacheKind["type"];
  readonly name: string;
  readonly exact: boolean;
  readonly asPromised: boolean;
  /** Of a sequence of 8,192 positions. */
  readonly bytesPerToken: number;
  /** Of one sequence of `positions`. */
  readonly bytes: { readonly positions: number; readonly predicted: number; readonly measured: number };
  /** Sequences of 8,192 positions in 80 GB beside the weights. */
  readonly sequences: number;
  readonly stepMs: Spread;
  readonly maxLogitDifference: number;
  /** From the plain cache, in nats per token. */
  readonly divergence: number;
  readonly sameTop1: number;
  readonly perplexity: { readonly plain: number; readonly cache: number };
}

/** Caches compared with the plain one. */
interface CacheResults extends Results<"caches"> {
  readonly cases: readonly CacheCase[];
}

/** Compares caches with the plain one. */
export const study = studyOf<Options, CacheResults>({
  name: "caches",
  program,
  async measure(options, signal) {
    const { cache, output, repeat } = options;
    const kinds = kindsOf(options, cache);
    const { backend, model, tokenizer } = await openCheckpoint(options, await openBackend(options));
    const prompts = LECTURE_PROMPTS.map((text) => tokenizer.encode(text));
    const { stopIds } = tokenizer;

    // Timed alternately, so that whatever slows the machine down slows all of them.
    const stepMs = kinds.map((): number[] => []);
    for (let run = 0; run <= repeat; run++) {
      for (const [i, cacheKind] of kinds.entries()) {
        showProgress(`${cacheKind.name}: run ${run}`);
        const times = await decodeTimes(model, prompts.at(-1)!, output, cacheKind, signal);
        if (run > 0) stepMs[i]!.push(...times); // run 0 warms up
      }
    }
    const cases: CacheCase[] = [];
    for (const [i, kind] of kinds.entries()) {
      showProgress(`${kind.name}: comparing`);
      const compared = await compareCaches(model, prompts, kind, {
        ...GREEDY,
        maxGenLen: output,
        stopIds,
        signal,
      });
      const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0) + output;
      const bound = kind.maxDivergence(model.config, longest);
      const { maxLogitDifference, divergence, sameTop1, perplexity } = compared;
      const bytes = kind.bytes(model.config, 1, POSITIONS);
      cases.push({
        cache: kind.type,
        name: kind.name,
        exact: bound === 0,
        asPromised: isAsPromised(compared, bound, LOGIT_TOLERANCE),
        bytesPerToken: bytes / POSITIONS,
        bytes: {
          positions: longest,
          predicted: kind.bytes(model.config, 1, longest),
          measured: measuredBytes(model, kind, longest),
        },
        sequences: Math.floor((MEMORY - weightBytes(model.config)) / bytes),
        stepMs: spread(stepMs[i]!),
        maxLogitDifference,
        divergence,
        sameTop1,
        perplexity,
      });
    }
    clearProgress();
    console.log(`${prompts.length} prompts, ${output} tokens each, on ${backend.description}`);
    return { backends: [backend], model: basename(options.checkpoint), cases };
  },
  tables: ({ cases }) => [
    tableOf(cases, {
      cache: ({ name }) => name,
      kind: ({ exact }) => (exact ? "exact" : "lossy"),
      "bytes/token": ({ bytesPerToken }) => bytesPerToken.toFixed(0),
      bytes: ({ bytes }) => `${bytes.measured}`,
      "8k in 80 GB": ({ sequences }) => `${sequences}`,
      "step ms": ({ stepMs }) => stepMs.median.toFixed(2),
      "max logit": ({ maxLogitDifference: most }) => `${most && most.toPrecision(2)}`,
      KL: ({ divergence }) => `${divergence && divergence.toPrecision(2)}`,
      "top 1": ({ sameTop1 }) => `${(100 * sameTop1).toFixed(1)} %`,
    }),
    tableOf(PUBLISHED, {
      "published model": ({ name }) => name,
      attention: ({ attention }) => attention,
      "KiB/token in 16 bits": ({ bytes }) => (bytes / 1024).toFixed(1),
      "GB of 8k": ({ bytes }) => ((bytes * POSITIONS) / 1e9).toFixed(2),
    }),
  ],
  verdict({ cases }) {
    const bad = cases.filter(({ asPromised, bytes }) => !asPromised || bytes.measured !== bytes.predicted);
    const good = bad.length === 0;
    const names = bad.map(({ name }) => name).join("; ");
    return { good, text: good ? "every cache is within its bounds" : `beyond their bounds: ${names}` };
  },
});

/** Times of the decode steps of one generation, in milliseconds. */
async function decodeTimes(
  model: Model,
  prompt: readonly number[],
  maxGenLen: number,
  cacheKind: CacheKind,
  signal: AbortSignal,
): Promise<number[]> {
  const times: number[] = [];
  let started = 0;
  for await (const { iteration } of steps(model, [prompt], {
    ...GREEDY,
    maxGenLen,
    useCache: true,
    cacheKind,
    signal,
  })) {
    if (iteration > 1) times.push(performance.now() - started);
    started = performance.now();
  }
  return times;
}

function measuredBytes(model: Model, kind: CacheKind, capacity: number): number {
  const before = tf.memory().numBytes;
  const cache = model.createCache(1, capacity, kind);
  const bytes = tf.memory().numBytes - before;
  cache.dispose();
  return bytes;
}
