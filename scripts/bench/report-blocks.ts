import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseTrace } from "../../lecture/trace-file.js";
import { InputError } from "../../src/index.js";
import { type Baselines, ratioTable } from "./baselines/compare.js";
import type { Transformers } from "./baselines/programs.js";
import { savingsTable, sixCases, timeTable } from "./case-tables.js";
import { drawAll } from "./plots/plots.js";
import { workMap } from "./plots/work-map.js";
import { readResults } from "./results-file.js";
import type { CaseResults, Results } from "./results.js";
import { type CacheWrite, writeTable } from "./studies/cache-write.js";
import {
  compiledTable,
  contextTable,
  firstTokenTable,
  type Gpu,
  gpuTable,
  stepSummary,
} from "./gpu-tables.js";
import { hostTimeTable } from "./studies/host-time.js";
import { type Restore, restoreTable } from "./studies/restore.js";
import { type Roofline, rooflineTable } from "./studies/roofline.js";
import { type Sinks, sinkTable } from "./studies/sinks.js";
import { draftTable, type Speculative } from "./studies/speculative.js";
import { markdownTable, type Table } from "./table.js";
import { backendName, modelName, onMachine, when } from "./words.js";

/** The directory of the measured results. */
export const RESULTS = fileURLToPath(new URL("../../fixtures/results/", import.meta.url));

/**
 * Renders a generated block of a document: a caption, then what its kind makes of the results.
 *
 * @param marker "KIND FILE…": what to make of which results
 * @param base   path from the document to fixtures/results
 * @param plots  receives the plots that the block shows, by the names of their files
 * @throws InputError for an unknown kind, or a file of another study
 */
export function renderBlock(marker: string, base: string, plots: Map<string, string>): string {
  const [kind, file, peer] = marker.split(" ") as [string, string, string?];
  if (kind === "work-map") {
    plots.set("work-map.svg", workMap(parseTrace(readFileSync(RESULTS + file, "utf8"), file)));
    return `<img src="${base}plots/work-map.svg" width="100%" alt="${WORK_MAP}">`;
  }
  const block = Object.hasOwn(BLOCKS, kind) ? BLOCKS[kind] : undefined;
  if (!block) throw new InputError(`a block must be one of ${Object.keys(BLOCKS).join(", ")}, got "${kind}"`);
  const show = (name: string, svg: string) => {
    const plot = `${file.replace(".json", "")}-${name}`;
    plots.set(plot, svg);
    return `<img src="${base}plots/${plot}" width="49%" alt="${plot.replace(".svg", "")}">`;
  };
  const results = readResults<Results>(RESULTS + file, block.study);
  const parts = [caption(file, results, base), ...block.render(results, { show, base, peer })];
  return parts.map((part) => (typeof part === "string" ? part : markdownTable(part))).join("\n\n");
}

const WORK_MAP =
  "One row per step: without the cache, each step computes all keys and values again, a filled triangle. " +
  "With it, the first step computes those of the prompt, and each later step only the new one, a diagonal.";

/** The context of a block: `show` embeds a plot, `peer` is the second file. */
interface Context {
  readonly show: (name: string, svg: string) => string;
  readonly base: string;
  readonly peer: string | undefined;
}

/** A kind of block, for the results of one study. */
interface Block<R extends Results = Results> {
  readonly study: R["study"];
  render(results: R, context: Context): (string | Table)[];
}

const of = <R extends Results>(study: R["study"], render: Block<R>["render"]): Block => ({
  study,
  render: (results, context) => render(results as R, context), // readResults has checked the study
});

const BLOCKS: Readonly<Record<string, Block>> = {
  cases: of<CaseResults>("cases", (results, { show }) => {
    const plots = [...drawAll(results)].map(([name, svg]) => show(name, svg)).join("\n");
    return [timeTable(results), savingsTable(results), plots];
  }),
  "six-cases": of<CaseResults>("cases", (results, { peer, base }) => {
    const gpu = readResults<Gpu>(`${RESULTS}${peer}`, "gpu");
    const intro =
      "Milliseconds per decode step on a GPU, with Llama 3.2 1B's sizes, ours / compiled PyTorch's:";
    return [sixCases(results), intro, caption(peer!, gpu, base), stepSummary(gpu)];
  }),
  savings: of<CaseResults>("cases", (results) => [savingsTable(results)]),
  "step-plot": of<CaseResults>("cases", (results, { show }) => [
    show("steps.svg", drawAll(results).get("steps.svg")!),
  ]),
  gpu: of<Gpu>("gpu", (results, { peer, base }) => {
    const { torch, transformers, device, date, cases } = readResults<Transformers>(
      `${RESULTS}${peer}`,
      "transformers",
    );
    const versions = `transformers ${transformers}, PyTorch ${torch}, SDPA attention, not compiled`;
    const other = `_${versions}; ${device}; ${date.slice(0, 10)}; [all samples](${base}${peer})_`;
    return [other, gpuTable(results, cases)];
  }),
  "gpu-compiled": of<Gpu>("gpu", (results) => {
    const { torch } = results.peers!;
    return [
      `_PyTorch ${torch}, compiled, static cache, on the same machine in the same run_`,
      compiledTable(results),
      ...(results.firstTokens
        ? ["From the start of `npm run generate` to its first token:", firstTokenTable(results.firstTokens)]
        : []),
      ...(results.contexts
        ? ["One sequence with bfloat16 weights, after long prompts:", contextTable(results.contexts)]
        : []),
      ...(results.note ? [`Notes of this run: ${results.note}`] : []),
    ];
  }),
  "host-time": of<Gpu>("gpu", ({ hostTime }) => [hostTimeTable(hostTime)]),
  baselines: of<Baselines>("baselines", ({ cases }) => [ratioTable(cases)]),
  "cache-write": of<CacheWrite>("cache-write", (results) => [writeTable(results)]),
  roofline: of<Roofline>("roofline", (results) => [rooflineTable(results)]),
  speculative: of<Speculative>("speculative", ({ cases }) => [draftTable(cases)]),
  sinks: of<Sinks>("sinks", ({ cases }) => [sinkTable(cases)]),
  restore: of<Restore>("restore", ({ cases }) => [restoreTable(cases)]),
};

/** Model, backend, dtype, machine, versions, date and command of a file's results. */
function caption(file: string, results: Results, base: string): string {
  const { study, backends, command, machine, dtype, versions = {}, model } = results;
  const words = [
    ...(study === "cases" ? [] : ["--study", study]),
    ...(study === "gpu" && !("peers" in results) ? [] : command),
  ];
  const facts = [
    ...(model ? [modelName(results)] : []),
    // TF32 may differ from row to row: it has a column
    backends.length > 1
      ? backends.map(({ name }) => name).join(", ")
      : backendName(results).replace(/, TF32 \w+/, ""),
    ...(study === "gpu" ? [] : [dtype]), // it differs from row to row, as TF32 does
    onMachine(machine),
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    when(results),
    `\`npm run bench${words.length > 0 ? ` -- ${words.join(" ")}` : ""}\``,
    `[all samples](${base}${file})`,
  ];
  return `_${facts.join("; ")}_`;
}
