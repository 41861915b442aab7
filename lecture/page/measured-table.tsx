import type { VNode } from "preact";
import card from "../../fixtures/results/h200-llama-3.2-1b.json" with { type: "json" };
import wasm from "../../fixtures/results/bundled-wasm.json" with { type: "json" };
import smol from "../../fixtures/results/smollm2-135m-tensorflow-cpu.json" with { type: "json" };
import type { App } from "./app.js";
import { bytes, duration } from "./counters.js";
import { TABLE_CELL } from "./example-runs.js";
import { type Measured, measuredIn, type MeasuredPair, type ResultsFile } from "./measured.js";
import { BatchHeads } from "./mode-heads.js";
import { stepOf } from "./run.js";

const MEASURED: readonly Measured[] = [
  ...measuredIn("The bundled model, WebAssembly in Node", wasm as unknown as ResultsFile),
  ...measuredIn("SmolLM2-135M’s sizes, TensorFlow on the processor", smol as unknown as ResultsFile),
  ...measuredIn("Llama 3.2 1B’s sizes, TensorFlow on an NVIDIA card", card as unknown as ResultsFile),
];

const GROUPS = [
  { name: "time", modes: true, ratio: true },
  { name: "operations", modes: false, ratio: true },
  { name: "tensors at the peak", modes: true, ratio: false },
] as const;

/** What this page has just measured, above what is committed in fixtures/results. */
export function MeasuredTable({ app }: { app: App }): VNode {
  const runCell = (): void => {
    const { prompts, maxGenLen } = TABLE_CELL;
    app.show({ prompts, maxGenLen, temperature: 0, bug: "", row: 0, step: maxGenLen });
  };
  return (
    <figure class="results">
      {!app.replaying && (
        <p class="links">
          <button type="button" onClick={runCell}>
            Run here {TABLE_CELL.name}
          </button>
        </p>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label="Measured">
        <table>
          <caption>Measured by this repository, and by you</caption>
          <BatchHeads groups={GROUPS} />
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
        Medians, as committed in <code>fixtures/results</code>; the README says how to measure them again.
        Recorded: a step is one call into TensorFlow instead of hundreds. TF32 on: the card rounds what it
        multiplies to 10 bits of fraction. Your browser’s times are of one run, up to the step on show.
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

/** The generation on show, as far as it is on show, like a measured cell. */
function here(app: App): Measured {
  const turns = (app.run?.turns ?? []).slice(0, app.view.step);
  const sum = (cached: boolean, what: "ms" | "flops"): number =>
    turns.reduce((total, turn) => {
      const step = stepOf(turn, cached);
      return total + (what === "ms" ? (step?.ms ?? 0) : (step?.cost.flops ?? 0));
    }, 0);
  const [cached, uncached] = [sum(true, "ms") / 1000, sum(false, "ms") / 1000];
  const { prompts = [], model = "", backend = "" } = app.run?.head ?? {};
  const lengths = [...new Set(prompts.map(({ ids }) => ids.length))].join(", ");
  return {
    title: app.replaying ? `Replayed: ${app.replaying}` : "Here, in your browser",
    how: `${model}, ${lengths} tokens in, ${turns.length} of ${app.length} steps; ${backend}`,
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
