import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { withoutStartupLog } from "../../src/backend/tensorflow-messages.js";
import { lastLine } from "../../src/util/run-command.js";
import type { Backend } from "../../src/backend/backend.js";
import { InputError } from "../../src/index.js";
import type { Measurement } from "./measure.js";
import type { ModelOptions } from "../model-options.js";
import type { CellSpec } from "./case.js";

/** What a cell's process is asked. */
export type Request =
  | { readonly ask: "open"; readonly options: ModelOptions; readonly spec: CellSpec }
  | { readonly ask: "run"; readonly output: number; readonly scoresFile?: string | undefined };

/** What it answers: the steps that are done, while it runs, then a result or why there is none. */
export type Answer =
  | { readonly done: number }
  | { readonly result: unknown }
  | { readonly error: string; readonly input: boolean };

/** The answer to "open". */
export interface Opened {
  readonly backend: Backend;
  readonly model: string;
}

/** The answer to "run". */
export interface Run extends Measurement {
  /** Afterwards, in bytes: the process's peak, what is taken of the card, the tensors of a cache of this size, if eager. */
  readonly memory: {
    readonly process: number;
    readonly device: number | null;
    readonly cache: number | null;
  };
}

const CHILD = fileURLToPath(new URL("case-process-child.ts", import.meta.url));

/** A fresh process that measures one cell. */
export class CellProcess {
  private readonly child: ChildProcess;
  private stderr = "";

  constructor(readonly spec: CellSpec) {
    this.child = fork(CHILD, [], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
  }

  /**
   * Loads the backend and the model.
   *
   * @throws InputError for options that are wrong, which no other cell would like better
   */
  open(options: ModelOptions): Promise<Opened> {
    return this.ask({ ask: "open", options, spec: this.spec });
  }

  /** Generates once; `onStep` is told how many steps are done. Writes all scores to a file, if one is named. */
  run(output: number, onStep: (done: number) => void, scoresFile?: string): Promise<Run> {
    return this.ask({ ask: "run", output, scoresFile }, onStep);
  }

  /** Ends the process, whatever it is doing. */
  end(): void {
    this.child.kill("SIGKILL");
  }

  private ask<Result>(request: Request, onStep?: (done: number) => void): Promise<Result> {
    const { child } = this;
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        child.removeAllListeners("message").removeAllListeners("close");
        then();
      };
      child.on("message", (answer: Answer) => {
        if ("done" in answer) return onStep?.(answer.done);
        if ("result" in answer) return settle(() => resolve(answer.result as Result));
        const { error, input } = answer;
        settle(() => reject(input ? new InputError(error) : new Error(error)));
      });
      child.once("close", (code, signal) => {
        const said = lastLine(withoutStartupLog(this.stderr));
        const end = signal ?? `exit code ${code}`;
        settle(() => reject(new Error(`the process ended with ${end}${said ? ` ("${said}")` : ""}`)));
      });
      child.send(request, (error) => error && settle(() => reject(error)));
    });
  }
}
