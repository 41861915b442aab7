import type { Tensor } from "@tensorflow/tfjs-core";
import { NotFiniteError } from "../util/errors.js";
import type { Cache, Model } from "../model/model.js";
import { allFinite, argMax, sampleTopP, uniform } from "./sampling.js";
import type { Step, StepOptions } from "./steps.js";

/**
 * Runs the model and says how a row chooses its next token by the scores, once they have come from the backend's memory.
 *
 * @param cache the generation's; without one `fed` is the whole prefix
 * @returns     the choice of a row, by its index
 * @throws NotFiniteError when a row's scores are not all finite
 */
export async function chooser(
  model: Model,
  cache: Cache | undefined,
  { fed, iteration, curPos }: Pick<Step, "fed" | "iteration" | "curPos">,
  { temperature, topP, seed, probe }: StepOptions,
): Promise<(row: number) => number> {
  const check = (finite: (row: number) => boolean): void => {
    const damaged = fed.findIndex((_, row) => !finite(row));
    if (damaged < 0) return;
    throw new NotFiniteError(
      `the model's scores for row ${damaged} are not finite in step ${iteration} (position ${curPos}); ` +
        "expected finite numbers: the weights may be damaged, or the backend out of memory",
    );
  };
  if (temperature === 0 && model.forwardGreedy) {
    const choices = await download(model.forwardGreedy(fed, cache, probe)); // [B, 2]
    check((row) => Number.isFinite(choices[2 * row + 1]));
    return (row) => choices[2 * row]!;
  }
  const scores = await download(model.forward(fed, cache, probe)); // [B, V]
  const V = scores.length / fed.length;
  const rowOf = (row: number) => scores.subarray(row * V, (row + 1) * V);
  check((row) => allFinite(rowOf(row)));
  return (row) =>
    temperature === 0
      ? argMax(rowOf(row))
      : sampleTopP(rowOf(row), temperature, topP, uniform(seed, row, curPos));
}

/** Brings numbers from the backend's memory, and frees them there. */
async function download(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.data().finally(() => tensor.dispose())) as Float32Array;
}
