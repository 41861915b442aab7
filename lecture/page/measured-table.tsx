import type { VNode } from "preact";
import gpu from "../../fixtures/results/h200-llama-3.2-1b.json" with { type: "json" };
import wasm from "../../fixtures/results/bundled-wasm.json" with { type: "json" };
import smol from "../../fixtures/results/smollm2-135m-tensorflow-cpu.json" with { type: "json" };
import type { App } from "./app.js";
import { bytes, duration } from "./format.js";
import { TABLE_CASE } from "./example-runs.js";
import { type Measured, measuredIn, type MeasuredPair, type ResultsFile } from "./measured.js";
import { BatchHeaders } from "./mode-headers.js";
import { stepOf } from "./run.js";

const MEASURED: readonly Measured[] = [
  ...measuredIn("The bundled model, WebAssembly in Node", wasm as unknown as ResultsFile),
  ...measuredIn("SmolLM2-135M’s sizes, TensorFlow on the CPU", smol as unknown as ResultsFile),
  ...measuredIn("Llama 3.2 1B’s sizes, TensorFlow on an NVIDIA GPU", gpu as unknown as ResultsFile),
];

const GROUPS = [
  { name: "time", modes: true, ratio: true },
  { name: "operations", modes: false, ratio: true },
  { name: "peak tensor memory", modes: true, ratio: false },
] as const;

/** This page's own measurement, above the results in fixtures/results. */
export function MeasuredTable({ app }: { app: App }): VNode {
  const runCase = (): void => {
    const { prompts, maxGenLen } = TABLE_CASE;
    app.show({ prompts, maxGenLen, temperature: 0, bug: "", sequence: 0, step: maxGenLen });
  };
  return (
    <figure class="results">
      {!app.replaying && (
        <p class="links">
          <button type="button" onClick={runCase}>
            Run {TABLE_CASE.name}
          </button>
        </p>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label="Measured">
        <table>
          <caption>Measured by this repository and in your browser</caption>
          <BatchHeaders groups={GROUPS} />
          {[here(app), ...MEASURED].map(({ title, how, pairs }, i) => (
            <tbody key={`${title}: ${how}`} class={i === 0 ? "here" : undefined}>
              <tr class="group">
                <th scope="rowgroup" colSpan={7}>
                  <div>
                    {title} <small>{how}</small>
                  </div>
                </th>
              </tr>
              {pairs.map((pair) => (
                <Row key={pair.batch} pair={pair} />
              ))}
            </tbody>
          ))}
        </table>
      </div>
      <figcaption>
        Medians from <code>fixtures/results</code>; the README explains how to repeat the measurements. Graph
        mode: a step is one call into TensorFlow instead of hundreds. TF32 on: the GPU rounds the inputs of
        matmuls to 10 bits of mantissa. Your browser’s times are those of one run, up to the shown step.
      </figcaption>
    </figure>
  );
}

function Row({ pair }: { pair: MeasuredPair }): VNode {
  const { batch, cached, uncached, speedUp, byOperations, memory } = pair;
  const times = (value: number): string => (Number.isFinite(value) ? `${value.toFixed(1)} ×` : "–");
  return (
    <tr>
      <th scope="row">{batch}</th>
      <td class="cached">{duration(1000 * cached)}</td>
      <td class="uncached">{duration(1000 * uncached)}</td>
      <td>
        <b>{times(speedUp)}</b>
      </td>
      <td>{times(byOperations)}</td>
      <td class="cached">{memory ? bytes(memory.cached) : "–"}</td>
      <td class="uncached">{memory ? bytes(memory.uncached) : "–"}</td>
    </tr>
  );
}

/** The page's generation up to the shown step, as a measured case. */
function here(app: App): Measured {
  const steps = (app.run?.steps ?? []).slice(0, app.view.step);
  const sum = (cached: boolean, of: "ms" | "flops"): number =>
    steps.reduce((total, pair) => {
      const step = stepOf(pair, cached);
      return total + (of === "ms" ? (step?.ms ?? 0) : (step?.cost.flops ?? 0));
    }, 0);
  const [cached, uncached] = [sum(true, "ms") / 1000, sum(false, "ms") / 1000];
  const { prompts = [], model = "", backend = "" } = app.run?.header ?? {};
  const lengths = [...new Set(prompts.map(({ ids }) => ids.length))].join(", ");
  return {
    title: app.replaying ? `Replayed: ${app.replaying}` : "In your browser",
    how: `${model}, ${lengths} tokens in, ${steps.length} of ${app.length} steps; ${backend}`,
    pairs: [
      {
        batch: prompts.length,
        cached,
        uncached,
        speedUp: uncached / cached,
        byOperations: sum(false, "flops") / sum(true, "flops"),
        memory: undefined,
      },
    ],
  };
}
