import { parseTrace } from "../trace-file.js";
import type { Turn } from "../trace.js";
import { OpenCode } from "./open-code.js";
import { Player } from "./player.js";
import { addTurn, lengthOf, newRun, type Run, within } from "./run.js";
import { parseView, turnTo, type View, viewToHash } from "./view.js";
import { WorkerRuns } from "./worker-runs.js";

/** Turns that are computed beyond the one shown, so that a step forward is there at once. */
const AHEAD = 3;

/** All that the page knows, and all that can happen to it. Components only show it. */
export class App {
  view: View = parseView(location.hash);
  /** What could not be done, in a sentence. */
  problem: string | undefined;
  /** The name of the trace that is replayed. */
  replaying: string | undefined;
  readonly player = new Player(this);
  readonly code: OpenCode;
  private readonly runs: WorkerRuns;

  /**
   * @param worker   has been sent the model
   * @param onChange shows the page anew
   * @param wide     shows code as long as the reader does not close it
   */
  constructor(
    worker: Worker,
    private readonly onChange: () => void,
    wide: boolean,
  ) {
    this.code = new OpenCode(this, wide);
    this.runs = new WorkerRuns(worker, {
      ready: () => !this.replaying && this.start(),
      begun: () => this.ask(),
      moved: (first) => this.moved(first),
      failed: (why) => this.failed(why),
    });
    addEventListener("hashchange", () => {
      if (location.hash !== viewToHash(this.view)) this.show(parseView(location.hash));
    });
  }

  /** The generation on show. */
  get run(): Run | undefined {
    return this.runs.run;
  }

  /** A generation has been asked for and has no turn yet. */
  get starting(): boolean {
    return this.runs.starting;
  }

  /** The turn on show: the one asked for, or the last before it that is there. */
  get turn(): Turn | undefined {
    return this.run?.turns[Math.min(this.view.step, this.run.turns.length) - 1];
  }

  /** Whether the turn asked for is still being computed. */
  get waiting(): boolean {
    return this.starting || !this.run || (!this.run.ended && this.run.turns.length < this.view.step);
  }

  /** How many turns there will be, if no row stops early. */
  get length(): number {
    return this.run ? lengthOf(this.run) : 1;
  }

  /** Changes what is looked at; other prompts or options begin a new run. */
  show(change: Partial<View>): void {
    const before = this.view;
    this.view = { ...before, ...change };
    const names = ["prompts", "maxGenLen", "temperature", "topP", "seed", "bug"] as const;
    const changed = names.some((name) => `${this.view[name]}` !== `${before[name]}`);
    if (changed && !this.replaying) this.start();
    this.clamp();
    this.ask();
    this.writeLink();
    this.onChange();
  }

  /** Goes to a step; before the first or behind the last, to that one. */
  go(step: number): void {
    const last = this.run && !this.starting ? this.length : step;
    this.show({ step: Math.max(1, Math.min(step, last)) });
  }

  /** Another chapter or bug; open code follows. */
  turnTo(change: Parameters<typeof turnTo>[1]): void {
    this.show(turnTo(this.view, change));
  }

  /** Tells the reader what could not be done; undefined takes it back. */
  tell(problem: string | undefined): void {
    this.problem = problem;
    this.onChange();
  }

  /** Begins the generation that the view asks for. */
  start(): void {
    this.problem = undefined;
    const { prompts, maxGenLen, temperature, topP, seed, bug } = this.view;
    this.runs.start({ prompts, maxGenLen, temperature, topP, seed, bug });
  }

  /** Replays a trace in the place of a generation of the bundled model. */
  replay(json: string, name: string): void {
    try {
      const { turns, words, ...head } = parseTrace(json, name);
      const run = newRun(head, words);
      for (const turn of turns) addTurn(run, turn);
      run.ended = true;
      this.runs.replace(run);
      this.replaying = name;
      this.problem = undefined;
      this.show({ step: 1, row: 0, head: 0, layer: head.layers[0] ?? 0, bug: "" });
    } catch (error) {
      this.tell((error as Error).message);
    }
  }

  /** Back from a trace to the bundled model. */
  endReplay(): void {
    this.replaying = undefined;
    this.start();
    this.show({ step: 1, layer: 0 });
  }

  private moved(first: boolean): void {
    this.clamp();
    if (first) this.writeLink();
    this.onChange();
  }

  private writeLink(): void {
    try {
      history.replaceState(null, "", viewToHash(this.view));
    } catch {
      // browsers refuse it when a slider is drawn quickly: the link lags behind, the page must not
    }
  }

  private failed(why: string): void {
    this.player.playing = false;
    this.clamp();
    this.tell(why);
  }

  /** Keeps the link's numbers within what this model and batch have. */
  private clamp(): void {
    if (this.run && !this.starting) this.view = within(this.run, this.view);
  }

  private ask(): void {
    const { playing, speed } = this.player;
    this.runs.ask(this.view.step + AHEAD + (playing ? Math.ceil(speed) : 0));
  }
}
