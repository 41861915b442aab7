import type { VNode } from "preact";
import { type App, SPEEDS } from "./app.js";
import type { ShownModes } from "./view.js";

/** What the keys do, wherever the focus is; fields that take text keep them. */
export const KEYS: readonly [keys: string, what: string][] = [
  ["→ ←", "a step forward, a step back"],
  ["space", "play or pause"],
  ["Home End", "the first step, the last one so far"],
  ["1 … 8", "chapter"],
  ["r h l", "next row, head, layer (with shift: the one before)"],
  ["m", "both modes, with, without"],
  ["c", "show or hide the code"],
];

/** Step, play, and choose what is looked at: always at the bottom of the page. */
export function Transport({ app }: { app: App }): VNode {
  const { view, run, length } = app;
  const config = run?.head.config;
  const choice = (name: "row" | "layer" | "head", options: readonly number[]) => (
    <label>
      <span>{name}</span>
      <select
        value={view[name]}
        onChange={(event) => app.show({ [name]: Number(event.currentTarget.value) })}
      >
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  );
  const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
  return (
    <footer class="transport">
      <div class="buttons">
        <button type="button" aria-label="First step" onClick={() => app.go(1)} disabled={view.step <= 1}>
          ⏮
        </button>
        <button
          type="button"
          aria-label="Step back"
          onClick={() => app.go(view.step - 1)}
          disabled={view.step <= 1}
        >
          ◀
        </button>
        <button
          type="button"
          class="primary"
          aria-label={app.playing ? "Pause" : "Play"}
          onClick={() => app.play()}
          disabled={!run}
        >
          {app.playing ? "❚❚" : "▶"}
        </button>
        <button
          type="button"
          aria-label="Step forward"
          onClick={() => app.go(view.step + 1)}
          disabled={!run || view.step >= length}
        >
          ▶❙
        </button>
      </div>
      <label class="scrub">
        <span>
          step <b data-test="step">{view.step}</b> of {length}
        </span>
        <input
          type="range"
          aria-label="Step"
          min={1}
          max={length}
          value={view.step}
          onInput={(event) => app.go(Number(event.currentTarget.value))}
        />
      </label>
      <div class="choices">
        {choice("row", upTo(run?.head.prompts.length ?? 1))}
        {choice("layer", run && run.head.layers.length > 0 ? run.head.layers : upTo(config?.nLayers ?? 1))}
        {choice("head", upTo(config?.nHeads ?? 1))}
        <label>
          <span>modes</span>
          <select
            value={view.mode}
            onChange={(event) => app.show({ mode: event.currentTarget.value as ShownModes })}
          >
            <option value="both">both</option>
            <option value="cached">with</option>
            <option value="uncached">without</option>
          </select>
        </label>
        <label>
          <span>speed</span>
          <select
            value={app.speed}
            onChange={(event) => app.set({ speed: Number(event.currentTarget.value) })}
          >
            {SPEEDS.map((speed) => (
              <option key={speed} value={speed}>
                {speed}/s
              </option>
            ))}
          </select>
        </label>
      </div>
    </footer>
  );
}
