import { type Request, schedule } from "../../src/generation/scheduler.js";
import { steps } from "../../src/generation/steps.js";
import { BATCH_SIZES } from "./settings.js";
import { greedy, type Subject } from "./subject.js";

/** Prompts, and tokens to generate after each. */
const REQUESTS: readonly (readonly [prompt: string, maxGenLen: number])[] = [
  ["Once upon a time", 14],
  ["The king", 4],
  ["There was once a poor", 7],
  ["A wolf", 3],
  ["Far away there lived", 12],
  ["The queen", 6],
];

/** A request's part of one forward pass. */
export interface Part {
  readonly request: number;
  /** Positions computed. */
  readonly positions: number;
  /** False if the request had finished, so that its positions are padding. */
  readonly useful: boolean;
}

/** All forward passes of one way to batch, in order. */
export type Timeline = readonly (readonly Part[])[];

/** The same requests in fixed batches, and with continuous batching. */
export interface Batching {
  readonly requests: readonly { readonly promptLength: number; readonly maxGenLen: number }[];
  readonly fixed: Timeline;
  readonly continuous: Timeline;
  /** True if both chose the same tokens. */
  readonly identical: boolean;
}

/** Runs requests both ways. @param choice index into `BATCH_SIZES` */
export async function batching({ model, tokenizer }: Subject, choice: number): Promise<Batching> {
  const size = BATCH_SIZES[choice]!;
  const requests = REQUESTS.map(([text, maxGenLen]) => ({ prompt: tokenizer.encode(text), maxGenLen }));
  const tokens = { fixed: requests.map((): number[] => []), continuous: requests.map((): number[] => []) };

  const fixed: Part[][] = [];
  for (let first = 0; first < requests.length; first += size) {
    const batch = requests.slice(first, first + size);
    const prompts = batch.map(({ prompt }) => prompt);
    const longest = Math.max(...batch.map(({ maxGenLen }) => maxGenLen));
    const done = (i: number) => tokens.fixed[first + i]!.length === batch[i]!.maxGenLen;
    for await (const { prevPos, curPos, next } of steps(model, prompts, greedy(longest))) {
      const positions = curPos - prevPos;
      fixed.push(batch.map((_, i) => ({ request: first + i, positions, useful: !done(i) })));
      for (const [i, { id, source }] of next.entries())
        if (source === "model" && !done(i)) tokens.fixed[first + i]!.push(id);
      if (batch.every((_, i) => done(i))) break;
    }
  }

  const continuous: Part[][] = [];
  for await (const call of schedule(model, requests, {
    ...greedy(1),
    ...poolFor(requests),
    maxBatch: size,
  })) {
    const positions = call.positions / call.requests.length;
    continuous.push(call.requests.map((request) => ({ request, positions, useful: true })));
    for (const [i, request] of call.requests.entries()) tokens.continuous[request]!.push(call.tokens[i]!);
  }
  return {
    requests: requests.map(({ prompt, maxGenLen }) => ({ promptLength: prompt.length, maxGenLen })),
    fixed,
    continuous,
    identical: JSON.stringify(tokens.fixed) === JSON.stringify(tokens.continuous),
  };
}

/** Blocks for all requests at once, so that only the batch size limits how many run. */
function poolFor(requests: readonly Request[]): { readonly blocks: number; readonly blockSize: number } {
  const blockSize = 4;
  const blocksOf = ({ prompt, maxGenLen }: Request) => Math.ceil((prompt.length + maxGenLen) / blockSize);
  return { blocks: requests.reduce((sum, request) => sum + blocksOf(request), 0), blockSize };
}
