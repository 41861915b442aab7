import type { VNode } from "preact";
import { cacheBytes, weightBytes } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";
import { predictMemory } from "../../src/cost/predicted-memory.js";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { bytes } from "./counters.js";
import { modeName } from "./run.js";
import { BILL_LIMITS } from "./view.js";

const MODELS = ["llama-3.2-1b", "llama-3.2-3b", "smollm2-135m"];

/** Memory of a KV cache, as a formula with its numbers. */
export function Bill({ app }: { app: App }): VNode | null {
  if (!app.run) return null;
  const { header } = app.run;
  const { bill } = app.view;
  const { model, batch, input, output } = bill;
  const config = PRESETS[model] ?? header.config;
  const { nLayers, nKvHeads, headDim, nHeads } = config;
  const modes = [true, false].map((cached) => ({
    cached,
    parts: predictMemory(config, { batch, input, output, useCache: cached }),
  }));
  const most = Math.max(...modes.map(({ parts }) => parts.weights + parts.cache + parts.activations));
  const perToken = cacheBytes(config, 1, 1);
  const slider = (name: keyof typeof BILL_LIMITS, title: string) => (
    <label>
      <span>
        {title} <b>{bill[name]}</b>
      </span>
      <input
        type="range"
        min={BILL_LIMITS[name][0]}
        max={BILL_LIMITS[name][1]}
        value={bill[name]}
        aria-label={title}
        onInput={(event) => app.show({ bill: { ...bill, [name]: Number(event.currentTarget.value) } })}
      />
    </label>
  );
  return (
    <figure class="bill">
      <div class="controls">
        <label>
          <span>model</span>
          <select
            value={model}
            onChange={(event) => app.show({ bill: { ...bill, model: event.currentTarget.value } })}
          >
            {[header.model, ...MODELS].map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {slider("batch", "sequences")}
        {slider("input", "prompt tokens")}
        {slider("output", "new tokens")}
      </div>
      <p class="formula">
        <span>
          <b>2</b>
          <small>K and V</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>{nLayers}</b>
          <small>layers</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>{batch}</b>
          <small>sequences</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>{nKvHeads}</b>
          <small>KV heads</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>{input + output}</b>
          <small>positions</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>{headDim}</b>
          <small>head dim</small>
        </span>{" "}
        ×{" "}
        <span>
          <b>4</b>
          <small>bytes</small>
        </span>{" "}
        ={" "}
        <span class="result">
          <b data-test="cache-bytes">{bytes(cacheBytes(config, batch, input + output))}</b>
          <small>cache</small>
        </span>
      </p>
      <div class="bars">
        {modes.map(({ cached, parts: { weights, cache, activations } }) => (
          <div key={String(cached)} class={cached ? "cached" : "uncached"}>
            <h3>
              {modeName(cached)} <small>{bytes(weights + cache + activations)} peak</small>
            </h3>
            <div
              class="stack"
              role="img"
              aria-label={`weights ${bytes(weights)}, cache ${bytes(cache)}, activations ${bytes(activations)}`}
            >
              {(
                [
                  ["weights", weights],
                  ["cache", cache],
                  ["activations", activations],
                ] as const
              ).map(([name, size]) => (
                <i key={name} class={name} style={{ width: `${(100 * size) / most}%` }} />
              ))}
            </div>
            <p class="legend">
              <span>
                <i class="swatch weights" /> weights {bytes(weights)}
              </span>
              <span>
                <i class="swatch cache" /> cache {bytes(cache)}
              </span>
              <span>
                <i class="swatch activations" /> activations {bytes(activations)}
              </span>
            </p>
          </div>
        ))}
      </div>
      <figcaption>
        One token takes {bytes(perToken)} in the cache of this model, in float32. The cache is as large as the
        weights at {Math.round(weightBytes(config) / perToken).toLocaleString("en")} tokens, summed over all
        sequences. Sharing {nKvHeads} KV heads among {nHeads} query heads makes it {nHeads / nKvHeads} times
        smaller. Predicted from the configuration alone.
      </figcaption>
      <p class="links">
        <CodeButton app={app} id="cacheBytes" />
        <CodeButton app={app} id="predict" />
        <CodeButton app={app} id="capacity" />
      </p>
    </figure>
  );
}
