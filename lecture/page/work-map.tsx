import type { VNode } from "preact";
import { type WorkRow, workRows } from "./work-map-rows.js";
import type { App } from "./app.js";
import { capacityOf, modeName } from "./run.js";

interface Props {
  readonly app: App;
  readonly cached: boolean;
}

/**
 * The work map: one row for each step, one column for each position. A square is a key and a value that the step
 * computed, dark for the first time and light again; a dot is one that it read from the cache. Area is work.
 */
export function WorkMap({ app, cached }: Props): VNode {
  const { run, steps } = app;
  const rows = workRows(steps, cached);
  const columns = run ? capacityOf(run) - 1 : 37; // the token that the last step decides is never an input
  const lines = run ? app.length : 32;
  const { length } = rows;
  return (
    <svg
      class="work-map"
      data-mode={cached ? "cached" : "uncached"}
      viewBox={`0 0 ${columns} ${lines}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={describe(rows, cached)}
    >
      <path class="frame" d={`M0 0H${columns}V${lines}H0z`} />
      <Squares kind="read" side={0.32} spans={rows.map(({ readTo }) => [0, readTo])} />
      <Squares
        kind="again"
        side={lines > 80 ? 1 : 0.88}
        spans={rows.map(({ readTo, newFrom }) => [readTo, newFrom])}
      />
      <Squares kind="new" side={lines > 80 ? 1 : 0.88} spans={rows.map(({ newFrom, to }) => [newFrom, to])} />
      {length > 0 && <path key={length} class="latest" d={`M0 ${length - 1}H${rows.at(-1)!.to}v1H0z`} />}
    </svg>
  );
}

interface SquaresProps {
  readonly kind: "read" | "again" | "new";
  /** Of a square; the distance of their centres is 1. */
  readonly side: number;
  /** For each row, its first position and one past its last. */
  readonly spans: readonly (readonly [from: number, to: number])[];
}

/** The squares of one kind: a dashed line for each row, which takes browsers much less time than a path for each. */
function Squares({ kind, side, spans }: SquaresProps): VNode {
  const lines = spans.map(([from, to], y) => (to > from ? `M${from} ${y + 0.5}H${to}` : ""));
  const margin = (1 - side) / 2;
  return (
    <path
      class={kind}
      d={lines.join("")}
      stroke-width={side}
      stroke-dasharray={margin > 0 ? `0 ${margin} ${side} ${margin}` : undefined}
    />
  );
}

function describe(rows: readonly WorkRow[], cached: boolean): string {
  const last = rows.at(-1);
  if (!last) return `Work map, ${modeName(cached)}: no step yet`;
  const { readTo, newFrom, to } = last;
  return (
    `Work map, ${modeName(cached)}: ${rows.length} steps; the last one read ${readTo} positions from the cache, ` +
    `computed ${newFrom - readTo} again and ${to - newFrom} for the first time`
  );
}

/** Both maps, small, for the corner of every chapter. */
export function SmallMaps({ app }: { app: App }): VNode {
  return (
    <div class="small-maps">
      <WorkMap app={app} cached />
      <WorkMap app={app} cached={false} />
    </div>
  );
}

/** The map's colours and shapes. */
export function WorkLegend({ read = true }: { read?: boolean }): VNode {
  return (
    <p class="legend">
      <span>
        <i class="key new" /> computed
      </span>
      <span>
        <i class="key again" /> computed again
      </span>
      {read && (
        <span>
          <i class="key read" /> read from the cache
        </span>
      )}
    </p>
  );
}
