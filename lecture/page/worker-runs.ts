import type { Reply, Request, RunOptions } from "./protocol.js";
import { addTurn, newRun, type Run } from "./run.js";

/** What is told of the worker's runs. */
export interface Listener {
  /** The model is there, and can be asked. */
  ready(): void;
  /** The run asked for has begun, without a turn yet. */
  begun(): void;
  /** There is a turn more, or the end. @param first it is the first turn of another run, which is on show from now on */
  moved(first: boolean): void;
  /** @param why in a sentence */
  failed(why: string): void;
}

/** The page's talk with its worker: one run after the other is begun, and turns of it are asked for as they are needed. */
export class WorkerRuns {
  /** The run on show. */
  run: Run | undefined;
  /** A run has been asked for and has no turn yet. */
  starting = true;
  private pending: Run | undefined; // begun, without a turn yet: until there is one, the run before stays on show
  private runs = 0;
  private asked = 0;

  /** @param worker has been sent the model */
  constructor(
    private readonly worker: Worker,
    private readonly page: Listener,
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.hear(data));
    worker.addEventListener("error", ({ message }) =>
      this.fail(message || "the model's worker could not start"),
    );
  }

  /** Begins another run. */
  start(options: RunOptions): void {
    this.starting = true;
    this.pending = undefined;
    this.asked = 0;
    this.runs++;
    this.send({ type: "start", run: this.runs, options });
  }

  /** Asks for so many turns of the run, in all. */
  ask(turns: number): void {
    const over = this.starting ? !this.pending : (this.run?.ended ?? true);
    if (over || turns <= this.asked) return;
    this.asked = turns;
    this.send({ type: "until", run: this.runs, turns });
  }

  /** Shows a whole run that is not the worker's. */
  replace(run: Run): void {
    this.runs++; // whatever the worker still says is of another run
    this.starting = false;
    this.run = run;
  }

  private hear(reply: Reply): void {
    if (reply.type === "ready") return this.page.ready();
    if (reply.run !== this.runs && reply.run !== 0) return;
    switch (reply.type) {
      case "started":
        this.pending = newRun(reply.head, { ...reply.words });
        return this.page.begun();
      case "turn": {
        const first = this.pending !== undefined;
        this.run = this.pending ?? this.run!;
        this.pending = undefined;
        this.starting = false;
        Object.assign(this.run.words, reply.words);
        addTurn(this.run, reply.turn);
        return this.page.moved(first);
      }
      case "ended":
        this.run!.ended = true;
        return this.page.moved(false);
      case "failed":
        return this.fail(reply.message);
    }
  }

  private fail(why: string): void {
    this.starting = false;
    if (this.run) this.run.ended = true; // nothing more will come of it
    this.page.failed(why);
  }

  private send(request: Request): void {
    this.worker.postMessage(request, []);
  }
}
