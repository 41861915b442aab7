import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { spread } from "../measure.js";
import { writeResults } from "../../write-file.js";
import type { AgainstCell } from "./cells.js";

// One cell in llama.cpp, for `npm run against`: a process of its own, as everyone has. The step is that of the others:
// every row is fed, and its best token has come back. Keys and values are float32, and flash attention is off: with it the
// tokens were others than everybody's, with a cache in float32, too.

/** Of node-llama-cpp, what is used here; it is no dependency. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
  }>;
}

interface Sequence {
  clearHistory(): Promise<void>;
  /** Feeds ids; after one that is paired with options, the next token is chosen. */
  controlledEvaluate(
    input: readonly (number | readonly [number, object])[],
  ): Promise<readonly ({ readonly next: { readonly token: number } } | undefined)[]>;
}

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { module: text, model: text, vocabulary: text, threads: text, batch: text, input: text, output: text, out: text } }); // prettier-ignore
const [vocabulary, threads, batch, input, output] = [values.vocabulary, values.threads, values.batch, values.input, values.output].map(Number) as [number, number, number, number, number]; // prettier-ignore

const { getLlama } = (await import(pathToFileURL(values.module!).href)) as NodeLlamaCpp;
const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error", progressLogs: false }); // prettier-ignore
const model = await llama.loadModel({ modelPath: values.model! });
const context = await model.createContext({
  sequences: batch,
  contextSize: input + output,
  threads: { ideal: threads, min: threads },
  flashAttention: false,
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
});
const rows = Array.from({ length: batch }, () => context.getSequence());

await generate(2); // warm-up
const cell = await generate(output);
await writeResults(values.out!, cell);
process.exit(); // its threads would keep it

/** Generates greedily after the bench's prompts. */
async function generate(length: number): Promise<AgainstCell> {
  for (const row of rows) await row.clearHistory();
  let fed = rows.map((_, row) => Array.from({ length: input }, (__, i) => (7919 * i + 104_729 * row + 1) % vocabulary)); // prettier-ignore
  const stepMs: number[] = [];
  const chosen: number[][] = rows.map(() => []);
  for (let step = 0; step < length; step++) {
    const started = performance.now();
    const next = await Promise.all(rows.map((row, i) => best(row, fed[i]!)));
    stepMs.push(performance.now() - started);
    for (const [row, token] of next.entries()) chosen[row]!.push(token);
    fed = next.map((token) => [token]);
  }
  const seconds = stepMs.reduce((sum, ms) => sum + ms, 0) / 1000;
  return {
    by: "llama.cpp",
    useCache: true,
    batch,
    input,
    output: length,
    seconds,
    firstTokenMs: stepMs[0]!,
    stepMs: spread(stepMs.slice(1)).median,
    samples: [seconds],
    tokensSha256: createHash("sha256").update(JSON.stringify(chosen)).digest("hex"),
  };
}

async function best(row: Sequence, ids: readonly number[]): Promise<number> {
  const greedily = { generateNext: { token: true, options: { temperature: 0 } } };
  const outputs = await row.controlledEvaluate([...ids.slice(0, -1), [ids.at(-1)!, greedily]]);
  return outputs.at(-1)!.next.token;
}
