import * as Plot from "@observablehq/plot";
import type { ResultsOf } from "../schema.js";
import { COLOR, frame } from "./frame.js";

const LINES = [
  { strategy: "concat", measure: "writeAndReadMicroseconds", name: "concat", color: COLOR.without },
  { strategy: "scatter", measure: "writeAndReadMicroseconds", name: "scatter, slice", color: COLOR.third },
  { strategy: "in place", measure: "writeAndReadMicroseconds", name: "in place, slice", color: COLOR.with },
  {
    strategy: "in place",
    measure: "writeMicroseconds",
    name: "in place (write only, dotted)",
    color: COLOR.with,
  },
] as const;

/** Time to append a position and pass all to attention, against the length; one facet per backend. */
export function cacheWritePlot({ cases, sizes, machine }: ResultsOf<"cache-write">): string {
  const marks = LINES.map(({ strategy, measure, color }) =>
    Plot.line(
      cases.filter((one) => one.strategy === strategy),
      {
        fx: "backend",
        x: "length",
        y: (one: (typeof cases)[number]) => one[measure].median,
        stroke: color,
        strokeWidth: 2,
        ...(measure === "writeMicroseconds" && { strokeDasharray: "2 4" }),
      },
    ),
  );
  return frame(
    "Appending one position to a layer's keys",
    `${sizes.heads} KV heads, head dim ${sizes.headDim}, capacity ${sizes.capacity}; ${machine.cpu.model}`,
    {
      fx: { label: null, domain: [...new Set(cases.map(({ backend }) => backend))], padding: 0.12 },
      x: { label: "positions so far", ticks: 3 },
      y: { type: "log", label: "µs", grid: true, ticks: 5, tickFormat: "~s" },
      marks: [Plot.frame({ stroke: COLOR.faint, strokeOpacity: 0.4 }), ...marks],
    },
    LINES,
  );
}
