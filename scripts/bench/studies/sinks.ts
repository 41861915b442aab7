import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheKind } from "../../../src/cache/cache-kind.js";
import { divergenceOf, logProbabilities } from "../../../src/generation/compare-caches.js";
import { argMax, readRows } from "../../../src/generation/sampling.js";
import { InputError, Llama } from "../../../src/index.js";
import type { CacheKind, GenerationCache } from "../../../src/model/generation-cache.js";
import { yieldToEventLoop } from "../../../src/util/event-loop.js";
import { integer } from "../../cli.js";
import { command, type ModelOptions } from "../../model-options.js";
import { openBackend, openCheckpoint } from "../../open-model.js";
import { clearProgress, showProgress } from "../../terminal.js";
import type { Results } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";

interface Options extends ModelOptions {
  readonly positions: number;
  readonly window: number;
  readonly sinks: number;
  readonly prefillChunk: number;
}

/** A tale of the corpus that no part of the bundled model was trained on. */
export const TALE = fileURLToPath(new URL("../../../fixtures/corpus/held-out-tale.txt", import.meta.url));

const description =
  "Perplexity of a long text with the plain cache, with a sliding window, and with a window of the same size whose " +
  "first positions are attention sinks. Only positions after twice the window count.";
const program = command("bench", description)
  .option("--positions <n>", "tokens of the text", integer(8), 640)
  .option("--window <n>", "positions that are kept, sinks included", integer(2), 128)
  .option("--sinks <n>", "of them, first positions of the text", integer(1), 4)
  .option("--prefill-chunk <n>", "tokens that one forward pass computes", integer(), 32)
  .addOption(jsonOption());

interface SinkCase {
  readonly name: string;
  /** Of the cache, for the whole text. */
  readonly bytes: number;
  readonly perplexity: number;
  /** Mean KL divergence from the plain cache, in nats per token. */
  readonly divergence: number;
  readonly sameTop1: number;
}

/** A window without and with attention sinks, against the plain cache. */
export interface Sinks extends Results<"sinks"> {
  readonly positions: number;
  readonly window: number;
  readonly sinks: number;
  /** The first position whose prediction counts. */
  readonly from: number;
  readonly cases: readonly SinkCase[];
}

/** Compares windows without and with attention sinks. */
export const study = studyOf<Options, Sinks>({
  name: "sinks",
  program,
  async measure({ positions, window, sinks, prefillChunk, ...options }, signal) {
    const from = 2 * window;
    if (sinks >= window) throw new InputError(`--sinks must be below --window ${window}, got ${sinks}`);
    if (positions <= from) {
      throw new InputError(
        `--positions must be more than twice --window, which is ${from}, got ${positions}`,
      );
    }
    const { backend, model, tokenizer } = await openCheckpoint(options, await openBackend(options));
    if (!(model instanceof Llama))
      throw new InputError("--execution must be eager for a cache with a window");
    const ids = tokenizer.encode(readFileSync(TALE, "utf8")).slice(0, positions + 1);
    if (ids.length <= positions) {
      throw new InputError(
        `--positions must be at most ${ids.length - 1} for this tokenizer, got ${positions}`,
      );
    }
    const name = basename(options.checkpoint);
    printTitle(name, backend);
    const sliding = { cache: "sliding", prefillChunk } as const;
    const kinds = [
      cacheKind({ cache: "plain", prefillChunk }),
      cacheKind({ ...sliding, window }),
      cacheKind({ ...sliding, window: window - sinks, sinks }),
    ];
    const losses = await lossesOf(model, ids, kinds, from, signal);
    const count = positions - from;
    const cases = kinds.map((kind, i): SinkCase => {
      const { negativeLog, divergence, same } = losses[i]!;
      return {
        name: kind.name,
        bytes: kind.bytes(model.config, 1, positions),
        perplexity: Math.exp(negativeLog / count),
        divergence: Math.max(0, divergence / count),
        sameTop1: same / count,
      };
    });
    return { backends: [backend], model: name, positions, window, sinks, from, cases };
  },
  tables: ({ cases }) => [sinkTable(cases)],
});

/** Windows without and with sinks. */
export const sinkTable = (cases: readonly SinkCase[]): Table =>
  tableOf(cases, {
    cache: ({ name }) => name,
    bytes: ({ bytes }) => bytes.toLocaleString("en-US"),
    perplexity: ({ perplexity }) => perplexity.toFixed(2),
    "KL from plain": ({ divergence }) => `${divergence && divergence.toPrecision(2)}`,
    "same top 1": ({ sameTop1 }) => `${(100 * sameTop1).toFixed(1)} %`,
  });

/** Sums over the positions from `from` on. */
interface Losses {
  negativeLog: number;
  divergence: number;
  same: number;
}

/** Computes the same text with several caches, chunk by chunk side by side; the first is the one to compare with. */
async function lossesOf(
  model: Llama,
  ids: readonly number[],
  kinds: readonly CacheKind[],
  from: number,
  signal: AbortSignal,
): Promise<Losses[]> {
  const T = ids.length - 1;
  const losses = kinds.map((): Losses => ({ negativeLog: 0, divergence: 0, same: 0 }));
  const caches: GenerationCache[] = [];
  try {
    for (const kind of kinds) caches.push(model.createCache(1, T, kind));
    const chunk = caches.reduce((least, { prefillChunk }) => Math.min(least, prefillChunk), Infinity);
    for (let start = 0; start < T; start += chunk) {
      await yieldToEventLoop(signal);
      showProgress(`position ${start} of ${T}`);
      const inputIds = ids.slice(start, Math.min(start + chunk, T));
      let plain: Float32Array[] | undefined;
      for (const [i, cache] of caches.entries()) {
        const logits = await readRows(model.forwardAll(inputIds, cache), (row) => `position ${start + row}`);
        plain ??= logits;
        for (let row = Math.max(0, from - start); row < logits.length; row++) {
          const [p, q] = [logProbabilities(plain[row]!), logProbabilities(logits[row]!)];
          const loss = losses[i]!;
          loss.negativeLog -= q[ids[start + row + 1]!]!;
          loss.divergence += divergenceOf(p, q);
          if (argMax(plain[row]!) === argMax(logits[row]!)) loss.same++;
        }
      }
    }
    return losses;
  } finally {
    for (const cache of caches) cache.dispose();
    clearProgress();
  }
}
