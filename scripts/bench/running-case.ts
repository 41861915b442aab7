import { InputError } from "../../src/index.js";
import { escapeControl } from "../terminal.js";
import type { BenchOptions } from "./options.js";
import { type CellSpec, executionOptions } from "./case.js";
import { CellProcess, type Opened, type Run } from "./case-process.js";

/** How often a cell is run. */
export interface Repeats {
  /** At most so often, */
  readonly runs: number;
  /** and fewer times, but once at least, where they would take more seconds than this together. */
  readonly seconds: number;
}

/** What the measuring tells while it goes on. */
export interface Observer {
  opened(opened: Opened): void;
  /** Another step is done: the one with this index, of this run of the cell; run 0 is the warm-up. */
  step(spec: CellSpec, index: number, run: number): void;
  /** The cell will be run so often, the warm-up not counted. */
  planned(spec: CellSpec, runs: number): void;
}

/** How cells are measured. */
export interface Measuring {
  readonly options: BenchOptions;
  readonly repeats: Repeats;
  readonly observer: Observer;
  readonly signal: AbortSignal;
  /** Whether any cell has been run; what the options name is then not so wrong that all has to end. */
  readonly measured: () => boolean;
}

/** Steps of the warm-up: kernels are compiled and memory is taken on first use, in a recorded model call by call. */
export const warmUpSteps = ({ execution, output }: CellSpec): number =>
  execution !== "eager" ? output : Math.min(2, output);

/** A cell while it is measured, in a process of its own. */
export class RunningCell {
  /** Those that were measured; the warm-up is not among them. */
  readonly runs: Run[] = [];
  /** Why there are no more of them. */
  failure: string | undefined;
  /** Whether its runs alternate with those of the cells that belong with it. */
  takingTurns = false;
  private planned = 1;
  private loaded = false;
  private process: CellProcess | undefined;

  /** @param scoresFile where all scores of the first run go */
  constructor(
    readonly spec: CellSpec,
    readonly scoresFile: string,
    private readonly measuring: Measuring,
  ) {}

  get unfinished(): boolean {
    return this.failure === undefined && this.runs.length < this.planned;
  }

  /**
   * Loads backend and model, and warms up.
   *
   * @throws InputError before any cell was measured, for options with which none can be
   */
  async start(): Promise<Opened | undefined> {
    const { options, observer } = this.measuring;
    this.process = new CellProcess(this.spec);
    return this.attempt(async () => {
      const opened = await this.process!.open({
        ...options,
        ...executionOptions(this.spec.execution),
      });
      this.loaded = true;
      observer.opened(opened);
      await this.run(warmUpSteps(this.spec), 0);
      return opened;
    });
  }

  /** One run more. The first decides how many there will be. */
  async measure(): Promise<void> {
    const { repeats, observer } = this.measuring;
    await this.attempt(async () => {
      const run = await this.run(this.spec.output, this.runs.length + 1);
      if (this.runs.push(run) > 1) return;
      this.planned = Math.max(1, Math.min(repeats.runs, Math.floor(repeats.seconds / run.seconds)));
      observer.planned(this.spec, this.planned);
    });
  }

  /** Ends the process. */
  end(): void {
    this.process?.end();
  }

  private run(output: number, run: number): Promise<Run> {
    const onStep = (done: number) => this.measuring.observer.step(this.spec, done - 1, run);
    return this.process!.run(output, onStep, run === 1 ? this.scoresFile : undefined);
  }

  /** What goes wrong ends this cell, unless it would end every other too. */
  private async attempt<Result>(act: () => Promise<Result>): Promise<Result | undefined> {
    const { observer, signal, measured } = this.measuring;
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof InputError && !this.loaded && !measured()) throw error;
      this.failure = escapeControl((error as Error).message);
      observer.planned(this.spec, this.runs.length);
      return undefined;
    }
  }
}
