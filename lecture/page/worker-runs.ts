import type { DemoId, DemoResult } from "../after/demos.js";
import type { Changes } from "../changed-keys.js";
import type { Reply, Request, RunOptions } from "./protocol.js";
import { addStep, newRun, type Run } from "./run.js";

/** Events of the worker's runs. */
export interface Listener {
  /** A step was added, or the run ended. */
  changed(): void;
  /** @param why a sentence for the reader */
  failed(why: string): void;
}

/** The page's side of its worker: starts one run after the other and requests steps as they are needed. */
export class WorkerRuns {
  /** The run that the page shows. */
  run: Run | undefined;
  /** A run was requested and has no steps yet. */
  starting = true;
  private readonly compared = new Map<string, Changes>();
  private readonly demos = new Map<string, DemoResult<DemoId> | undefined>();
  private pending: Run | undefined; // started, without steps: the previous run is shown until the first one arrives
  private runs = 0;
  private requested = 0;

  /** @param worker has already been sent the model */
  constructor(
    private readonly worker: Worker,
    private readonly page: Listener,
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.receive(data));
    worker.addEventListener("error", ({ message }) =>
      this.fail(message || "the model's worker could not start"),
    );
  }

  /** Starts a new run. */
  start(options: RunOptions): void {
    this.starting = true;
    this.pending = undefined;
    this.requested = 0;
    this.runs++;
    this.send({ type: "start", run: this.runs, options });
  }

  /** Requests steps, up to a total for the run. */
  request(steps: number): void {
    const over = !this.starting && (this.run?.ended ?? true);
    if (over || steps <= this.requested) return;
    this.requested = steps;
    this.send({ type: "until", run: this.runs, steps });
  }

  /** Requests the changes between two texts, once. */
  compare(...texts: readonly [string, string]): Changes | undefined {
    const key = texts.join("\0");
    const known = this.compared.get(key);
    if (!known) {
      this.compared.set(key, []);
      this.send({ type: "compare", texts });
    }
    return known && known.length > 0 ? known : undefined;
  }

  /** Requests a demonstration, once. */
  demo(id: DemoId, choice: number): DemoResult<DemoId> | undefined {
    const key = `${id} ${choice}`;
    if (!this.demos.has(key)) {
      this.demos.set(key, undefined);
      this.send({ type: "demo", id, choice });
    }
    return this.demos.get(key);
  }

  /** Shows a complete run that does not come from the worker. */
  replace(run: Run): void {
    this.runs++; // later replies belong to an earlier run
    this.starting = false;
    this.run = run;
  }

  private receive(reply: Reply): void {
    if (reply.type === "compared") {
      this.compared.set(reply.texts.join("\0"), reply.changes);
      return this.page.changed();
    }
    if (reply.type === "demo") {
      this.demos.set(`${reply.id} ${reply.choice}`, reply.result);
      return this.page.changed();
    }
    if (reply.run !== this.runs && reply.run !== 0) return;
    switch (reply.type) {
      case "started":
        this.pending = newRun(reply.header, { ...reply.strings });
        return;
      case "step": {
        this.run = this.pending ?? this.run!;
        this.pending = undefined;
        this.starting = false;
        Object.assign(this.run.tokenStrings, reply.strings);
        addStep(this.run, reply.pair);
        return this.page.changed();
      }
      case "ended":
        this.run!.ended = true;
        return this.page.changed();
      case "failed":
        return this.fail(reply.message);
    }
  }

  private fail(why: string): void {
    if (this.starting) this.run = undefined; // nothing of an earlier run remains beside the error
    if (this.run) this.run.ended = true; // no more steps will arrive
    this.starting = false;
    this.page.failed(why);
  }

  private send(request: Request): void {
    this.worker.postMessage(request, []);
  }
}
