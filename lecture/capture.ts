import type { Tensor } from "@tensorflow/tfjs-core";
import { stepCost } from "../src/cost/cost.js";
import type { StepOptions } from "../src/generation/options.js";
import { type Step, steps } from "../src/generation/steps.js";
import type { ModelConfig } from "../src/model/config.js";
import type { Model } from "../src/model/model.js";
import type { ProbeName } from "../src/model/probe.js";
import type { Candidate, CapturedStep, CapturedVector, VectorKind } from "./trace.js";

/** Candidates for the next token that are kept for each sequence. */
const CANDIDATES = 6;

/** A recomputed vector is captured again only if a number changed by more than this, which exceeds rounding error. */
const CHANGED = 1e-3;

const KINDS: Readonly<Partial<Record<ProbeName, VectorKind>>> = {
  "attention.query": "query",
  "attention.key": "key",
  "attention.value": "value",
  "attention.weights": "attention",
};

/** Layers whose keys, values and attention weights are captured: indices, or all. */
export type CapturedLayers = readonly number[] | "all";

/**
 * Runs one mode of a generation and captures what the lecture's page shows of each step: input ids and next tokens, the
 * most likely candidates, the time, and for the given layers every key, value and attention vector that was computed, and
 * the query of the last position, the only one that the next token depends on.
 *
 * Without the cache, a step recomputes the vectors of all positions, equal up to rounding. A vector is captured once; of
 * its repetitions, only the largest change of any number is kept.
 */
export class CapturedRun {
  /** The latest step; undefined before the first and after the last. */
  latest: CapturedStep | undefined;
  private logits: readonly Float32Array[] = []; // [V] for each sequence
  private readonly run: AsyncGenerator<Step, void, void>;
  private readonly known = new Map<string, Float32Array>(); // latest version of every captured vector
  private vectors: CapturedVector[] = [];
  private largestChange = 0;
  private captureMs = 0; // subtracted from the step's time

  constructor(
    private readonly model: Model,
    private readonly prompts: readonly (readonly number[])[],
    private readonly options: Omit<StepOptions, "probe" | "onLogits">,
    private readonly layers: CapturedLayers,
  ) {
    this.run = steps(model, prompts, {
      ...options,
      probe: (...activation) => this.capture(...activation),
      onLogits: (logits) => void (this.logits = logits),
    });
  }

  /** Runs the next step; undefined after the last. Throws what `steps` throws. */
  async step(): Promise<CapturedStep | undefined> {
    this.vectors = [];
    this.largestChange = this.captureMs = 0;
    const start = performance.now();
    const { value: step } = await this.run.next();
    const ms = performance.now() - start - this.captureMs;
    this.latest = step ? this.captured(step, ms) : undefined;
    return this.latest;
  }

  /** Logits of one sequence in the latest step, [V]. */
  logitsOf(sequence: number): Float32Array {
    return this.logits[sequence]!;
  }

  /** Ends the generation and frees its cache. */
  async end(): Promise<void> {
    await this.run.return();
  }

  private captured(step: Step, ms: number): CapturedStep {
    const { prevPos, curPos } = step;
    const { useCache } = this.options;
    return {
      ...step,
      ms,
      cost: stepCost(this.model.config, this.prompts.length, curPos - prevPos, curPos, useCache),
      candidates: step.next.map((_, sequence) => candidates(this.logitsOf(sequence))),
      vectors: this.vectors,
      largestChange: this.largestChange,
    };
  }

  private capture(name: ProbeName, layer: number | undefined, tensor: Tensor): void {
    const start = performance.now();
    const kind = KINDS[name];
    if (kind && layer !== undefined && (this.layers === "all" || this.layers.includes(layer))) {
      this.captureVectors(kind, layer, tensor);
    }
    this.captureMs += performance.now() - start;
  }

  private captureVectors(kind: VectorKind, layer: number, tensor: Tensor): void {
    const B = this.prompts.length;
    const { heads, T, size } = layout(kind, this.model.config, B, tensor);
    // The query comes before the key of its position, whose number it shares.
    const prevPos = this.options.useCache ? this.positionsKnown(kind === "query" ? "key" : kind, layer) : 0;
    const values = tensor.dataSync() as Float32Array;
    for (let i = 0; i < B * heads * T; i++) {
      if (kind === "query" && (i + 1) % T > 0) continue;
      this.captureVector({
        kind,
        layer,
        sequence: Math.floor(i / T / heads),
        head: Math.floor(i / T) % heads,
        position: prevPos + (i % T),
        values: values.subarray(i * size, (i + 1) * size),
      });
    }
  }

  /** Number of positions whose vectors were captured in earlier steps. */
  private positionsKnown(kind: VectorKind, layer: number): number {
    let position = 0;
    while (this.known.has(keyOf({ kind, layer, sequence: 0, head: 0, position }))) position++;
    return position;
  }

  private captureVector(vector: CapturedVector): void {
    const key = keyOf(vector);
    const before = this.known.get(key);
    const change = before ? largestDifference(before, vector.values) : Infinity;
    if (before) this.largestChange = Math.max(this.largestChange, change);
    if (change <= CHANGED) return;
    const values = vector.kind === "attention" ? withoutZeros(vector.values) : vector.values.slice();
    this.known.set(key, values);
    this.vectors.push({ ...vector, values });
  }
}

/** Identifies a vector of one mode. */
export type VectorAddress = Omit<CapturedVector, "values">;

/** An address as a key for maps. */
export const keyOf = ({ kind, layer, sequence, head, position }: VectorAddress): string =>
  `${kind}/${layer}/${sequence}/${head}/${position}`;

/** Keys and values are [B*K, T, D], queries [B*H, T, D]; attention weights are [B, H, T, S] in memory. */
function layout(kind: VectorKind, { nHeads, nKvHeads }: ModelConfig, B: number, tensor: Tensor) {
  const size = tensor.shape.at(-1)!;
  const heads = kind === "attention" || kind === "query" ? nHeads : nKvHeads;
  return { heads, size, T: tensor.size / size / heads / B };
}

/** Attention weights without those of future positions, which the mask sets to 0. */
function withoutZeros(values: Float32Array): Float32Array {
  let end = values.length;
  while (end > 0 && values[end - 1] === 0) end--;
  return values.slice(0, end);
}

/** Largest difference between two vectors; the shorter one is padded with zeros. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    largest = Math.max(largest, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  }
  return largest;
}

/** The most likely tokens, best first, with their softmax probabilities at temperature 1. */
export function candidates(logits: Float32Array): Candidate[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    let rank = best.length;
    while (rank > 0 && logits[best[rank - 1]!]! < logits[id]!) rank--;
    if (rank < CANDIDATES) best.splice(rank, 0, id);
    if (best.length > CANDIDATES) best.pop();
  }
  const max = logits[best[0]!]!;
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  return best.map((id) => ({ id, probability: Math.exp(logits[id]! - max) / total }));
}
