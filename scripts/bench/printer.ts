import { verdict } from "../terminal.js";
import { modeName } from "./case.js";
import type { CaseResults } from "./schema.js";
import type { Outcome } from "./summarize.js";
import { alignedTable, savingsTable, timeTable } from "./table.js";

/** Of the table's columns, since it is printed one group after the other. */
const WIDTHS = [5, 7, 4, 6, 3, 6, 5, 6, 7, 9, 7, 7];

/** Prints cases while they are measured: the table of times group by group, and the comparison of the modes at the end. */
export class Printer {
  private titled = "";

  /** The model and the backend. */
  title({ model, backends: [{ description }] }: CaseResults): void {
    console.log(`${model}, on ${description}; Node ${process.version}`);
    console.log("medians of all runs after a warm-up, each case in a process of its own");
  }

  /** The cases of a group, as soon as they are measured. */
  group({ cases, pairs, failed }: Outcome, { backends: [backend] }: CaseResults): void {
    if (cases.length > 0) {
      const title = `input ${cases[0]!.input} tokens, output ${cases[0]!.output} tokens`;
      const lines = alignedTable(timeTable(cases, backend.device === "cuda"), WIDTHS).split("\n");
      if (title !== this.titled) console.log(`\n${title}\n${lines.slice(0, 2).join("\n")}`);
      console.log(lines.slice(2).join("\n"));
      this.titled = title;
    }
    for (const one of failed) {
      const name = `${`${one.batch}`.padStart(WIDTHS[0]!)} ${modeName(one).padStart(WIDTHS[1]!)}`;
      console.log(`${name} ${verdict(false, "failed")}: ${one.reason}`);
    }
    for (const { batch, difference } of pairs) {
      if (difference !== null) {
        console.log(`batch ${batch}: ${verdict(false, "modes differ")}: ${difference}`);
      }
    }
  }

  /** Savings by the cache, and whether the tokens are identical. */
  end(results: CaseResults): void {
    const { pairs } = results;
    if (pairs.length === 0) return;
    const same = pairs.filter(({ identical }) => identical).length;
    const all = same === pairs.length;
    const compared = pairs.flatMap(({ maxLogitDifference }) => maxLogitDifference ?? []);
    const largest = compared.length > 0 ? `, largest difference ${Math.max(...compared).toPrecision(2)}` : "";
    console.log(
      `\n${alignedTable(savingsTable(results))}\n\ntokens ${verdict(all, all ? "identical" : "DIFFERENT")}: ` +
        `${same} of ${pairs.length} pairs; logits compared in ${compared.length}${largest}`,
    );
  }
}
