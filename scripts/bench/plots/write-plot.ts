import * as Plot from "@observablehq/plot";
import type { WriteStudy } from "../studies/cache-write.js";
import { COLOR, frame } from "./frame.js";

const LINES = [
  { strategy: "concat", measure: "writeAndReadMicroseconds", name: "concat", color: COLOR.without },
  { strategy: "scatter", measure: "writeAndReadMicroseconds", name: "scatter, slice", color: COLOR.third },
  { strategy: "in place", measure: "writeAndReadMicroseconds", name: "in place, slice", color: COLOR.with },
  {
    strategy: "in place",
    measure: "writeMicroseconds",
    name: "in place (the write alone, dotted)",
    color: COLOR.with,
  },
] as const;

/** Time to add a position and hand all to attention, against the length, an backend beside the other. */
export function writePlot({ cells, sizes, machine }: WriteStudy): string {
  const marks = LINES.map(({ strategy, measure, color }) =>
    Plot.line(
      cells.filter((cell) => cell.strategy === strategy),
      {
        fx: "backend",
        x: "length",
        y: (cell: WriteStudy["cells"][number]) => cell[measure].median,
        stroke: color,
        strokeWidth: 2,
        ...(measure === "writeMicroseconds" && { strokeDasharray: "2 4" }),
      },
    ),
  );
  return frame(
    "Adding one position to a layer's keys",
    `${sizes.rows} rows of ${sizes.headDim} numbers, room for ${sizes.room} positions; ${machine.cpu.model}`,
    {
      fx: { label: null, domain: [...new Set(cells.map(({ backend }) => backend))], padding: 0.12 },
      x: { label: "positions so far", ticks: 3 },
      y: { type: "log", label: "µs", grid: true, ticks: 5, tickFormat: "~s" },
      marks: [Plot.frame({ stroke: COLOR.faint, strokeOpacity: 0.4 }), ...marks],
    },
    LINES,
  );
}
