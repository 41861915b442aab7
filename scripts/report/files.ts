import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BenchResults } from "../bench/cell.js";

export { onMachine, when } from "./provenance.js";

/** Where the measured results are. */
export const RESULTS = fileURLToPath(new URL("../../fixtures/results/", import.meta.url));

/** Reads a file of results; undefined where it was not measured. */
export function results<Content = BenchResults>(name: string): Content | undefined {
  const path = `${RESULTS}${name}`;
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Content) : undefined;
}

/** "[all samples](fixtures/results/NAME)". */
export const link = (text: string, name: string): string => `[${text}](fixtures/results/${name})`;

/** A plot of ours, half as wide as a README. */
export const image = (name: string, what: string): string =>
  `<img src="fixtures/results/plots/${name}" width="49%" alt="${what}">`;

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Breaks a paragraph into lines of at most 120 columns, as the rest of the README has them. */
export function paragraph(text: string): string {
  const lines = [""];
  const linkOrWord = /(?:\[[^\]]*\]\([^)]*\)|\S)+/g; // a link's words stay together
  for (const word of text.match(linkOrWord) ?? []) {
    const line = lines.at(-1)!;
    if (line && line.length + word.length >= 120) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join("\n");
}
