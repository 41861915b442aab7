import type { VNode } from "preact";
import type { App } from "./app.js";
import { chapterOf, hasSteps, nextOf } from "./chapters.js";
import { SPEEDS } from "./player.js";
import { SmallMaps } from "./work-map.js";

function Icon({ path }: { path: string }): VNode {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** The small work maps, and the controls for steps and playing, at the bottom of the page. */
export function Transport({ app }: { app: App }): VNode {
  const { view, run, length } = app;
  const step = Math.min(view.step, length);
  const { builds } = chapterOf(view.chapter);
  const next = nextOf(view.chapter, view.build);
  const still = !run || !hasSteps(view.chapter, view.build);
  return (
    <footer class="transport">
      <SmallMaps app={app} />
      <div class="buttons">
        <button
          type="button"
          aria-label="Step back"
          onClick={() => app.go(step - 1)}
          disabled={still || step <= 1}
        >
          <Icon path="M14 1v14L5 8zM2 1h2v14H2z" />
        </button>
        <button
          type="button"
          class="primary"
          aria-label={app.player.playing ? "Pause" : "Play"}
          onClick={() => app.player.play()}
          disabled={still}
        >
          <Icon path={app.player.playing ? "M3 1h4v14H3zM9 1h4v14H9z" : "M3 1v14l11-7z"} />
        </button>
        <button
          type="button"
          aria-label="Step forward"
          onClick={() => app.go(step + 1)}
          disabled={still || step >= length}
        >
          <Icon path="M2 1v14l9-7zM12 1h2v14h-2z" />
        </button>
      </div>
      <label class="scrub">
        <span>
          step <b data-test="step">{step}</b> of {length}
        </span>
        <input
          type="range"
          aria-label="Step"
          min={1}
          max={length}
          value={step}
          disabled={still}
          onInput={(event) => app.go(Number(event.currentTarget.value))}
        />
      </label>
      {view.present ? (
        <p class="progress">
          {chapterOf(view.chapter).mark} · {view.build + 1}/{builds.length}
        </p>
      ) : (
        <>
          <div class="choices">
            {(run?.header.prompts.length ?? 1) > 1 && (
              <Choice app={app} name="sequence" options={upTo(run!.header.prompts.length)} />
            )}
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
          <button
            type="button"
            class="primary next"
            title={next}
            onClick={() => app.advance(1)}
            disabled={!run || !next}
          >
            Next
          </button>
        </>
      )}
    </footer>
  );
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

interface ChoiceProps {
  readonly app: App;
  readonly name: "sequence" | "layer" | "head";
  readonly options: readonly number[];
}

/** Selects a sequence, layer or head. */
function Choice({ app, name, options }: ChoiceProps): VNode {
  return (
    <label>
      <span>{name}</span>
      <select
        aria-label={name}
        value={app.view[name]}
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
}

/** Selects the layer and head whose numbers a figure shows. */
export function LayerChoices({ app }: { app: App }): VNode {
  const { layers, config } = app.run?.header ?? {};
  return (
    <div class="controls">
      <Choice
        app={app}
        name="layer"
        options={layers && layers.length > 0 ? layers : upTo(config?.nLayers ?? 1)}
      />
      <Choice app={app} name="head" options={upTo(config?.nHeads ?? 1)} />
    </div>
  );
}
