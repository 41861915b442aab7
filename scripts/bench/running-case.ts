import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import { lastLine } from "../../src/util/run-command.js";
import type { ModelOptions } from "../model-options.js";
import { escapeControl, showProgress } from "../terminal.js";
import { type CaseSpec, executionOptions, modeName } from "./case.js";
import type { ResultOf, Tasks } from "./case-process-child.js";

const CHILD = fileURLToPath(new URL("case-process-child.ts", import.meta.url));

/** A case while it is measured, in a process of its own. An error ends this case only. */
export class RunningCase {
  /** The measured runs, without the warm-up. */
  readonly runs: ResultOf<"run">[] = [];
  /** The reason why there are no more runs. */
  failure: string | undefined;
  /** Both modes, compared by this case's process. */
  comparison: ResultOf<"compare"> = null;
  private opened: Promise<ResultOf<"open">> | undefined;
  private child: ChildProcess | undefined;
  private stderr = "";

  constructor(
    readonly spec: CaseSpec,
    private readonly options: ModelOptions,
    private readonly repeat: number,
    private readonly signal: AbortSignal,
    private readonly env = process.env,
  ) {}

  /** True if there is a run left. */
  get unfinished(): boolean {
    return this.failure === undefined && this.runs.length < this.repeat;
  }

  /** Starts the process and loads backend and model; once. */
  open(): Promise<ResultOf<"open">> {
    this.opened ??= this.start();
    return this.opened;
  }

  /** The time of each step of the first generation, without a warm-up before it. */
  first(): Promise<ResultOf<"first">> {
    return this.ask("first");
  }

  /** Runs once more, if a run is left. */
  async measure(): Promise<void> {
    if (!this.unfinished) return;
    await this.attempt(`run ${this.runs.length + 1}`, async () => {
      await this.open();
      this.runs.push(await this.ask("run"));
    });
  }

  /** Compares both modes in lockstep. */
  compare(): Promise<void> {
    return this.attempt("comparison", async () => {
      this.comparison = await this.ask("compare");
    });
  }

  /** Ends the process, whatever it is doing. */
  end(): void {
    this.child?.kill("SIGKILL");
  }

  private start(): Promise<ResultOf<"open">> {
    const options = { ...this.options, ...executionOptions(this.spec.execution) };
    const { signal, env } = this;
    this.child = fork(CHILD, [JSON.stringify({ options, spec: this.spec })], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env,
      signal,
      killSignal: "SIGKILL",
    });
    this.child.on("error", () => {}); // Ctrl-C, or no process; "close" follows
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    return this.ask("open");
  }

  private async attempt(what: string, act: () => Promise<void>): Promise<void> {
    if (this.failure !== undefined) return;
    showProgress(`batch ${this.spec.batch} ${modeName(this.spec)}, ${what}`);
    try {
      await act();
    } catch (error) {
      this.signal.throwIfAborted();
      this.failure = escapeControl((error as Error).message);
    }
  }

  private ask<Task extends keyof Tasks>(task: Task): Promise<ResultOf<Task>> {
    const child = this.child!;
    return new Promise<ResultOf<Task>>((resolve, reject) => {
      child.once("message", ({ result, error }: { result: ResultOf<Task>; error?: string }) =>
        error === undefined ? resolve(result) : reject(new Error(error)),
      );
      child.once("close", (code, killedBy) => {
        const said = lastLine(withoutStartupLog(this.stderr));
        const end = killedBy ?? `exit code ${code}`;
        reject(new Error(`the process ended with ${end}${said ? ` ("${said}")` : ""}`));
      });
      child.send(task, (error) => error && reject(error));
    }).finally(() => child.removeAllListeners("message").removeAllListeners("close"));
  }
}
