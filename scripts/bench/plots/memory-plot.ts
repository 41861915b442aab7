import * as Plot from "@observablehq/plot";
import type { Plotted } from "./bench-plots.js";
import { bothModes, computedBy, longest } from "./choose.js";
import { colorOf, frame, namedLine } from "./frame.js";

const MB = 1e6;

/** Memory at the peak of each step against its position: predicted as a line, measured as dots. */
export function memoryPlot(plotted: Plotted): string {
  const cell = longest(plotted.cells, "most");
  const { batch, input, output } = cell;
  const marks = bothModes(plotted.cells, cell).flatMap(({ useCache, memory }) => {
    const { predicted, liveTensorPeak } = memory.byStep;
    const points = predicted.map((bytes, i) => ({
      x: input + i,
      y: bytes / MB,
      measured: liveTensorPeak[i]! / MB,
    }));
    const stroke = colorOf(useCache);
    return [
      namedLine(points, useCache ? "with the cache" : "without", stroke),
      Plot.dot(points, { x: "x", y: "measured", stroke, r: 2.5 }),
    ];
  });
  return frame(
    "Memory at the peak of each step, by its position",
    `${plotted.model}, batch ${batch}, ${computedBy(plotted)}; lines: predicted, circles: measured`,
    {
      x: { label: "positions so far", domain: [input, input + output - 1] },
      y: { label: "MB of tensors", grid: true, zero: true, nice: true },
      marks,
    },
  );
}
