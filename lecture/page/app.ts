import type { DemoId, DemoResult } from "../after/demos.js";
import type { Changes } from "../changed-keys.js";
import { parseTrace } from "../trace-file.js";
import type { StepPair } from "../trace.js";
import { chapterOf, type ChapterId, isQuestion, LAST, neighbour } from "./chapters.js";
import type { CodeId } from "./code-links.js";
import { Player } from "./player.js";
import { addStep, lengthOf, newRun, type Run, within } from "./run.js";
import { navigate, parseView, type View, viewToHash } from "./view.js";
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
  private readonly runs: WorkerRuns;

  /**
   * @param worker   has already been sent the model
   * @param onChange renders the page
   */
  constructor(
    worker: Worker,
    private readonly onChange: () => void,
  ) {
    this.runs = new WorkerRuns(worker, {
      changed: () => this.changed(),
      failed: (why) => this.failed(why),
    });
    addEventListener("hashchange", () => {
      if (location.hash !== viewToHash(this.view)) this.set(parseView(location.hash), "link");
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

  /** The steps up to the shown one. */
  get steps(): readonly StepPair[] {
    return this.run?.steps.slice(0, this.view.step) ?? [];
  }

  /** True while the requested step is being computed. */
  get waiting(): boolean {
    return this.starting || !this.run || (!this.run.ended && this.run.steps.length < this.view.step);
  }

  /** Number of steps, assuming that no sequence stops early. */
  get length(): number {
    return this.run ? lengthOf(this.run) : 1;
  }

  /** True if the chapter's answer is shown. */
  get answered(): boolean {
    const { chapter, build } = this.view;
    return !isQuestion(chapter, build);
  }

  /** Changes the view; other prompts or options start a new run. */
  show(change: Partial<View>): void {
    this.set({ ...this.view, ...change }, "page");
  }

  /** Goes to a step, limited to the first and last one. */
  go(step: number): void {
    const last = this.run && !this.starting ? this.length : step;
    this.show({ step: Math.max(1, Math.min(step, last)) });
  }

  /** Shows another chapter, at its beginning. */
  open(chapter: ChapterId): void {
    this.player.play(false);
    this.set(navigate(this.view, chapter), "page");
  }

  /** Shows one of the chapter's builds. */
  build(build: number): void {
    const { chapter } = this.view;
    this.player.play(false);
    this.set(navigate(this.view, chapter, build), "page");
    if (chapterOf(chapter).builds[build]?.play) this.player.play(true);
  }

  /** Shows the next or previous build; after the last one, the next chapter. */
  advance(by: 1 | -1): void {
    const { chapter, build } = this.view;
    const { builds } = chapterOf(chapter);
    if (build + by >= 0 && build + by < builds.length) return this.build(build + by);
    const to = neighbour(chapter, by);
    if (!to) return;
    this.player.play(false);
    this.set(navigate(this.view, to, by > 0 ? 0 : chapterOf(to).builds.length - 1), "page");
  }

  /** Shows code, or hides it if it is shown. */
  toggleCode(id: CodeId): void {
    this.show({ code: this.view.code === id ? "" : id });
  }

  /** Changes of keys and values between two texts; undefined until they are computed. */
  compare(before: string, after: string): Changes | undefined {
    return this.run && !this.replaying ? this.runs.compare(before, after) : undefined;
  }

  /** Result of a demonstration with one of its settings; undefined until it is computed. */
  demo<Id extends DemoId>(id: Id, choice: number): DemoResult<Id> | undefined {
    if (!this.run || this.replaying) return undefined;
    return this.runs.demo(id, choice) as DemoResult<Id> | undefined;
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
    this.request();
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

  /** @param source "link" if the browser has already changed the address */
  private set(view: View, source: "page" | "link"): void {
    const before = this.view;
    this.view = view;
    if (requests(view) !== requests(before)) {
      if (source === "link" || view.chapter === before.chapter) this.replaying = undefined;
      if (!this.replaying) this.start();
    }
    this.clamp();
    this.request();
    this.writeLink(source === "page" && view.chapter !== before.chapter);
    this.onChange();
  }

  private changed(): void {
    const { step } = this.view;
    this.clamp();
    if (step !== this.view.step) this.writeLink(false);
    this.request();
    this.onChange();
  }

  /** @param push Back returns to the address before */
  private writeLink(push: boolean): void {
    try {
      if (push) history.pushState(null, "", viewToHash(this.view));
      else history.replaceState(null, "", viewToHash(this.view));
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
    const { step } = this.view;
    this.runs.request(step === LAST ? LAST : step + AHEAD + (playing ? Math.ceil(speed) : 0));
  }
}

/** The part of a view that needs a run of its own. */
const requests = ({ prompts, maxGenLen, temperature, topP, seed, bug }: View): string =>
  JSON.stringify([prompts, maxGenLen, temperature, topP, seed, bug]);
