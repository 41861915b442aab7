import type { StepOptions } from "../src/generation/options.js";
import type { Model } from "../src/model/model.js";
import type { Bug } from "./bugs.js";
import { CapturedRun, type CapturedLayers, largestDifference } from "./capture.js";
import type { StepPair } from "./trace.js";

/** Options that both modes share. */
export type LockstepOptions = Omit<StepOptions, "useCache" | "probe" | "onLogits">;

/**
 * Both modes of one generation, run step by step, side by side. With a planted bug, both modes have it, and a third run
 * without it serves as reference: comparing the modes with each other does not find a bug that they share.
 */
export class Lockstep {
  private readonly cached: Run;
  private readonly uncached: Run;
  private readonly reference: Run | undefined;

  constructor(
    model: Model,
    prompts: readonly (readonly number[])[],
    options: LockstepOptions,
    layers: CapturedLayers,
    private readonly bug?: Bug,
  ) {
    const run = (useCache: boolean, captured: CapturedLayers) =>
      new Run(model, prompts, { ...options, useCache }, captured);
    this.cached = run(true, layers);
    this.uncached = run(false, layers);
    this.reference = bug && run(true, []);
  }

  /** Runs the next step of both modes; undefined when both have ended. Throws what `steps` throws. */
  async step(): Promise<StepPair | undefined> {
    const { cached, uncached, reference } = this;
    await reference?.step();
    const restore = this.bug?.plant();
    try {
      await cached.step();
      await uncached.step();
    } finally {
      restore?.();
    }
    if (!cached.latest && !uncached.latest) return undefined;
    return {
      cached: cached.latest,
      uncached: uncached.latest,
      differences: differences(cached, uncached),
      reference: reference?.latest && {
        next: reference.latest.next.map(({ id }) => id),
        cached: differences(reference, cached),
        uncached: differences(reference, uncached),
      },
    };
  }

  /** Ends all runs and frees their caches. */
  async end(): Promise<void> {
    for (const run of [this.cached, this.uncached, this.reference]) await run?.end();
  }
}

/** A run that remembers the tokens generated before its latest step, as one string for each sequence. */
class Run extends CapturedRun {
  readonly generated: string[] = [];

  override async step() {
    for (const [sequence, { id }] of this.latest?.next.entries() ?? []) {
      this.generated[sequence] = `${this.generated[sequence] ?? ""} ${id}`;
    }
    return super.step();
  }
}

/** Largest logit difference between two runs for each sequence, while both continue the same tokens. */
function differences(a: Run, b: Run): (number | undefined)[] {
  return (a.latest ?? b.latest)!.next.map((_, sequence) =>
    a.latest && b.latest && a.generated[sequence] === b.generated[sequence]
      ? largestDifference(a.logitsOf(sequence), b.logitsOf(sequence))
      : undefined,
  );
}
