import { parseTrace } from "../trace-file.js";
import type { StepPair } from "../trace.js";
import { OpenCode } from "./open-code.js";
import { Player } from "./player.js";
import { addStep, lengthOf, newRun, type Run, within } from "./run.js";
import { parseView, navigate, type View, viewToHash } from "./view.js";
import { WorkerRuns } from "./worker-runs.js";

/** Steps that are computed in advance, so that stepping forward does not wait. */
const AHEAD = 3;

/** The page's state and every change to it; components only render it. */
export class App {
  view: View = parseView(location.hash);
  /** An error message for the reader, one sentence. */
  problem: string | undefined;
  /** Name of the saved trace that is replayed. */
  replaying: string | undefined;
  readonly player = new Player(this);
  readonly code: OpenCode;
  private readonly runs: WorkerRuns;

  /**
   * @param worker   has already been sent the model
   * @param onChange renders the page
   * @param wide     the window is wide enough to show code until the reader closes it
   */
  constructor(
    worker: Worker,
    private readonly onChange: () => void,
    wide: boolean,
  ) {
    this.code = new OpenCode(this, wide);
    this.runs = new WorkerRuns(worker, {
      ready: () => !this.replaying && this.start(),
      started: () => this.request(),
      changed: (first) => this.changed(first),
      failed: (why) => this.failed(why),
    });
    addEventListener("hashchange", () => {
      if (location.hash !== viewToHash(this.view)) this.show(parseView(location.hash));
    });
  }

  /** The generation that the page shows. */
  get run(): Run | undefined {
    return this.runs.run;
  }

  /** A generation was requested and has no steps yet. */
  get starting(): boolean {
    return this.runs.starting;
  }

  /** The shown step: the requested one, or the last one that has arrived. */
  get pair(): StepPair | undefined {
    return this.run?.steps[Math.min(this.view.step, this.run.steps.length) - 1];
  }

  /** True while the requested step is being computed. */
  get waiting(): boolean {
    return this.starting || !this.run || (!this.run.ended && this.run.steps.length < this.view.step);
  }

  /** Number of steps, assuming that no sequence stops early. */
  get length(): number {
    return this.run ? lengthOf(this.run) : 1;
  }

  /** Changes the view; other prompts or options start a new run. */
  show(change: Partial<View>): void {
    const before = this.view;
    this.view = { ...before, ...change };
    const names = ["prompts", "maxGenLen", "temperature", "topP", "seed", "bug"] as const;
    const changed = names.some((name) => `${this.view[name]}` !== `${before[name]}`);
    if (changed && !this.replaying) this.start();
    this.clamp();
    this.request();
    this.writeLink();
    this.onChange();
  }

  /** Goes to a step, limited to the first and last one. */
  go(step: number): void {
    const last = this.run && !this.starting ? this.length : step;
    this.show({ step: Math.max(1, Math.min(step, last)) });
  }

  /** Shows another chapter or bug; an open code panel follows. */
  navigate(change: Parameters<typeof navigate>[1]): void {
    this.show(navigate(this.view, change));
  }

  /** Shows an error message; undefined removes it. */
  report(problem: string | undefined): void {
    this.problem = problem;
    this.onChange();
  }

  /** Starts the generation that the view describes. */
  start(): void {
    this.problem = undefined;
    const { prompts, maxGenLen, temperature, topP, seed, bug } = this.view;
    this.runs.start({ prompts, maxGenLen, temperature, topP, seed, bug });
  }

  /** Replays a saved trace instead of a generation of the bundled model. */
  replay(json: string, name: string): void {
    try {
      const { steps, tokenStrings, ...header } = parseTrace(json, name);
      const run = newRun(header, tokenStrings);
      for (const pair of steps) addStep(run, pair);
      run.ended = true;
      this.runs.replace(run);
      this.replaying = name;
      this.problem = undefined;
      this.show({ step: 1, sequence: 0, head: 0, layer: header.layers[0] ?? 0, bug: "" });
    } catch (error) {
      this.report((error as Error).message);
    }
  }

  /** Returns from a trace to the bundled model. */
  endReplay(): void {
    this.replaying = undefined;
    this.start();
    this.show({ step: 1, layer: 0 });
  }

  private changed(first: boolean): void {
    this.clamp();
    if (first) this.writeLink();
    this.onChange();
  }

  private writeLink(): void {
    try {
      history.replaceState(null, "", viewToHash(this.view));
    } catch {
      // browsers limit the rate of changes, for example while a slider moves; the next change updates the link
    }
  }

  private failed(why: string): void {
    this.player.playing = false;
    this.clamp();
    this.report(why);
  }

  /** Limits the view's indices to what this model and batch have. */
  private clamp(): void {
    if (this.run && !this.starting) this.view = within(this.run, this.view);
  }

  private request(): void {
    const { playing, speed } = this.player;
    this.runs.request(this.view.step + AHEAD + (playing ? Math.ceil(speed) : 0));
  }
}
