import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { checkpointHash, restoreCache, saveCache } from "../../../src/checkpoint/cache-file.js";
import { largestDifference } from "../../../src/generation/compare.js";
import { readLogits } from "../../../src/generation/sampling.js";
import { InputError, Llama } from "../../../src/index.js";
import { KVCache } from "../../../src/model/kv-cache.js";
import { integer, integers } from "../../cli.js";
import { command, type ModelOptions } from "../../model-options.js";
import { openBackend, openCheckpoint } from "../../open-model.js";
import { clearProgress, showProgress } from "../../terminal.js";
import { cpuTime, spread } from "../measure.js";
import type { Results, Spread } from "../results.js";
import { jsonOption, printTitle, studyOf } from "../study.js";
import { type Table, tableOf } from "../table.js";
import { TALE } from "./sinks.js";

interface Options extends ModelOptions {
  readonly positions: number[];
  readonly repeat: number;
}

const description =
  "CPU time to restore a prefix's keys and values from a file against that to compute them. Exit code 1 unless the " +
  "logits after both are equal.";
const program = command("bench", description)
  .option("--positions <n>", "lengths of the prefix, comma-separated", integers(), [200, 900])
  .option("--repeat <n>", "timed runs of each", integer(), 7)
  .addOption(jsonOption());

interface RestoreCase {
  readonly positions: number;
  readonly fileBytes: number;
  readonly computeMs: Spread;
  readonly saveMs: Spread;
  readonly restoreMs: Spread;
  /** Between the logits at the next position after both. */
  readonly maxLogitDifference: number;
}

/** Restoring a prefix against computing it, in CPU time. */
export interface Restore extends Results<"restore"> {
  readonly cases: readonly RestoreCase[];
}

/** Measures how long it takes to restore a saved cache. */
export const study = studyOf<Options, Restore>({
  name: "restore",
  program,
  async measure({ positions, repeat, ...options }, signal) {
    const { backend, model, tokenizer } = await openCheckpoint(options, await openBackend(options));
    if (!(model instanceof Llama)) throw new InputError("--execution must be eager for a saved cache");
    const name = basename(options.checkpoint);
    printTitle(name, backend);
    const hash = await checkpointHash(options.checkpoint);
    const text = tokenizer.encode(await readFile(TALE, "utf8"));
    const directory = await mkdtemp(join(tmpdir(), "restore-"));
    const cases: RestoreCase[] = [];
    try {
      for (const length of positions) {
        if (length >= text.length) {
          throw new InputError(`--positions must be below ${text.length} for this tokenizer, got ${length}`);
        }
        const ids = text.slice(0, length + 1);
        const file = join(directory, `${length}.bin`);
        const times = { compute: [] as number[], save: [] as number[], restore: [] as number[] };
        let maxLogitDifference = 0;
        // Alternated, so that whatever slows the machine down slows all three.
        for (let run = 0; run <= repeat; run++) {
          signal.throwIfAborted();
          showProgress(`${length} positions: run ${run}`);
          const cache = new KVCache(model.config, 1, length + 1);
          const compute = await cpuTime(async () => {
            await readLogits(model.forward([ids.slice(0, length)], cache), length);
          });
          const save = await cpuTime(() => saveCache(file, cache, ids, hash));
          let restored: KVCache | undefined;
          const restore = await cpuTime(async () => {
            ({ cache: restored } = await restoreCache(file, model.config, hash, length + 1, ids));
          });
          const [one, other] = [cache, restored!].map((each) =>
            readLogits(model.forward([ids.slice(-1)], each), length + 1),
          );
          maxLogitDifference = Math.max(maxLogitDifference, largestDifference(await one!, await other!));
          cache.dispose();
          restored!.dispose();
          if (run === 0) continue; // warms up
          times.compute.push(compute);
          times.save.push(save);
          times.restore.push(restore);
        }
        cases.push({
          positions: length,
          fileBytes: (await stat(file)).size,
          computeMs: spread(times.compute),
          saveMs: spread(times.save),
          restoreMs: spread(times.restore),
          maxLogitDifference,
        });
      }
    } finally {
      await rm(directory, { recursive: true });
      clearProgress();
    }
    return { backends: [backend], model: name, cases };
  },
  tables: ({ cases }) => [restoreTable(cases)],
  verdict({ cases }) {
    const good = cases.every(({ maxLogitDifference }) => maxLogitDifference === 0);
    return { good, text: good ? "logits equal" : "logits different" };
  },
});

/** Times to compute, save and restore. */
export const restoreTable = (cases: readonly RestoreCase[]): Table =>
  tableOf(cases, {
    positions: ({ positions }) => `${positions}`,
    "file bytes": ({ fileBytes }) => fileBytes.toLocaleString("en-US"),
    "compute ms": ({ computeMs }) => computeMs.median.toFixed(0),
    "save ms": ({ saveMs }) => saveMs.median.toFixed(1),
    "restore ms": ({ restoreMs }) => restoreMs.median.toFixed(1),
    "compute/restore": ({ computeMs, restoreMs }) => (computeMs.median / restoreMs.median).toFixed(0),
  });
