import { parseTrace } from "../trace-file.js";
import type { RecordedStep, TraceHead, Turn } from "../trace.js";
import type { Reply, Request } from "./protocol.js";
import { RowStore } from "./row-store.js";
import type { CodeId } from "./code-links.js";
import { codeOf, parseView, turnTo, type View, viewToHash } from "./view.js";

/** A generation as far as the page knows it. */
export interface Run {
  readonly head: TraceHead;
  /** The texts of the token ids. */
  readonly words: Record<string, string>;
  readonly turns: Turn[];
  readonly cachedRows: RowStore;
  readonly uncachedRows: RowStore;
  /** No turn follows the last. */
  ended: boolean;
}

/** Turns that are computed beyond the one shown, so that a step forward is there at once. */
const AHEAD = 3;

/** Steps a second that play can take. */
export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

/** All that the page knows, and all that can happen to it. Components only show it. */
export class App {
  view: View = parseView(location.hash);
  run: Run | undefined;
  /** What could not be done, in a sentence. */
  problem: string | undefined;
  /** The name of the trace that is replayed. */
  replaying: string | undefined;
  playing = false;
  speed: number = 2;
  /** Where the keyboard was when it opened the code, and goes back to. */
  private opener: HTMLElement | undefined;

  private pending: Run | undefined; // begun, without a turn yet: until there is one, the run before stays on show
  /** A run has been asked for and has no turn yet. */
  starting = true;
  private runs = 0;
  private asked = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param worker   has been sent the model
   * @param onChange shows the page anew
   * @param wide     shows code as long as the reader does not close it
   */
  constructor(
    private readonly worker: Worker,
    private readonly onChange: () => void,
    /** There is room for code beside the page. */
    private readonly wide: boolean,
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.hear(data));
    worker.addEventListener("error", ({ message }) =>
      this.fail(message || "the model's worker could not start"),
    );
    addEventListener("hashchange", () => {
      if (location.hash !== viewToHash(this.view)) this.show(parseView(location.hash));
    });
  }

  /** The turn on show: the one asked for, or the last before it that is there. */
  get turn(): Turn | undefined {
    return this.run?.turns[Math.min(this.view.step, this.run.turns.length) - 1];
  }

  /** The code that the side panel shows; undefined while the panel is closed. */
  get code(): CodeId | undefined {
    const { code } = this.view;
    if (code === "none" || (code === "" && !this.wide)) return undefined;
    return code === "" || code === "chapter" ? codeOf(this.view) : code;
  }

  /** Whether the turn asked for is still being computed. */
  get waiting(): boolean {
    return this.starting || !this.run || (!this.run.ended && this.run.turns.length < this.view.step);
  }

  /** How many turns there will be, if no row stops early. */
  get length(): number {
    if (!this.run) return 1;
    const { head, turns, ended } = this.run;
    const lengths = head.prompts.map(({ ids }) => ids.length);
    return ended ? turns.length : Math.max(...lengths) + head.maxGenLen - Math.min(...lengths);
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

  /** Starts or stops going forward by itself; from the end it starts over. */
  play(playing = !this.playing): void {
    this.playing = playing;
    clearTimeout(this.timer);
    if (playing && this.run?.ended && this.view.step >= this.length) this.go(1);
    if (playing) this.timer = setTimeout(() => this.tick(), 1000 / this.speed);
    this.ask();
    this.onChange();
  }

  /** Another chapter or bug; open code follows. */
  turnTo(change: Parameters<typeof turnTo>[1]): void {
    this.show(turnTo(this.view, change));
  }

  /**
   * Shows code in the side panel; the code on show is closed instead.
   *
   * @param byKeyboard the panel gets the focus, so that its code can be scrolled, and gives it back when it closes
   */
  toggleCode(id: CodeId | undefined, byKeyboard: boolean): void {
    if (id === undefined ? this.code : this.code === id) return this.closeCode();
    this.opener = byKeyboard ? (document.activeElement as HTMLElement) : undefined;
    this.show({ code: id ?? "chapter" });
  }

  /** Whether the code was opened by the keyboard. */
  get codeTakesFocus(): boolean {
    return this.opener !== undefined;
  }

  /** Closes the side panel. */
  closeCode(): void {
    this.show({ code: "none" });
    this.opener?.focus();
    this.opener = undefined;
  }

  /** Changes anything that is not in the link. */
  set(change: Partial<Pick<App, "speed" | "problem">>): void {
    Object.assign(this, change);
    this.onChange();
  }

  /** Begins the generation that the view asks for. */
  start(): void {
    this.starting = true;
    this.pending = undefined;
    this.problem = undefined;
    this.asked = 0;
    this.runs++;
    const { prompts, maxGenLen, temperature, topP, seed, bug } = this.view;
    this.send({
      type: "start",
      run: this.runs,
      options: { prompts, maxGenLen, temperature, topP, seed, bug },
    });
  }

  /** Replays a trace in the place of a generation of the bundled model. */
  replay(json: string, name: string): void {
    try {
      const { turns, words, ...head } = parseTrace(json, name);
      this.runs++; // whatever the worker still says is of another run
      this.replaying = name;
      this.problem = undefined;
      this.starting = false;
      this.run = newRun(head, words);
      for (const turn of turns) addTurn(this.run, turn);
      this.run.ended = true;
      this.show({ step: 1, row: 0, head: 0, layer: head.layers[0] ?? 0, bug: "" });
    } catch (error) {
      this.set({ problem: (error as Error).message });
    }
  }

  /** Back from a trace to the bundled model. */
  endReplay(): void {
    this.replaying = undefined;
    this.start();
    this.show({ step: 1, layer: 0 });
  }

  private tick(): void {
    if (!this.playing) return;
    const there = !this.starting && this.run && this.view.step < this.run.turns.length;
    if (there) this.go(this.view.step + 1);
    if (this.run?.ended && this.view.step >= this.length) return this.play(false);
    this.timer = setTimeout(() => this.tick(), there ? 1000 / this.speed : 50);
  }

  private hear(reply: Reply): void {
    if (reply.type === "ready") {
      if (!this.replaying) this.start();
      return;
    }
    if (reply.run !== this.runs && reply.run !== 0) return;
    switch (reply.type) {
      case "started":
        this.pending = newRun(reply.head, { ...reply.words });
        this.ask();
        return;
      case "turn":
        if (this.pending) this.begin(this.pending);
        Object.assign(this.run!.words, reply.words);
        addTurn(this.run!, reply.turn);
        break;
      case "ended":
        this.run!.ended = true;
        this.clamp();
        break;
      case "failed":
        return this.fail(reply.message);
    }
    this.onChange();
  }

  private begin(run: Run): void {
    this.run = run;
    this.pending = undefined;
    this.starting = false;
    this.clamp();
    this.writeLink();
  }

  private writeLink(): void {
    try {
      history.replaceState(null, "", viewToHash(this.view));
    } catch {
      // browsers refuse it when a slider is drawn quickly: the link lags behind, the page must not
    }
  }

  private fail(message: string): void {
    this.playing = false;
    this.starting = false;
    if (this.run) this.run.ended = true; // nothing more will come of it
    this.clamp();
    this.set({ problem: message });
  }

  /** Keeps the link's numbers within what this model and batch have. */
  private clamp(): void {
    if (!this.run || this.starting) return;
    const { config, prompts, layers } = this.run.head;
    const { layer, head, row, step } = this.view;
    const known = layers.length === 0 || layers.includes(layer) ? layer : layers[0]!;
    this.view = {
      ...this.view,
      layer: Math.min(known, config.nLayers - 1),
      head: Math.min(head, config.nHeads - 1),
      row: Math.min(row, prompts.length - 1),
      step: Math.min(step, this.length),
    };
  }

  private ask(): void {
    if (this.replaying || (this.starting ? !this.pending : this.run!.ended)) return;
    const turns = this.view.step + AHEAD + (this.playing ? Math.ceil(this.speed) : 0);
    if (turns <= this.asked) return;
    this.asked = turns;
    this.send({ type: "until", run: this.runs, turns });
  }

  private send(request: Request): void {
    this.worker.postMessage(request, []);
  }
}

function newRun(head: TraceHead, words: Record<string, string>): Run {
  return { head, words, turns: [], cachedRows: new RowStore(), uncachedRows: new RowStore(), ended: false };
}

function addTurn(run: Run, turn: Turn): void {
  run.turns.push(turn);
  if (turn.cached) run.cachedRows.add(turn.cached);
  if (turn.uncached) run.uncachedRows.add(turn.uncached);
}

/** A mode's name on the page. */
export const modeName = (cached: boolean): string => (cached ? "With the KV cache" : "Without");

/** The step of one mode on show. */
export const stepOf = (turn: Turn | undefined, cached: boolean): RecordedStep | undefined =>
  cached ? turn?.cached : turn?.uncached;
