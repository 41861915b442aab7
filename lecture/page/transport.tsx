import type { VNode } from "preact";
import type { App } from "./app.js";
import { SPEEDS } from "./player.js";
import type { ShownModes } from "./view.js";

/** Keyboard shortcuts, active everywhere but in text fields. */
export const KEYS: readonly [keys: string, action: string][] = [
  ["→ ←", "next step, previous step"],
  ["space", "play or pause"],
  ["Home End", "first step, last step so far"],
  ["1 … 8", "chapter"],
  ["s h l", "next sequence, head, layer (with shift: previous)"],
  ["m", "both modes, with the cache, without"],
  ["c", "show or hide the code"],
];

function Icon({ path }: { path: string }): VNode {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** Controls for steps, playing and the selected sequence, layer and head, at the bottom of the page. */
export function Transport({ app }: { app: App }): VNode {
  const { view, run, length } = app;
  const config = run?.header.config;
  const choice = (name: "sequence" | "layer" | "head", options: readonly number[]) => (
    <label>
      <span>{name}</span>
      <select
        aria-label={name}
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
          <Icon path="M0 1h2v14H0zM9 1v14L3 8zM16 1v14l-6-7z" />
        </button>
        <button
          type="button"
          aria-label="Step back"
          onClick={() => app.go(view.step - 1)}
          disabled={view.step <= 1}
        >
          <Icon path="M14 1v14L5 8zM2 1h2v14H2z" />
        </button>
        <button
          type="button"
          class="primary"
          aria-label={app.player.playing ? "Pause" : "Play"}
          onClick={() => app.player.play()}
          disabled={!run}
        >
          <Icon path={app.player.playing ? "M3 1h4v14H3zM9 1h4v14H9z" : "M3 1v14l11-7z"} />
        </button>
        <button
          type="button"
          aria-label="Step forward"
          onClick={() => app.go(view.step + 1)}
          disabled={!run || view.step >= length}
        >
          <Icon path="M2 1v14l9-7zM12 1h2v14h-2z" />
        </button>
      </div>
      <label class="scrub">
        <span>
          step <b data-test="step">{view.step}</b> of {length}
          {app.waiting && run ? `, computing ${run.steps.length}` : ""}
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
        {choice("sequence", upTo(run?.header.prompts.length ?? 1))}
        {choice(
          "layer",
          run && run.header.layers.length > 0 ? run.header.layers : upTo(config?.nLayers ?? 1),
        )}
        {choice("head", upTo(config?.nHeads ?? 1))}
        <label>
          <span>modes</span>
          <select
            aria-label="modes"
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
            aria-label="speed"
            value={app.player.speed}
            onChange={(event) => app.player.setSpeed(Number(event.currentTarget.value))}
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
