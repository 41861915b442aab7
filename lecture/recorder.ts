import type { Tensor } from "@tensorflow/tfjs-core";
import { stepCost } from "../src/cost/cost.js";
import { type Step, steps } from "../src/generation/steps.js";
import type { StepOptions } from "../src/generation/options.js";
import type { ModelConfig } from "../src/model/config.js";
import type { Model } from "../src/model/model.js";
import type { ProbeName } from "../src/model/probe.js";
import type { Candidate, RecordedRow, RecordedStep, RowKind } from "./trace.js";

/** Of every row's next-token candidates, so many are kept. */
const CANDIDATES = 6;

/** Rows that were computed again are kept again only where a number changed by more than this: more than rounding. */
const CHANGED = 1e-3;

const KINDS: Readonly<Partial<Record<ProbeName, RowKind>>> = {
  "attention.key": "key",
  "attention.value": "value",
  "attention.weights": "attention",
};

/** Which layers' keys, values and attention weights to keep: indices, or all. */
export type RecordedLayers = readonly number[] | "all";

/**
 * Runs one mode of a generation and keeps what a lecture shows of every step: what was fed and chosen, the likeliest
 * tokens, the time, and of some layers every K/V row and attention row that was computed.
 *
 * Without a cache a step computes all rows again, the same but for rounding. Such a row is kept once; what is kept of
 * its repetitions is how many there were and the largest change of any number.
 */
export class Recorder {
  /** The scores of the latest step, [B, V] flat. */
  logits: Float32Array = new Float32Array();
  private readonly run: AsyncGenerator<Step, void, void>;
  private readonly latest = new Map<string, Float32Array>(); // of every row that was kept
  private recording: Recording = newRecording();

  constructor(
    private readonly model: Model,
    private readonly prompts: readonly (readonly number[])[],
    private readonly options: Omit<StepOptions, "probe">,
    private readonly layers: RecordedLayers,
  ) {
    this.run = steps(model, prompts, { ...options, probe: (...seen) => this.see(...seen) });
  }

  /** Takes the next step; undefined after the last. Throws what `steps` throws. */
  async step(): Promise<RecordedStep | undefined> {
    this.recording = newRecording();
    const start = performance.now();
    const { value: step } = await this.run.next();
    if (!step) return undefined;
    const ms = performance.now() - start - this.recording.ms;
    const { prevPos, curPos } = step;
    const { useCache } = this.options;
    return {
      ...step,
      ms,
      cost: stepCost(this.model.config, this.prompts.length, curPos - prevPos, curPos, useCache),
      candidates: step.next.map((_, row) => candidates(this.rowLogits(row))),
      rows: this.recording.rows,
      largestChange: this.recording.largestChange,
    };
  }

  /** The scores that the latest step gave one row, V of them. */
  rowLogits(row: number): Float32Array {
    const V = this.model.config.vocabSize;
    return this.logits.subarray(row * V, (row + 1) * V);
  }

  /** Ends the generation and frees its cache. */
  async end(): Promise<void> {
    await this.run.return();
  }

  private see(name: ProbeName, layer: number | undefined, tensor: Tensor): void {
    const start = performance.now();
    if (name === "logits") this.logits = (tensor.dataSync() as Float32Array).slice();
    const kind = KINDS[name];
    if (kind && layer !== undefined && (this.layers === "all" || this.layers.includes(layer))) {
      this.keepRows(kind, layer, tensor);
    }
    this.recording.ms += performance.now() - start;
  }

  private keepRows(kind: RowKind, layer: number, tensor: Tensor): void {
    const B = this.prompts.length;
    const { heads, T, width } = rowShape(kind, this.model.config, B, tensor);
    const prevPos = this.options.useCache ? this.fedSoFar(kind, layer) : 0;
    const values = tensor.dataSync() as Float32Array;
    for (let line = 0; line < B * heads * T; line++) {
      const position = prevPos + (line % T);
      const head = Math.floor(line / T) % heads;
      const row = Math.floor(line / T / heads);
      const seen = values.subarray(line * width, (line + 1) * width);
      this.keepRow({ kind, layer, row, head, position, values: seen });
    }
  }

  /** Where the fed positions begin, by what was kept of this layer before. */
  private fedSoFar(kind: RowKind, layer: number): number {
    let position = 0;
    while (this.latest.has(rowKey({ kind, layer, row: 0, head: 0, position }))) position++;
    return position;
  }

  private keepRow(seen: RecordedRow): void {
    const key = rowKey(seen);
    const before = this.latest.get(key);
    const change = before ? largestDifference(before, seen.values) : Infinity;
    if (before) this.recording.largestChange = Math.max(this.recording.largestChange, change);
    if (change <= CHANGED) return;
    const values = seen.kind === "attention" ? withoutZeros(seen.values) : seen.values.slice();
    this.latest.set(key, values);
    this.recording.rows.push({ ...seen, values });
  }
}

/** What one step adds to the recording. */
interface Recording {
  readonly rows: RecordedRow[];
  largestChange: number;
  /** Time that recording took, to be taken out of the step's. */
  ms: number;
}

const newRecording = (): Recording => ({ rows: [], largestChange: 0, ms: 0 });

const rowKey = ({ kind, layer, row, head, position }: Omit<RecordedRow, "values">): string =>
  `${kind}/${layer}/${row}/${head}/${position}`;

/** Keys and values are [B*K, T, D]; attention weights [B, H, T, S] in memory, whatever their shape says. */
function rowShape(kind: RowKind, { nHeads, nKvHeads }: ModelConfig, B: number, { shape, size }: Tensor) {
  const width = shape.at(-1)!;
  const heads = kind === "attention" ? nHeads : nKvHeads;
  return { heads, width, T: size / width / heads / B };
}

/** A row of attention without what lies in the future, which the mask made 0. */
function withoutZeros(values: Float32Array): Float32Array {
  let end = values.length;
  while (end > 0 && values[end - 1] === 0) end--;
  return values.slice(0, end);
}

/** The largest difference of two lists of numbers; what one is longer by counts as compared with 0. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    largest = Math.max(largest, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  }
  return largest;
}

/** The likeliest tokens, best first, with the probabilities that softmax gives them (temperature 1). */
export function candidates(logits: Float32Array): Candidate[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    let place = best.length;
    while (place > 0 && logits[best[place - 1]!]! < logits[id]!) place--;
    if (place < CANDIDATES) best.splice(place, 0, id);
    if (best.length > CANDIDATES) best.pop();
  }
  const max = logits[best[0]!]!;
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  return best.map((id) => ({ id, probability: Math.exp(logits[id]! - max) / total }));
}
