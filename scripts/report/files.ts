import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Machine } from "../../src/engine/machine.js";
import type { BenchResults } from "../bench/cell.js";

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

/** "2 cores of an AMD EPYC, Node v20.20.2, TensorFlow 2.21.0". */
export function onMachine({ cpu, node, nvidia }: Machine, engine?: { readonly description: string }): string {
  const card = nvidia?.cards[0] ? `${nvidia.cards[0].name} (driver ${nvidia.version}), ` : "";
  const library = /TensorFlow [\d.]+/.exec(engine?.description ?? "")?.[0];
  return `${card}${cpu.cores} cores of ${cpu.model}, Node ${node.replace("v", "")}${library ? `, ${library}` : ""}`;
}

/** When a file was measured, and which program. */
interface Measured {
  readonly date: string;
  readonly commit?: string | null;
  readonly changed?: boolean | null;
  /** The same commit after a rebase, where the one that was measured is in no branch any more. */
  readonly landedAs?: string;
}

/** "2026-11-24, commit abc1234". */
export function when({ date, commit, changed, landedAs }: Measured): string {
  const short = (hash: string) => hash.slice(0, 7);
  const landed = landedAs ? ` (landed as ${short(landedAs)})` : "";
  const where = commit ? `, commit ${short(commit)}${landed}${changed ? " and changes to it" : ""}` : "";
  return date.slice(0, 10) + where;
}

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
