import type { Run } from "./run.js";
import type { View } from "./view.js";

/** Playing speeds in steps per second. */
export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

/** The parts of the app that playing needs. */
interface Playable {
  readonly run: Run | undefined;
  readonly view: View;
  readonly starting: boolean;
  readonly length: number;
  go(step: number): void;
  show(change: Partial<View>): void;
}

/** Steps forward automatically, at the chosen speed or as fast as steps are computed. */
export class Player {
  playing = false;
  /** Steps per second. */
  speed: number = 4;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly app: Playable) {}

  /** Starts or stops; at the end, restarts from the first step. */
  play(playing = !this.playing): void {
    const { app } = this;
    this.playing = playing;
    clearTimeout(this.timer);
    if (playing && app.run?.ended && app.view.step >= app.length) app.go(1);
    if (playing) this.timer = setTimeout(() => this.tick(), 1000 / this.speed);
    app.show({}); // requests more steps in advance while playing
  }

  /** Changes the speed from the next step on. */
  setSpeed(speed: number): void {
    this.speed = speed;
    this.app.show({});
  }

  private tick(): void {
    const { app } = this;
    if (!this.playing) return;
    const there = !app.starting && app.run && app.view.step < app.run.steps.length;
    if (there) app.go(app.view.step + 1);
    if (app.run?.ended && app.view.step >= app.length) return this.play(false);
    this.timer = setTimeout(() => this.tick(), there ? 1000 / this.speed : 50);
  }
}
