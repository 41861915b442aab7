import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Backend } from "../../../src/backend/backend.js";
import type { BenchResults } from "../case.js";

export { onMachine, when } from "./provenance.js";

/** Where the measured results are. */
export const RESULTS = fileURLToPath(new URL("../../../fixtures/results/", import.meta.url));

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

/** Published models by their presets' names, as their makers write them. */
const PUBLISHED: Readonly<Record<string, string>> = { "llama-3.2-1b": "Llama 3.2 1B", "llama-3.2-3b": "Llama 3.2 3B", "smollm2-135m": "SmolLM2-135M" }; // prettier-ignore

/** What was measured, for a heading: "The bundled model, WebAssembly". */
export function titleOf({ model, backend }: { readonly model: string; readonly backend: Backend }): string {
  const [name, random] = model.split(", ");
  const what =
    name === "fairy-tales" ? "The bundled model" : random ? `${PUBLISHED[name!] ?? name}'s sizes` : name!;
  const where = { wasm: "WebAssembly", cpu: "plain JavaScript", tensorflow: "" }[backend.name];
  return `${what}, ${where || (backend.device === "cuda" ? "TensorFlow on CUDA" : "TensorFlow on the processor")}`;
}

/** "8" or "8, 16 and 32": different values in the order in which they come. */
export function listed(values: Iterable<number | string>): string {
  const all = [...new Set(values)].map(String);
  return all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${all.at(-1)}` : (all[0] ?? "none");
}

/** "3" or "1 to 5". */
export function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? `${least}` : `${least} to ${most}`;
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
