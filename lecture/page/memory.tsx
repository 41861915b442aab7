import type { VNode } from "preact";
import type { App } from "./app.js";
import { bytes, whole } from "./format.js";
import {
  bytesPerPosition,
  GPUS,
  MEMORY_MODELS,
  MEMORY_STEPS,
  memoryBytes,
  type MemoryOf,
  requestsThatFit,
  sizesOf,
  weightBytesOf,
} from "./memory-of.js";

/** The cache's size as a formula and as a bar beside GPUs' memories, with a slider for every factor. */
export function Memory({ app }: { app: App }): VNode {
  const of = app.view.memory;
  const heads = app.view.build === 2;
  return (
    <figure class="memory">
      <Sliders app={app} />
      <div class="scroll" tabIndex={0} role="region" aria-label="Formula">
        <Formula of={of} />
      </div>
      {heads ? <Variants of={of} /> : <Bar of={of} answered={app.answered} />}
    </figure>
  );
}

const TITLES = {
  layers: "layers",
  kvHeads: "KV heads",
  headDim: "head dim",
  context: "positions",
  batch: "requests",
  bits: "bits",
} as const;

function Sliders({ app }: { app: App }): VNode {
  const of = app.view.memory;
  const latent = MEMORY_MODELS[of.model]!.latent !== undefined;
  return (
    <div class="controls sliders">
      <label>
        <span>model</span>
        <select
          aria-label="model"
          value={of.model}
          onChange={(event) => app.show({ memory: sizesOf(event.currentTarget.value, of) })}
        >
          {Object.entries(MEMORY_MODELS).map(([id, { name }]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {(Object.keys(TITLES) as (keyof typeof TITLES)[]).map((name) => {
        const steps: readonly number[] = MEMORY_STEPS[name];
        return (
          <label key={name}>
            <span>
              {TITLES[name]} <b>{whole(of[name])}</b>
            </span>
            <input
              type="range"
              aria-label={TITLES[name]}
              aria-valuetext={String(of[name])}
              min={0}
              max={steps.length - 1}
              value={steps.indexOf(of[name])}
              disabled={latent && (name === "kvHeads" || name === "headDim")}
              onInput={(event) =>
                app.show({ memory: { ...of, [name]: steps[Number(event.currentTarget.value)]! } })
              }
            />
          </label>
        );
      })}
    </div>
  );
}

/** The formula with its numbers. */
function Formula({ of }: { of: MemoryOf }): VNode {
  const { latent } = MEMORY_MODELS[of.model]!;
  const factors: readonly (readonly [number, string])[] = [
    ...(latent === undefined
      ? ([
          [2, "K and V"],
          [of.layers, "layers"],
          [of.kvHeads, "KV heads"],
          [of.headDim, "head dim"],
        ] as const)
      : ([
          [of.layers, "layers"],
          [latent, "latent"],
        ] as const)),
    [of.context, "positions"],
    [of.batch, "requests"],
    [of.bits / 8, "bytes"],
  ];
  return (
    <math display="block" class="formula">
      <mrow>
        {factors.map(([value, name], i) => (
          <>
            {i > 0 && (
              <mo lspace="0.5em" rspace="0.5em">
                ·
              </mo>
            )}
            <munder>
              <mpadded height="0.8em" depth="0.2em">
                <mn>{whole(value) === "0" ? value : whole(value)}</mn>
              </mpadded>
              <mpadded height="0.8em" depth="0.3em">
                <mtext>{name}</mtext>
              </mpadded>
            </munder>
          </>
        ))}
        <mo>=</mo>
        <mtext class="result" data-test="cache-bytes">
          {bytes(memoryBytes(of))}
        </mtext>
      </mrow>
    </math>
  );
}

/** Weights and caches as one bar, over lines at the GPUs' memories, and how many requests fit. */
function Bar({ of, answered }: { of: MemoryOf; answered: boolean }): VNode {
  const weights = weightBytesOf(of);
  const cache = memoryBytes(of);
  const all = Math.max(165e9, 1.05 * (weights + cache));
  const percent = (value: number): string => `${(100 * value) / all}%`;
  return (
    <div class="gpu-memory">
      <div class="gpu-bar" role="img" aria-label={`weights ${bytes(weights)}, cache ${bytes(cache)}`}>
        <i class="weights" style={{ width: percent(weights) }} />
        <i class="kept" style={{ width: percent(cache) }} />
        {GPUS.map((gigabytes) => (
          <b key={gigabytes} class="gpu-line" style={{ left: percent(gigabytes * 1e9) }}>
            {all < 300e9 && `${gigabytes} GB`}
          </b>
        ))}
      </div>
      <p class="legend">
        <span>
          <i class="swatch weights" /> weights {bytes(weights)}
        </span>
        <span>
          <i class="swatch kept" /> cache {bytes(cache)}
        </span>
      </p>
      <dl class="facts">
        {GPUS.map((gigabytes) => (
          <div key={gigabytes}>
            <dt>requests in {gigabytes} GB</dt>
            <dd data-test={`fit-${gigabytes}`}>{answered ? whole(requestsThatFit(of, gigabytes)) : "?"}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** One position's bytes under each kind of attention. */
function Variants({ of }: { of: MemoryOf }): VNode {
  const { heads, kvHeads } = MEMORY_MODELS[of.model]!;
  const size = (count: number) => bytesPerPosition({ ...of, model: "llama-3.1-8b", kvHeads: count });
  const grouped = kvHeads < heads ? kvHeads : heads / 4;
  const variants = [
    ["MHA", `multi-head, ${heads} KV heads`, size(heads)],
    ["GQA", `grouped-query, ${grouped} KV heads`, size(grouped)],
    ["MLA", "multi-head latent, 576 numbers", bytesPerPosition({ ...of, model: "deepseek-v3" })],
    ["MQA", "multi-query, 1 KV head", size(1)],
  ] as const;
  return (
    <table class="variants">
      <tbody>
        {variants.map(([name, how, value]) => (
          <tr key={name}>
            <th scope="row">
              {name} <small>{how}</small>
            </th>
            <td>
              <i class="swatch kept" style={{ width: `${(100 * value) / size(heads)}%` }} />
            </td>
            <td class="size">{bytes(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
