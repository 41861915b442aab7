import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import type { Measurement } from "./measure.js";

/** What one mode did: its runs, and the file with all scores of the first. */
export interface ModeRuns {
  readonly runs: readonly Measurement[];
  readonly scoresFile: string;
}

/** Whether two modes computed the same. */
export interface Verdict {
  readonly identical: boolean;
  readonly maxScoreDifference: number;
  readonly difference: string | null;
}

/**
 * Compares the measured runs of both modes by the rules of `compareModes`: every token, and every score up to the first
 * different token, which may differ by rounding and no more. The tokens are those of all runs, the scores those of the
 * first.
 *
 * @param rounding how far scores may be apart: `LOGIT_TOLERANCE`, or more where products are rounded on purpose (TF32)
 */
export function compareRuns(
  cached: ModeRuns,
  uncached: ModeRuns,
  input: number,
  rounding = LOGIT_TOLERANCE,
): Verdict {
  const [reference, other] = [cached.runs[0]!.tokens, uncached.runs[0]!.tokens];
  const B = reference.length;
  const output = reference[0]!.length;
  const scores = [new Scores(cached.scoresFile, output), new Scores(uncached.scoresFile, output)] as const;
  let maxScoreDifference = 0;
  let difference: string | null = null;
  try {
    for (let step = 0; step < output && difference === null; step++) {
      const [a, b] = [scores[0].next(), scores[1].next()];
      for (let i = 0; i < a.length; i++)
        maxScoreDifference = Math.max(maxScoreDifference, Math.abs(a[i]! - b[i]!));
      const row = reference.findIndex((tokens, r) => tokens[step] !== other[r]![step]);
      if (row < 0) continue;
      const gap = (all: Float32Array) => twoBestApart(all, row, B).toPrecision(2);
      difference =
        `row ${row}, position ${input + step}: ${reference[row]![step]} with the cache (its two best scores are ` +
        `${gap(a)} apart), ${other[row]![step]} without (${gap(b)} apart)`;
    }
  } finally {
    for (const file of scores) file.close();
  }
  for (const [title, { runs }] of [
    ["with", cached],
    ["without", uncached],
  ] as const) {
    // prettier-ignore
    const tokens = runs.map((run) => JSON.stringify(run.tokens));
    const unlike = tokens.findIndex((text) => text !== tokens[0]);
    if (unlike >= 0) difference ??= `${title} the cache, run ${unlike + 1} chose other tokens than run 1`;
  }
  if (difference === null && maxScoreDifference > rounding) {
    difference = `scores are ${maxScoreDifference.toPrecision(2)} apart, rounding explains ${rounding}; the tokens are the same by luck`; // prettier-ignore
  }
  return { identical: difference === null, maxScoreDifference, difference };
}

/** The scores of one step after the other, [B, V] each, as a cell's process wrote them. */
class Scores {
  private readonly file: number;
  private readonly length: number;

  constructor(path: string, steps: number) {
    this.file = openSync(path, "r");
    this.length = fstatSync(this.file).size / 4 / steps;
  }

  next(): Float32Array {
    const values = new Float32Array(this.length);
    readSync(this.file, values);
    return values;
  }

  close(): void {
    closeSync(this.file);
  }
}

function twoBestApart(scores: Float32Array, row: number, B: number): number {
  const V = scores.length / B;
  const sorted = scores.slice(row * V, (row + 1) * V).toSorted();
  return sorted[V - 1]! - sorted[V - 2]!;
}
