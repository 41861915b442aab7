import cliProgress from "cli-progress";
import { generationCost, type ModelConfig } from "../../src/index.js";
import type { StepCost } from "../../src/cost/cost.js";
import type { CellSpec } from "./case.js";
import { type Observer, type Repeats, warmUpSteps } from "./running-case.js";

/**
 * Operations that take as long as reading a byte of the weights. Roughly; it only weighs steps of the two modes against
 * each other for the time left.
 */
const FLOPS_A_BYTE = 10;

/** A bar with the time left, on a terminal; nothing elsewhere. */
export class Progress implements Omit<Observer, "opened"> {
  private readonly bar = new cliProgress.SingleBar({
    format: "{bar} {percentage}% {left} {what}",
    barsize: 20,
    hideCursor: true,
    forceRedraw: true,
    clearOnComplete: true,
  });
  private readonly runs = new Map<CellSpec, number>(); // of the cells where that is settled
  private started: number | undefined; // with the first step: until then processes start and models are read
  private done = 0;

  constructor(
    private readonly specs: readonly CellSpec[],
    private readonly config: ModelConfig,
    private readonly repeats: Repeats,
  ) {
    this.bar.start(1, 0, { left: "", what: "" });
  }

  planned(spec: CellSpec, runs: number): void {
    this.runs.set(spec, runs);
  }

  step(spec: CellSpec, index: number, run: number): void {
    const now = performance.now();
    this.started ??= now;
    this.done += workOfStep(this.stepsOf(spec)[index]!);
    const rate = (now - this.started) / 1000 / this.done;
    const total = this.totalWork(rate);
    const seconds = rate * (total - this.done);
    const early = this.done / total < 0.02; // what is seen of it is mostly warm-up
    const left = seconds > 90 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds)} s`;
    const which = run === 0 ? "warm-up" : `run ${run} of ${this.runs.get(spec) ?? "?"}`;
    const mode = spec.useCache ? "with" : "without";
    this.bar.update(this.done / total, { left: early ? "" : `${left} left`, what: `batch ${spec.batch}, ${mode} the cache, ${which}` }); // prettier-ignore
  }

  /** Makes room for a line of output; the next step draws the bar again. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }

  stop(): void {
    this.clear();
    if (process.stderr.isTTY) process.stderr.write("\x1b7"); // the bar ends here, and not where it began, above what was printed since
    this.bar.stop();
  }

  /** @param rate seconds that a unit of work takes, by which cells not begun yet will be run less often */
  private totalWork(rate: number): number {
    const { runs, seconds } = this.repeats;
    return this.specs.reduce((sum, spec) => {
      const work = this.workOf(spec);
      const likely = Math.max(1, Math.min(runs, Math.floor(seconds / (rate * work))));
      return sum + this.workOf(spec, warmUpSteps(spec)) + (this.runs.get(spec) ?? likely) * work;
    }, 0);
  }

  private stepsOf({ batch, input, output, useCache }: CellSpec): readonly StepCost[] {
    return generationCost(this.config, batch, input, output, useCache).steps;
  }

  private workOf(spec: CellSpec, steps = spec.output): number {
    return this.stepsOf(spec).slice(0, steps).reduce((sum, step) => sum + workOfStep(step), 0); // prettier-ignore
  }
}

const workOfStep = ({ flops, weightBytes }: StepCost): number => flops + FLOPS_A_BYTE * weightBytes;
