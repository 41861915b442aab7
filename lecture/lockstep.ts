import type { StepOptions } from "../src/generation/options.js";
import type { Model } from "../src/model/model.js";
import type { Bug } from "./bugs.js";
import { largestDifference, type RecordedLayers, Recorder } from "./recorder.js";
import type { RecordedStep, Turn } from "./trace.js";

/** What both modes have in common. */
export type LockstepOptions = Omit<StepOptions, "useCache" | "probe">;

/**
 * Both modes of one generation, turn by turn, recorded. With a planted bug both have it, and a third run without it
 * shows what would have been right: bugs that both modes share are invisible to their comparison.
 */
export class Lockstep {
  private readonly cached: Run;
  private readonly uncached: Run;
  private readonly whole: Run | undefined;

  constructor(
    model: Model,
    prompts: readonly (readonly number[])[],
    options: LockstepOptions,
    layers: RecordedLayers,
    private readonly bug?: Bug,
  ) {
    const run = (useCache: boolean, kept: RecordedLayers) =>
      new Run(new Recorder(model, prompts, { ...options, useCache }, kept));
    this.cached = run(true, layers);
    this.uncached = run(false, layers);
    this.whole = bug && run(true, []);
  }

  /** Takes the next turn; undefined when both modes have ended. Throws what `steps` throws. */
  async turn(): Promise<Turn | undefined> {
    const { cached, uncached, whole } = this;
    await whole?.take();
    const restore = this.bug?.plant();
    try {
      await cached.take();
      await uncached.take();
    } finally {
      restore?.();
    }
    if (!cached.step && !uncached.step) return undefined;
    return {
      cached: cached.step,
      uncached: uncached.step,
      differences: differences(cached, uncached),
      whole: whole?.step && {
        next: whole.step.next.map(({ id }) => id),
        cached: differences(whole, cached),
        uncached: differences(whole, uncached),
      },
    };
  }

  /** Ends all runs and frees their caches. */
  async end(): Promise<void> {
    for (const run of [this.cached, this.uncached, this.whole]) await run?.recorder.end();
  }
}

/** A mode on its way: its latest step, and the texts, one a row, that this step continued. */
class Run {
  step: RecordedStep | undefined;
  readonly texts: string[] = [];

  constructor(readonly recorder: Recorder) {}

  async take(): Promise<void> {
    for (const [row, { id }] of this.step?.next.entries() ?? []) {
      this.texts[row] = `${this.texts[row] ?? ""} ${id}`;
    }
    this.step = await this.recorder.step();
  }
}

/** How far the scores of two runs are apart, row by row, as long as they continue the same text. */
function differences(a: Run, b: Run): (number | undefined)[] {
  return (a.step ?? b.step)!.next.map((_, row) =>
    a.step && b.step && a.texts[row] === b.texts[row]
      ? largestDifference(a.recorder.rowLogits(row), b.recorder.rowLogits(row))
      : undefined,
  );
}
