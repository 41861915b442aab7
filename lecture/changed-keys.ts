import { dispose, tidy } from "@tensorflow/tfjs-core";
import type { Model } from "../src/model/model.js";

/** Largest change of any number of each layer's keys and values at each position, [layer][position]. */
export type Changes = readonly (readonly number[])[];

/**
 * Runs the model on two texts of equal length and compares the keys and values of every position in every layer, over
 * all heads.
 *
 * @throws RangeError for texts of unequal length
 */
export async function changedKeys(
  model: Model,
  a: readonly number[],
  b: readonly number[],
): Promise<Changes> {
  if (a.length !== b.length) {
    throw new RangeError(`both texts must have the same length, got ${a.length} and ${b.length}`);
  }
  const [before, after] = [keysAndValues(model, a), keysAndValues(model, b)];
  const { nLayers, headDim: D } = model.config;
  const T = a.length;
  return Array.from({ length: nLayers }, (_, layer) => {
    const changes = Array.from({ length: T }, () => 0);
    for (const [i, old] of before[layer]!.entries()) {
      const position = Math.floor(i / D) % T; // of [B*K, T, D]
      changes[position] = Math.max(changes[position]!, Math.abs(after[layer]![i]! - old));
    }
    return changes;
  });
}

/** All numbers of the keys and values of each layer: two tensors of [B*K, T, D]. */
function keysAndValues(model: Model, ids: readonly number[]): number[][] {
  const layers: number[][] = [];
  const logits = tidy(() =>
    model.forward([ids], undefined, (name, layer, tensor) => {
      if (name === "attention.key" || name === "attention.value") {
        layers[layer!] = [...(layers[layer!] ?? []), ...tensor.dataSync()];
      }
    }),
  );
  dispose(logits);
  return layers;
}
