import { movesBetween, movesTable, repeatable } from "./rerun.js";
import { type BenchResults, dtypeWords, type Execution } from "./case.js";
import { escapeControl, jsonOf, verdict } from "../terminal.js";
import type { Opened } from "./case-process.js";
import type { BenchOptions } from "./options.js";
import type { Outcome } from "./results.js";
import type { Repeats } from "./running-case.js";
import {
  alignedTable,
  csv,
  legendOf,
  markdownTable,
  modeOf,
  savingsTable,
  SHORT,
  timeTable,
} from "./table.js";

/** Prints what is measured in one of the formats: the table row by row, the others when all is there. */
export class Printer {
  private titled = "";
  private withCard = false;

  /** @param clear makes room for output on the terminal */
  constructor(
    private readonly format: BenchOptions["format"],
    private readonly clear: () => void,
  ) {}

  title({ backend, model }: Opened, { runs, seconds }: Repeats, executions: Iterable<Execution>): void {
    this.withCard = backend.device === "cuda";
    const often = seconds === Infinity ? `${runs}` : `up to ${runs}`;
    this.say(`${model}, ${dtypeWords(executions)}, on ${backend.description}; Node ${process.version}`);
    this.say(`median of ${often} runs after a warm-up, each cell in a process of its own`);
  }

  /** The cells that belong together, as soon as they are measured. */
  rows({ cells, pairs, failed }: Outcome, input: number, output: number): void {
    if (this.format === "table" && cells.length > 0) {
      const title = `input ${input} tokens, output ${output} tokens`;
      const lines = alignedTable(timeTable(cells, this.withCard, SHORT)).split("\n");
      if (title !== this.titled) this.say(`\n${title}\n${lines.slice(0, 2).join("\n")}`);
      this.say(lines.slice(2).join("\n"));
      this.titled = title;
    }
    for (const cell of failed) {
      this.say(`${`${cell.batch}`.padStart(5)} ${modeOf(cell, SHORT).padStart(7)} ${verdict(false, "failed")}: ${cell.reason}`); // prettier-ignore
    }
    for (const { batch, difference } of pairs) {
      if (difference !== null) this.say(`batch ${batch}: ${verdict(false, "modes differ")}: ${difference}`);
    }
  }

  /** What can only be said of all cells, and which files were written. */
  end(results: BenchResults, files: readonly string[]): void {
    const { cells, pairs, failed } = results;
    const savings = savingsTable(pairs, cells);
    if (this.format === "md") {
      const tables = [timeTable(cells, this.withCard), ...(pairs.length > 0 ? [savings] : [])];
      console.log(tables.map(markdownTable).join("\n\n"));
      for (const cell of failed) console.log(`\nBatch ${cell.batch} ${modeOf(cell)} the cache failed: ${cell.reason}`); // prettier-ignore
    }
    if (this.format === "csv") console.log(csv(cells, failed));
    if (this.format === "json") console.log(jsonOf(results, 1));
    const legend = legendOf([...cells, ...failed].map(({ execution }) => execution));
    if (this.format === "table" && legend) this.say(`\n${legend}`);
    if (this.format === "table" && pairs.length > 0) {
      this.say(`\n${alignedTable(savingsTable(pairs, cells, SHORT))}`);
      const largest = Math.max(...pairs.map(({ maxScoreDifference }) => maxScoreDifference));
      const same = pairs.every(({ identical }) => identical);
      this.say(
        `\ntokens ${verdict(same, same ? "identical" : "DIFFERENT")}: ` +
          `${pairs.filter(({ identical }) => identical).length} of ${pairs.length} pairs; ` +
          `largest difference of any score ${largest.toPrecision(2)}`,
      );
    }
    if (files.length > 0) this.say(`written: ${files.join(", ")}`);
  }

  /** How far the figures moved since an earlier bench; whether by no more than they may. */
  again(before: BenchResults, now: BenchResults): boolean {
    const moves = movesBetween(before, now);
    const { good, sentence } = repeatable(moves, before.cells.length);
    const where = ({ date, backend, machine, commit }: BenchResults) =>
      `${date.slice(0, 16).replace("T", " ")}, ${backend.name} on ${backend.device}, ${machine.cpu.model}, commit ${commit?.slice(0, 7) ?? "unknown"}`; // prettier-ignore
    this.say(`\nbefore: ${escapeControl(where(before))}\nnow:    ${where(now)}`);
    this.say(`${movesTable(moves)}\n\n${verdict(good, good ? "repeatable" : "MOVED")}: ${sentence}`);
    return good;
  }

  /** For people; stdout belongs to the format that was asked for. */
  private say(text: string): void {
    this.clear();
    if (this.format === "table") console.log(text);
    else console.error(text);
  }
}
