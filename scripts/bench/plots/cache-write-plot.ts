import * as Plot from "@observablehq/plot";
import type { ResultsOf } from "../schema.js";
import { COLOR, frame } from "./frame.js";

const LINES = [
  { strategy: "concat", time: "writeAndReadMicroseconds", name: "concat", color: COLOR.without },
  { strategy: "scatter", time: "writeAndReadMicroseconds", name: "scatter, slice", color: COLOR.third },
  { strategy: "in place", time: "writeAndReadMicroseconds", name: "in place, slice", color: COLOR.with },
  {
    strategy: "in place",
    time: "writeMicroseconds",
    name: "in place (write only, dotted)",
    color: COLOR.with,
  },
] as const;

/** Time to append a position and pass all to attention, against the length; one facet per backend. */
export function cacheWritePlot({ cases, sizes, machine }: ResultsOf<"cache-write">): string {
  const lines = LINES.map(({ strategy, time, color }) => {
    const points = cases
      .filter((one) => one.strategy === strategy)
      .map((one) => ({ fx: one.backend, x: one.length, y: one[time].median }));
    const strokeDasharray = time === "writeMicroseconds" ? "2 4" : "none";
    return Plot.line(points, { fx: "fx", x: "x", y: "y", stroke: color, strokeWidth: 2, strokeDasharray });
  });
  const { heads, headDim, capacity } = sizes;
  const subtitle = `${heads} KV heads, head dim ${headDim}, capacity ${capacity}; ${machine.cpu.model}`;
  const domain = [...new Set(cases.map(({ backend }) => backend))];
  const options: Plot.PlotOptions = {
    fx: { label: null, domain, padding: 0.12 },
    x: { label: "positions so far", ticks: 3 },
    y: { type: "log", label: "µs", grid: true, ticks: 5, tickFormat: "~s" },
    marks: [Plot.frame({ stroke: COLOR.faint, strokeOpacity: 0.4 }), ...lines],
  };
  return frame("Appending one position to a layer's keys", subtitle, options, LINES);
}
