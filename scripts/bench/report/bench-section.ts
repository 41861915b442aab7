import { measuringWords } from "../rerun.js";
import { type BenchResults, type Cell, dtypeWords } from "../case.js";
import { markdownTable, savingsTable, timeTable } from "../table.js";
import { image, link, listed, onMachine, paragraph, titleOf, when } from "./files.js";

/** A bench: where and how it was measured, both tables, and its plots. */
export function benchSection(
  file: string,
  results: BenchResults,
  plots: readonly (readonly [file: string, what: string])[],
): string {
  const { cells, pairs, machine, backend, command, tf32, interrupted } = results;
  const words = measuringWords(command);
  const how = paragraph(
    `\`npm run bench${words.length > 0 ? ` -- ${words.join(" ")}` : ""}\`: ${dtypeWords(cells.map(({ execution }) => execution))}${tf32 ? " with TF32" : ""}, ` +
      `input ${listed(cells.map(({ input }) => input))}, output ${listed(cells.map(({ output }) => output))}, ` +
      `medians after a warm-up, each cell in a process of its own${order(cells)}; ${onMachine(machine, backend)}; ` +
      `${when(results)} (${link("all samples", file)}).${interrupted ? " It was ended before the last cell." : ""}${sameTokens(pairs)}`,
  );
  return [
    `### ${titleOf(results)}`,
    how,
    markdownTable(timeTable(cells, backend.device === "cuda")),
    ...(pairs.length > 0 ? [markdownTable(savingsTable(pairs, cells))] : []),
    plots.map(([plot, what]) => image(plot, what)).join("\n"),
  ].join("\n\n");
}

/** Whether the modes took turns; older files do not tell. */
function order(cells: readonly Cell[]): string {
  const turns = cells.map(({ takingTurns }) => takingTurns as boolean | undefined);
  if (turns.includes(undefined)) return "";
  if (turns.every(Boolean)) return ", the modes taking turns";
  const alone = listed(cells.filter((cell) => !cell.takingTurns).map(({ batch }) => batch));
  return turns.some(Boolean)
    ? `, the modes taking turns but for batch ${alone}`
    : ", one cell after the other";
}

function sameTokens(pairs: BenchResults["pairs"]): string {
  if (pairs.length === 0) return "";
  const different = pairs.filter(({ identical }) => !identical);
  const largest = Math.max(...pairs.map(({ maxScoreDifference }) => maxScoreDifference));
  return different.length === 0
    ? ` Tokens identical in every pair; no score differs by more than ${largest.toPrecision(1)}.`
    : ` **In ${different.length} of ${pairs.length} pairs the modes did not compute the same; see the samples.**`;
}
