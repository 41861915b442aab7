import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Backend } from "../../src/backend/backend.js";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import type { Comparison } from "../../src/generation/compare.js";
import { InputError } from "../../src/index.js";
import { lastLine } from "../../src/util/run-command.js";
import type { ModelOptions } from "../model-options.js";
import { escapeControl } from "../terminal.js";
import { type CaseSpec, executionOptions } from "./case.js";
import type { Measurement } from "./measure.js";

/** A request to a case's process. */
export type Request =
  | { readonly ask: "open"; readonly options: ModelOptions; readonly spec: CaseSpec }
  | { readonly ask: "run"; readonly output: number }
  | { readonly ask: "compare" };

/** Its answers: while it generates, how many steps are done; then a result, or why there is none. */
export type Answer =
  | { readonly done: number }
  | { readonly result: unknown }
  | { readonly error: string; readonly input: boolean };

/** The result of "open". */
export interface Opened {
  readonly backend: Backend;
  readonly model: string;
}

/** The result of "run": with bytes of the process's peak, on the GPU, and in eager execution of a cache of this size. */
export interface Run extends Measurement {
  readonly memory: { process: number; device: number | null; cache: number | null };
}

/** Limits for the runs of a case: at most `runs`, as many as fit into `seconds`, and at least one. */
export interface Repeats {
  readonly runs: number;
  readonly seconds: number;
}

/** Options, limits and callbacks that all cases of a bench share. */
export interface Measuring {
  readonly options: ModelOptions;
  readonly repeats: Repeats;
  readonly signal: AbortSignal;
  /** Set by the first run of any case: from then on wrong options are the failure of one case. */
  measured: boolean;
  readonly onOpen: (opened: Opened) => void;
  /** Called after each step; run 0 is the warm-up. */
  readonly onStep: (spec: CaseSpec, run: number, step: number) => void;
}

const CHILD = fileURLToPath(new URL("case-process-child.ts", import.meta.url));

/** A case while it is measured, in a process of its own. */
export class RunningCase {
  /** The measured runs, without the warm-up. */
  readonly runs: Run[] = [];
  /** The reason why there are no more runs. */
  failure: string | undefined;
  /** True if its runs alternate with those of the other cases of its group. */
  interleaved = false;
  /** Both modes, compared by this case's process. */
  comparison: Comparison | undefined;
  private planned = 1;
  private loaded = false;
  private child: ChildProcess | undefined;
  private stderr = "";

  constructor(
    readonly spec: CaseSpec,
    private readonly measuring: Measuring,
  ) {}

  get unfinished(): boolean {
    return this.failure === undefined && this.runs.length < this.planned;
  }

  /**
   * Starts the process, loads backend and model, and warms up: kernels are compiled and memory is allocated on first
   * use, in graph mode call by call.
   *
   * @throws InputError before any case was measured, for options with which none can be
   */
  start(): Promise<Opened | undefined> {
    const { execution, output } = this.spec;
    this.child = fork(CHILD, [], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    return this.attempt(async () => {
      const options = { ...this.measuring.options, ...executionOptions(execution) };
      const opened = await this.ask<Opened>({ ask: "open", options, spec: this.spec });
      this.loaded = true;
      this.measuring.onOpen(opened);
      await this.run(execution === "eager" ? Math.min(2, output) : output, 0);
      return opened;
    });
  }

  /** Runs once more. The first run decides how many there will be. */
  async measure(): Promise<void> {
    const { repeats } = this.measuring;
    await this.attempt(async () => {
      const run = await this.run(this.spec.output, this.runs.length + 1);
      this.measuring.measured = true;
      if (this.runs.push(run) > 1) return;
      this.planned = Math.max(1, Math.min(repeats.runs, Math.floor(repeats.seconds / run.seconds)));
    });
  }

  /** Compares both modes in lockstep; undefined where memory has no capacity for both at once. */
  async compare(): Promise<void> {
    this.comparison = await this.ask<Comparison>({ ask: "compare" }).catch(() => undefined);
    this.measuring.signal.throwIfAborted();
  }

  /** Ends the process, whatever it is doing. */
  end(): void {
    this.child?.kill("SIGKILL");
  }

  private run(output: number, run: number): Promise<Run> {
    return this.ask<Run>({ ask: "run", output }, (step) => this.measuring.onStep(this.spec, run, step));
  }

  /** An error ends this case only, unless it would end every other, too. */
  private async attempt<Result>(act: () => Promise<Result>): Promise<Result | undefined> {
    const { signal, measured } = this.measuring;
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof InputError && !this.loaded && !measured) throw error;
      this.failure = escapeControl((error as Error).message);
      return undefined;
    }
  }

  private ask<Result>(request: Request, onStep?: (done: number) => void): Promise<Result> {
    const child = this.child!;
    return new Promise<Result>((resolve, reject) => {
      child.on("message", (answer: Answer) => {
        if ("done" in answer) onStep?.(answer.done);
        else if ("result" in answer) resolve(answer.result as Result);
        else reject(answer.input ? new InputError(answer.error) : new Error(answer.error));
      });
      child.once("close", (code, signal) => {
        const said = lastLine(withoutStartupLog(this.stderr));
        const end = signal ?? `exit code ${code}`;
        reject(new Error(`the process ended with ${end}${said ? ` ("${said}")` : ""}`));
      });
      child.send(request, (error) => error && reject(error));
    }).finally(() => child.removeAllListeners("message").removeAllListeners("close"));
  }
}
