import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { StepOptions } from "../generation/options.js";
import { type BlockStart, LONGEST_BLOCK } from "./decode-block.js";
import type { GraphCache } from "./graph-cache.js";

/** Steps of a block on a CPU, at most. */
const LONGEST_ON_CPU = 16;

/** A decode step that was computed before the loop asks for it. */
interface StepAhead {
  /** Position of its input. */
  readonly position: number;
  /** The token that each sequence contributes to its input. */
  readonly ids: readonly number[];
  /** Next id and sum of the logits of each sequence, 2B numbers. */
  readonly result: Float32Array;
}

/**
 * Answers the forward passes of a generation from decode blocks. The loop in src/generation/steps.ts asks for one step at
 * a time, as of any model; this class computes a block of them when it is asked for the first, and has the others ready.
 *
 * What is ready is used only if the loop asks for the same position and the same tokens. The cache grows by one position
 * per step asked for: whatever a block has written beyond that is hidden by the mask and overwritten later. So wherever
 * the loop ends, at a stop token or by an abort, the cache is the one that single steps would have left.
 */
export class BlockDecoder {
  private ahead: readonly StepAhead[] = [];
  /** Steps of the next block, and of all later ones at most. */
  private next: number;
  private readonly most: number;
  private readonly longest: number;

  /**
   * @param isForGpu all blocks have `LONGEST_BLOCK` steps; on a CPU, where a step takes many times as long, the first
   *                 blocks are short and all shorter, so that tokens come soon
   * @param run      computes a block: the result that `DecodeBlock.output` describes
   */
  constructor(
    private readonly prompts: readonly (readonly number[])[],
    private readonly options: StepOptions,
    isForGpu: boolean,
    private readonly run: (start: BlockStart) => Float32Array,
  ) {
    [this.next, this.most] = isForGpu ? [LONGEST_BLOCK, LONGEST_BLOCK] : [1, LONGEST_ON_CPU];
    this.longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  }

  /**
   * One decode step.
   *
   * @param tokens one token of each sequence
   * @returns      next id and sum of the logits of each sequence, [B, 2]
   */
  step(tokens: readonly (readonly number[])[], cache: GraphCache): Tensor2D {
    const ids = tokens.map(([id]) => id!);
    const position = cache.length;
    if (!this.isReady(ids, position)) this.ahead = this.compute(ids, position);
    const [{ result }, ...rest] = this.ahead as [StepAhead, ...StepAhead[]];
    this.ahead = rest;
    cache.grow(1);
    return tf.tensor2d(result, [ids.length, 2]);
  }

  private isReady(ids: readonly number[], position: number): boolean {
    const [step] = this.ahead;
    return step?.position === position && step.ids.every((id, i) => id === ids[i]);
  }

  private compute(ids: readonly number[], position: number): StepAhead[] {
    const { prompts, options, longest } = this;
    const curPos = position + 1;
    // While a sequence is within its prompt, the next input is not what the model chose.
    const most = curPos < longest ? 1 : this.next;
    const steps = prompts.map(({ length }, i) => {
      const ended = position >= length && options.stopIds.has(ids[i]!);
      return ended ? 0 : Math.min(length + options.maxGenLen - curPos, most);
    });
    const results = this.run({
      position,
      ids,
      steps,
      stopIds: options.stopIds,
      sampling: options.temperature > 0 ? options : undefined,
    });
    if (curPos >= longest) this.next = Math.min(2 * this.next, this.most);
    const size = 2 * ids.length;
    const ahead: StepAhead[] = [];
    for (let step = 0; step < Math.max(...steps); step++) {
      const result = results.subarray(step * size, (step + 1) * size);
      const last = ahead.at(-1)?.result;
      ahead.push({ position: position + step, ids: last ? ids.map((_, i) => last[2 * i]!) : ids, result });
    }
    return ahead;
  }
}
