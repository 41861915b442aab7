import type { App } from "./app.js";

/** Steps a second that play can take. */
export const SPEEDS = [0.5, 1, 2, 4, 8] as const;

/** Goes forward by itself, as fast as was chosen or as turns are there. */
export class Player {
  playing = false;
  /** Steps a second. */
  speed: number = 2;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly app: App) {}

  /** Starts or stops; from the end it starts over. */
  play(playing = !this.playing): void {
    const { app } = this;
    this.playing = playing;
    clearTimeout(this.timer);
    if (playing && app.run?.ended && app.view.step >= app.length) app.go(1);
    if (playing) this.timer = setTimeout(() => this.tick(), 1000 / this.speed);
    app.show({}); // playing, it needs more turns ahead
  }

  /** Takes another speed, from the next step on. */
  setSpeed(speed: number): void {
    this.speed = speed;
    this.app.show({});
  }

  private tick(): void {
    const { app } = this;
    if (!this.playing) return;
    const there = !app.starting && app.run && app.view.step < app.run.turns.length;
    if (there) app.go(app.view.step + 1);
    if (app.run?.ended && app.view.step >= app.length) return this.play(false);
    this.timer = setTimeout(() => this.tick(), there ? 1000 / this.speed : 50);
  }
}
