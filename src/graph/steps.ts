import type { Tensor2D } from "@tensorflow/tfjs-core";
import { checkedLength, type StepOptions } from "../generation/options.js";
import { type Step, steps } from "../generation/steps.js";
import type { Cache, Model } from "../model/model.js";

/** A model that can be traced in advance and can take the argmax of its logits itself. */
export interface GraphModel extends Model {
  /** Traces the model for a batch size and a capacity. */
  prepare(batchSize: number, capacity: number): void;
  /** Like `forward`, but returns each sequence's argmax and the sum of its logits, [B, 2]. */
  forwardGreedy(tokens: readonly (readonly number[])[], cache?: Cache): Tensor2D;
}

/**
 * The generation loop in graph mode. The graph is traced once, for the whole generation. Greedy decoding takes the
 * argmax inside the graph, so two numbers per sequence are copied to the host instead of V logits; not so with a probe,
 * `onLogits` or `sample`, or a temperature above 0.
 *
 * @throws what `steps` throws
 */
export async function* graphSteps(
  model: GraphModel,
  prompts: readonly (readonly number[])[],
  options: StepOptions,
): AsyncGenerator<Step, void, void> {
  const capacity = checkedLength(prompts, options, model.config);
  if (!options.cache) model.prepare(prompts.length, capacity);
  const { temperature, probe, onLogits, sample } = options;
  const greedy = temperature === 0 && !probe && !onLogits && !sample;
  const plain: Model = {
    config: model.config,
    createCache: (batchSize, size) => model.createCache(batchSize, size),
    forward: (tokens, cache) =>
      greedy ? model.forwardGreedy(tokens, cache) : model.forward(tokens, cache, probe),
  };
  yield* steps(plain, prompts, greedy ? { ...options, sample: ([argMax]) => argMax! } : options);
}
