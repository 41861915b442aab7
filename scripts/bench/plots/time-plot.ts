import * as Plot from "@observablehq/plot";
import { computedBy, longest } from "./choose.js";
import type { Plotted } from "./bench-plots.js";
import { colorOf, frame, namedLine } from "./frame.js";

/** Time of a generation against the number of rows in the batch. */
export function timePlot(plotted: Plotted): string {
  const { input, output } = longest(plotted.cells);
  const cells = plotted.cells.filter((cell) => cell.input === input && cell.output === output);
  const marks = [false, true].flatMap((useCache) => {
    const points = cells
      .filter((cell) => cell.useCache === useCache)
      .map(({ batch, seconds }) => ({ x: batch, y: seconds.median, from: seconds.min, to: seconds.max }))
      .toSorted((a, b) => a.x - b.x);
    const stroke = colorOf(useCache);
    return [
      namedLine(points, useCache ? "with the cache" : "without", stroke),
      Plot.ruleX(points, { x: "x", y1: "from", y2: "to", stroke, strokeWidth: 5, strokeOpacity: 0.4 }),
      Plot.dot(points, { x: "x", y: "y", fill: stroke, r: 4 }),
    ];
  });
  const batches = [...new Set(cells.map(({ batch }) => batch))];
  return frame(
    `Time for ${output} tokens after ${input}, by the batch's size`,
    `${plotted.model}, ${computedBy(plotted)}`,
    {
      x: { label: "rows generated together", ticks: batches, tickFormat: "d", insetLeft: 12, insetRight: 12 },
      y: { label: "seconds", grid: true, zero: true, nice: true },
      marks,
    },
  );
}
