import type { BenchResults } from "../bench/cell.js";
import { markdownTable, savingsTable, timeTable } from "../bench/table.js";
import { image, link, onMachine, paragraph, when } from "./files.js";

/** A bench: where and how it was measured, both tables, and its plots. */
export function benchSection(
  title: string,
  file: string,
  results: BenchResults,
  plots: readonly (readonly [file: string, what: string])[],
): string {
  const { cells, pairs, machine, engine, command } = results;
  const { input, output } = cells[0]!;
  const shown = command.filter((word, i) => word !== "--no-plot" && word !== "--json" && command[i - 1] !== "--json"); // prettier-ignore
  const same = pairs.every(({ identical }) => identical);
  const largest = Math.max(...pairs.map(({ maxScoreDifference }) => maxScoreDifference));
  const how = paragraph(
    `\`npm run bench${shown.length > 0 ? ` -- ${shown.join(" ")}` : ""}\`: float32, input ${input}, output ${output}, ` +
      `medians after a warm-up, each cell in a process of its own, the modes taking turns; ${onMachine(machine, engine)}; ` +
      `${when(results)} (${link("all samples", file)}). ` +
      (same
        ? `Tokens identical in every pair; no score differs by more than ${largest.toPrecision(1)}.`
        : "**The modes did not choose the same tokens; see the samples.**"),
  );
  return [
    `### ${title}`,
    how,
    markdownTable(timeTable(cells, engine.device === "cuda")),
    markdownTable(savingsTable(pairs, cells)),
    plots.map(([plot, what]) => image(plot, what)).join("\n"),
  ].join("\n\n");
}
