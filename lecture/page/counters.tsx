import type { VNode } from "preact";
import type { App } from "./app.js";
import { CodeButton } from "./code-panel.js";
import { ModeHeaders } from "./mode-headers.js";
import { stepOf } from "./run.js";
import type { CapturedStep } from "../trace.js";

/** Formats a count: 12 300 000 is "12.3 M". */
export function short(value: number): string {
  const units = ["", " k", " M", " G", " T", " P"];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** power;
  return `${power === 0 ? Math.round(value) : scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)}${units[power]}`;
}

/** Formats bytes in decimal units: "1.23 GB". */
export const bytes = (value: number): string => `${short(value)}${value < 1000 ? " " : ""}B`;

/** Formats milliseconds: "350 ms", "1.02 s". */
export const duration = (ms: number): string =>
  ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;

/** Quantities of a step, which are also summed over all steps so far. */
const COUNTERS: readonly {
  name: string;
  of: (step: CapturedStep) => number;
  show: (value: number) => string;
}[] = [
  { name: "floating-point operations", of: ({ cost }) => cost.flops, show: short },
  {
    name: "bytes moved: weights and cache",
    of: ({ cost }) => cost.weightBytes + cost.cacheBytesRead + cost.cacheBytesWritten,
    show: bytes,
  },
  { name: "K/V entries computed", of: ({ cost }) => cost.kvPairsComputed, show: short },
  { name: "K/V entries reused", of: ({ cost }) => cost.kvPairsReused, show: short },
  { name: "time", of: ({ ms }) => ms, show: duration },
];

/** Table of both modes' costs, for this step and so far. */
export function Counters({ app }: { app: App }): VNode {
  const steps = (cached: boolean) =>
    (app.run?.steps ?? []).slice(0, app.view.step).flatMap((pair) => stepOf(pair, cached) ?? []);
  const [cached, uncached] = [steps(true), steps(false)];
  const sum = (of: (step: CapturedStep) => number, all: CapturedStep[]) =>
    all.reduce((total, step) => total + of(step), 0);
  const shows = { cached: app.view.mode !== "uncached", uncached: app.view.mode !== "cached" };
  return (
    <figure class="counters">
      <div class="scroll" tabIndex={0} role="region" aria-label="Counters">
        <table>
          <thead>
            <tr>
              <th scope="col" rowSpan={2} class="corner">
                <CodeButton app={app} id="stepCost" label="what is counted" />
              </th>
              <th scope="colgroup" colSpan={Number(shows.cached) + Number(shows.uncached)}>
                this step
              </th>
              <th scope="colgroup" colSpan={Number(shows.cached) + Number(shows.uncached) + 1}>
                so far
              </th>
            </tr>
            <tr>
              <ModeHeaders shown={app.view.mode} />
              <ModeHeaders shown={app.view.mode} />
              <th scope="col">ratio</th>
            </tr>
          </thead>
          <tbody>
            {COUNTERS.map(({ name, of, show }) => {
              const [a, b] = [sum(of, cached), sum(of, uncached)];
              const now = (all: CapturedStep[]) => (all.at(-1) ? show(of(all.at(-1)!)) : "–");
              return (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {shows.cached && <td class="cached">{now(cached)}</td>}
                  {shows.uncached && <td class="uncached">{now(uncached)}</td>}
                  {shows.cached && <td class="cached">{show(a)}</td>}
                  {shows.uncached && <td class="uncached">{show(b)}</td>}
                  <td>{a > 0 && b > 0 ? `${(b / a).toFixed(1)} ×` : "–"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
