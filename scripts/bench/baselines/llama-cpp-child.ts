import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { writeResults } from "../../write-file.js";
import { benchPrompts, spread } from "../measure.js";
import type { RoundCase } from "./compare.js";

// One case in llama.cpp, in a process of its own like everyone's. A step is that of the others: it takes the ids of all
// sequences and ends when their greedy tokens have come back. Keys and values are float32, and flash attention is off:
// with it the tokens differed from all other programs', with a float32 cache, too.

/** The only argument, as JSON. */
export interface LlamaCppTask {
  readonly module: string;
  readonly model: string;
  readonly vocabSize: number;
  readonly threads: number;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
  readonly out: string;
}

/** The part of node-llama-cpp that is used here; it is no dependency. */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: object): Promise<{ getSequence(): Sequence }>;
    }>;
  }>;
}

interface Sequence {
  clearHistory(): Promise<void>;
  /** Evaluates ids; after one that is paired with options, the next token is chosen. */
  controlledEvaluate(
    input: readonly (number | readonly [number, object])[],
  ): Promise<readonly ({ readonly next: { readonly token: number } } | undefined)[]>;
}

const { module, model, vocabSize, threads, batch, input, output, out } = JSON.parse(
  process.argv[2]!,
) as LlamaCppTask;
const { getLlama } = (await import(pathToFileURL(module).href)) as NodeLlamaCpp;
const quiet = { logLevel: "error", progressLogs: false };
const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, ...quiet });
const context = await (
  await llama.loadModel({ modelPath: model })
).createContext({
  sequences: batch,
  contextSize: input + output,
  threads: { ideal: threads, min: threads },
  flashAttention: false,
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
});
const sequences = Array.from({ length: batch }, () => context.getSequence());

await generate(2); // warm-up
await writeResults(out, await generate(output));
process.exit(); // its threads would keep it

/** Generates greedily after the bench's prompts. */
async function generate(length: number): Promise<RoundCase> {
  for (const sequence of sequences) await sequence.clearHistory();
  let inputIds = benchPrompts(batch, input, vocabSize);
  const stepMs: number[] = [];
  const chosen: number[][] = sequences.map(() => []);
  for (let step = 0; step < length; step++) {
    const started = performance.now();
    const next = await Promise.all(sequences.map((sequence, i) => greedyToken(sequence, inputIds[i]!)));
    stepMs.push(performance.now() - started);
    for (const [i, token] of next.entries()) chosen[i]!.push(token);
    inputIds = next.map((token) => [token]);
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

async function greedyToken(sequence: Sequence, ids: readonly number[]): Promise<number> {
  const greedy = { generateNext: { token: true, options: { temperature: 0 } } };
  const outputs = await sequence.controlledEvaluate([...ids.slice(0, -1), [ids.at(-1)!, greedy]]);
  return outputs.at(-1)!.next.token;
}
