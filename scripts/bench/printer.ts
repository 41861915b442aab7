import { clearStep, escapeControl, jsonOf, verdict } from "../terminal.js";
import { type CaseSpec, dtypeWords, type Execution, modeName } from "./case.js";
import { movesBetween, movesTable, repeatable } from "./rerun.js";
import type { Opened, Repeats } from "./running-case.js";
import type { CaseResults } from "./schema.js";
import type { Outcome } from "./summarize.js";
import { alignedTable, csv, markdownTable, savingsTable, timeTable } from "./table.js";

/** The formats of what is printed. */
export const FORMATS = ["table", "md", "csv", "json"] as const;

/** Of the table's columns, since it is printed one group after the other. */
const WIDTHS = [5, 7, 4, 6, 3, 6, 5, 6, 7, 9, 7, 7];

/** Prints what is measured: the table group by group, the other formats at the end. */
export class Printer {
  private titled = "";
  private withGpu = false;

  constructor(private readonly format: (typeof FORMATS)[number]) {}

  /** Shows what is being measured, on a terminal only. */
  readonly step = ({ batch, ...spec }: CaseSpec, run: number, step: number): void => {
    if (!process.stderr.isTTY) return;
    const what = `batch ${batch} ${modeName({ batch, ...spec })}, ${run === 0 ? "warm-up" : `run ${run}`}`;
    process.stderr.write(`\r\x1b[K${what}, step ${step} of ${spec.output}`);
  };

  title({ backend, model }: Opened, { runs, seconds }: Repeats, executions: Iterable<Execution>): void {
    this.withGpu = backend.device === "cuda";
    const often = seconds === Infinity ? `${runs}` : `up to ${runs}`;
    this.say(`${model}, ${dtypeWords(executions)}, on ${backend.description}; Node ${process.version}`);
    this.say(`median of ${often} runs after a warm-up, each case in a process of its own`);
  }

  /** The cases of a group, as soon as they are measured. */
  group({ cases, pairs, failed }: Outcome): void {
    if (this.format === "table" && cases.length > 0) {
      const title = `input ${cases[0]!.input} tokens, output ${cases[0]!.output} tokens`;
      const lines = alignedTable(timeTable(cases, this.withGpu), WIDTHS).split("\n");
      if (title !== this.titled) this.say(`\n${title}\n${lines.slice(0, 2).join("\n")}`);
      this.say(lines.slice(2).join("\n"));
      this.titled = title;
    }
    for (const one of failed) {
      const name = `${`${one.batch}`.padStart(WIDTHS[0]!)} ${modeName(one).padStart(WIDTHS[1]!)}`;
      this.say(`${name} ${verdict(false, "failed")}: ${one.reason}`);
    }
    for (const { batch, difference } of pairs) {
      if (difference !== null) this.say(`batch ${batch}: ${verdict(false, "modes differ")}: ${difference}`);
    }
  }

  /** Prints the tables of all cases, the comparison of the modes, and the names of the files written. */
  end(results: CaseResults, files: readonly string[]): void {
    const { cases, pairs, failed } = results;
    const savings = pairs.length > 0 ? [savingsTable(results)] : [];
    if (this.format === "md") {
      console.log([timeTable(cases, this.withGpu), ...savings].map(markdownTable).join("\n\n"));
      for (const one of failed) console.log(`\nBatch ${one.batch} ${modeName(one)} failed: ${one.reason}`);
    }
    if (this.format === "csv") console.log(csv(cases, failed));
    if (this.format === "json") console.log(jsonOf(results, 1));
    if (this.format === "table" && savings[0]) {
      const same = pairs.filter(({ identical }) => identical).length;
      const all = same === pairs.length;
      const largest = Math.max(...pairs.map(({ maxLogitDifference }) => maxLogitDifference ?? NaN));
      this.say(
        `\n${alignedTable(savings[0])}\n\ntokens ${verdict(all, all ? "identical" : "DIFFERENT")}: ` +
          `${same} of ${pairs.length} pairs; largest difference of any logit ${largest.toPrecision(2)}`,
      );
    }
    if (files.length > 0) this.say(`written: ${files.join(", ")}`);
  }

  /** Prints how far the figures moved since an earlier bench; returns true if none moved by more than it may. */
  rerun(before: CaseResults, now: CaseResults): boolean {
    const moves = movesBetween(before, now);
    const { good, sentence } = repeatable(moves, before.cases.length);
    const where = ({ date, backends: [backend], machine, commit }: CaseResults) =>
      `${date.slice(0, 16).replace("T", " ")}, ${backend.name} on ${backend.device}, ${machine.cpu.model}, ` +
      `commit ${commit?.slice(0, 7) ?? "unknown"}`;
    this.say(`\nbefore: ${escapeControl(where(before))}\nnow:    ${where(now)}`);
    this.say(`${movesTable(moves)}\n\n${verdict(good, good ? "repeatable" : "MOVED")}: ${sentence}`);
    return good;
  }

  /** For people; stdout belongs to the requested format. */
  private say(text: string): void {
    clearStep();
    if (this.format === "table") console.log(text);
    else console.error(text);
  }
}
