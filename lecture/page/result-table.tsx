import type { VNode } from "preact";
import { generationCost } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";
import { short } from "./format.js";
import { BatchHeaders } from "./mode-headers.js";

/** The source document's table: Llama 3.2 1B, 16-bit weights, one unnamed GPU, 256 tokens in and 32 out. */
const SOURCE = [
  { batch: 1, cached: { s: 1.46, mb: 3071.57 }, uncached: { s: 4.15, mb: 3230.12 } },
  { batch: 8, cached: { s: 2.02, mb: 4495.47 }, uncached: { s: 28.29, mb: 5755 } },
  { batch: 16, cached: { s: 8.14, mb: 6133.8 }, uncached: { s: 52.3, mb: 8641.54 } },
] as const;

const GROUPS = [
  { name: "time", modes: true, ratio: true },
  { name: "operations", modes: true, ratio: true },
  { name: "peak memory", modes: true, ratio: false },
] as const;

/** The table that the lecture explains, with the number of operations beside it. */
export function ResultTable(): VNode {
  const config = PRESETS["llama-3.2-1b"]!;
  return (
    <figure class="results">
      <div class="scroll" tabIndex={0} role="region" aria-label="The table">
        <table>
          <caption>
            Llama 3.2 1B, 256 tokens in, 32 out: the source document’s measurement, and operations
          </caption>
          <BatchHeaders groups={GROUPS} />
          <tbody>
            {SOURCE.map(({ batch, cached, uncached }) => {
              const [few, many] = [true, false].map(
                (mode) => generationCost(config, batch, 256, 32, mode).flops,
              );
              return (
                <tr key={batch}>
                  <th scope="row">{batch}</th>
                  <td class="cached">{cached.s} s</td>
                  <td class="uncached">{uncached.s} s</td>
                  <td>{(uncached.s / cached.s).toFixed(1)} ×</td>
                  <td class="cached">{short(few!)}</td>
                  <td class="uncached">{short(many!)}</td>
                  <td>{(many! / few!).toFixed(1)} ×</td>
                  <td class="cached">{Math.round(cached.mb)} MB</td>
                  <td class="uncached">{Math.round(uncached.mb)} MB</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <figcaption>
        Times and memory are quoted from the source document (one unnamed GPU, 16-bit weights); operations are
        counted by this repository.
      </figcaption>
    </figure>
  );
}
