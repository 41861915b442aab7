import type { VNode } from "preact";
import { type WorkRow, workRows } from "./work-map-rows.js";
import type { App } from "./app.js";
import { capacityOf, modeName } from "./run.js";

/** Draws one square of the map as a part of a path, with a margin around it. */
const square = (x: number, y: number, margin: number): string => {
  const side = (1 - 2 * margin).toFixed(2);
  return `M${x + margin} ${y + margin}h${side}v${side}h-${side}z`;
};

/** Squares at positions from … to-1 of a row. */
const squares = (from: number, to: number, y: number, margin: number): string =>
  Array.from({ length: to - from }, (_, i) => square(from + i, y, margin)).join("");

interface Props {
  readonly app: App;
  readonly cached: boolean;
  /** Squares stay square; without it they fill the figure. */
  readonly exact?: boolean;
}

/**
 * The work map: one row for each step, one column for each position. A square is a key and a value that the step
 * computed, dark for the first time and light again; a dot is one that it read from the cache. Area is work.
 */
export function WorkMap({ app, cached, exact = false }: Props): VNode {
  const { run, steps } = app;
  const rows = workRows(steps, cached);
  const columns = run ? capacityOf(run) - 1 : 37; // the token that the last step decides is never an input
  const lines = run ? app.length : 32;
  const margin = lines > 80 ? 0 : 0.06;
  const draw = (of: (row: WorkRow, y: number) => string): string => rows.map(of).join("");
  const { length } = rows;
  return (
    <svg
      class="work-map"
      data-mode={cached ? "cached" : "uncached"}
      viewBox={`0 0 ${columns} ${lines}`}
      preserveAspectRatio={exact ? "xMinYMin meet" : "none"}
      role="img"
      aria-label={describe(rows, cached)}
    >
      <path class="frame" d={`M0 0H${columns}V${lines}H0z`} />
      <path class="read" d={draw(({ readTo }, y) => squares(0, readTo, y, 0.34))} />
      <path class="again" d={draw(({ readTo, newFrom }, y) => squares(readTo, newFrom, y, margin))} />
      <path class="new" d={draw(({ newFrom, to }, y) => squares(newFrom, to, y, margin))} />
      {length > 0 && <path key={length} class="latest" d={`M0 ${length - 1}H${rows.at(-1)!.to}v1H0z`} />}
    </svg>
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
