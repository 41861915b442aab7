import type { VNode } from "preact";
import type { App } from "./app.js";
import { duration, times } from "./format.js";
import {
  BATCHES,
  gpuSeconds,
  gpuSpeedUp,
  type Machine,
  MACHINES,
  type RooflinePoint,
  savedOperations,
} from "./roofline-points.js";

const X = [0.2, 2000] as const; // FLOPs per byte
const TICKS = [1, 10, 100];
const Y = [5e9, 2e15] as const; // FLOPs per second
const RATES = { "10 G": 1e10, "1 T": 1e12, "100 T": 1e14 };

const share = (value: number, [from, to]: readonly [number, number]): number =>
  (100 * Math.log(value / from)) / Math.log(to / from);
const left = (intensity: number): number => share(intensity, X);
const top = (rate: number): number => 100 - share(rate, Y);

const NAMES = {
  prefill: "prefill",
  cached: "decode with the cache",
  uncached: "decode without it",
} as const;

/** The build from which a kind of point is shown; larger batches follow later. */
const BUILD_OF = { prefill: 1, cached: 2, uncached: 2 } as const;
const BATCHES_FROM = 3;

/** Measured prefills and decode steps below their machine's limits; or, at the end, the times that follow. */
export function Cost({ app }: { app: App }): VNode {
  const { build } = app.view;
  if (build >= 4) return <Seconds />;
  const shown = ({ kind, batch }: RooflinePoint) =>
    build >= BUILD_OF[kind] && (batch === 1 || build >= BATCHES_FROM);
  return (
    <figure class="roofline">
      <div class="plot">
        <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
          {MACHINES.map(({ name, peak, bandwidth }) => (
            <path key={name} class="roof" d={roof(peak, bandwidth)} />
          ))}
        </svg>
        {MACHINES.map((machine, i) => (
          <Labels key={machine.name} machine={machine} above={i === 0} />
        ))}
        {MACHINES.flatMap(({ name, points }) =>
          points
            .filter(shown)
            .map((point) => (
              <Dot key={`${name} ${point.kind} ${point.batch}`} machine={name} point={point} />
            )),
        )}
        {TICKS.map((intensity) => (
          <span
            key={intensity}
            class={intensity > 10 ? "tick far" : "tick"}
            style={{ left: `${left(intensity)}%` }}
          >
            {intensity}
          </span>
        ))}
        {Object.entries(RATES).map(([name, rate]) => (
          <span key={name} class="tick rate" style={{ top: `${top(rate)}%` }}>
            {name}
          </span>
        ))}
        <span class="x-axis">operations per byte →</span>
        <span class="y-axis">operations per second →</span>
      </div>
    </figure>
  );
}

/** The limit as a path: bandwidth · intensity up to the peak. */
function roof(peak: number, bandwidth: number): string {
  const ridge = peak / bandwidth;
  return `M0 ${top(bandwidth * X[0])}L${left(ridge)} ${top(peak)}H100`;
}

/** @param above the label of the slope is above it, or else below */
function Labels({ machine, above }: { machine: Machine; above: boolean }): VNode {
  const { name, peak, bandwidth } = machine;
  const ridge = peak / bandwidth;
  const slope = Math.sqrt(X[0] * ridge); // halfway up
  return (
    <>
      <span class="label" style={{ right: "0.5%", bottom: `${101 - top(peak)}%` }}>
        <b>{name}</b>: compute-bound
      </span>
      <span
        class="label"
        style={
          above
            ? { right: `${102 - left(slope)}%`, bottom: `${101 - top(bandwidth * slope)}%` }
            : { left: `${left(slope) + 3}%`, top: `${top(bandwidth * slope) + 1}%` }
        }
      >
        memory-bandwidth bound
      </span>
    </>
  );
}

function Dot({ machine, point }: { machine: string; point: RooflinePoint }): VNode {
  const { kind, batch, intensity, rate } = point;
  const name = `${machine}, ${NAMES[kind]}, batch ${batch}: ${intensity.toPrecision(2)} operations per byte`;
  return (
    <span
      class={`dot ${kind}`}
      style={{ left: `${left(intensity)}%`, top: `${top(rate)}%` }}
      role="img"
      aria-label={name}
      title={name}
    >
      <small>{batch > 1 ? batch : machine === MACHINES[0]!.name ? NAMES[kind] : ""}</small>
    </span>
  );
}

/** Times of both modes on the H200 beside the operations that the cache saves. */
function Seconds(): VNode {
  const most = gpuSeconds(16, false);
  return (
    <figure class="seconds">
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              batch
            </th>
            <th scope="col" class="left">
              time on an H200 GPU, with the cache and without
            </th>
            <th scope="col">faster</th>
            <th scope="col">fewer operations</th>
          </tr>
        </thead>
        <tbody>
          {BATCHES.map((batch) => (
            <tr key={batch}>
              <th scope="row">{batch}</th>
              <td class="left">
                {[true, false].map((useCache) => (
                  <span key={String(useCache)} class={useCache ? "time cached" : "time uncached"}>
                    <i style={{ width: `${(70 * gpuSeconds(batch, useCache)) / most}%` }} />{" "}
                    {duration(1000 * gpuSeconds(batch, useCache))}
                  </span>
                ))}
              </td>
              <td>
                <b>{times(gpuSpeedUp(batch))}</b>
              </td>
              <td>{times(savedOperations())}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}
