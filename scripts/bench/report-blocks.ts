import { fileURLToPath } from "node:url";
import { InputError } from "../../src/index.js";
import { ratioTable } from "./baselines/compare.js";
import { modesOf } from "./case.js";
import { cacheWrites, gpuCases, hostTimes, roofline } from "./report-tables.js";
import { drawAll } from "./plots/plots.js";
import { readResults } from "./results-file.js";
import { type CaseResults, type Pair, type Results, type ResultsOf, resultsSchema } from "./schema.js";
import { markdownTable, savingsTable, type Table, tableOf, timeTable } from "./table.js";
import { backendName, modelName, onMachine, when } from "./words.js";

/** The directory of the measured results. */
export const RESULTS = fileURLToPath(new URL("../../fixtures/results/", import.meta.url));

/**
 * Renders a generated block of a document.
 *
 * @param marker "KIND FILE…": what to make of which results
 * @param base   path from the document to fixtures/results
 * @param plots  receives the plots that the block shows, by the names of their files
 * @throws InputError for an unknown kind, or a file without what it needs
 */
export function renderBlock(marker: string, base: string, plots: Map<string, string>): string {
  const [kind, ...files] = marker.split(" ") as [string, ...string[]];
  const render = Object.hasOwn(BLOCKS, kind) ? BLOCKS[kind] : undefined;
  if (!render) throw new InputError(`unknown block "${kind}", expected ${Object.keys(BLOCKS).join(", ")}`);
  const show = (name: string, svg: string) => {
    plots.set(name, svg);
    return `<img src="${base}plots/${name}" width="49%" alt="${name.replace(".svg", "")}">`;
  };
  const parts = render({ files, base, show });
  return parts.map((part) => (typeof part === "string" ? part : markdownTable(part))).join("\n\n");
}

/** The input of a renderer; `show` embeds a plot. */
interface Context {
  readonly files: readonly string[];
  readonly base: string;
  readonly show: (name: string, svg: string) => string;
}

/** A renderer of one file: its caption, then what `render` makes of it. */
const of =
  <Study extends Exclude<Results["study"], "transformers">>(
    study: Study,
    render: (results: ResultsOf<Study>, context: Context) => (string | Table)[],
  ) =>
  (context: Context): (string | Table)[] => {
    const results = read(context.files[0], study);
    return [caption(context.files[0]!, results, context.base), ...render(results, context)];
  };

const BLOCKS: Readonly<Record<string, (context: Context) => (string | Table)[]>> = {
  cases: of("cases", (results, { files: [file], show }) => {
    const draw = ([name, svg]: [string, string]) => show(file!.replace(".json", `-${name}`), svg);
    const plots = [...drawAll(results)].map(draw).join("\n");
    return [timeTable(results.cases, results.backends[0].device === "cuda"), savingsTable(results), plots];
  }),
  "six-cases": of("cases", (results) => [sixCases(results)]),
  savings: of("cases", (results) => [savingsTable(results)]),
  "step-plot": of("cases", (results, { files: [file], show }) => [
    show(file!.replace(".json", "-steps.svg"), drawAll(results).get("steps.svg")!),
  ]),
  gpu: of("gpu", (results, { files: [, theirs], base }) => {
    const peer = read(theirs, "transformers");
    const { torch, transformers, device, date } = peer;
    const versions = `transformers ${transformers}, PyTorch ${torch}, SDPA attention, not compiled`;
    const other = `_${versions}; ${device}; ${date.slice(0, 10)}; [all samples](${base}${theirs})_`;
    return [other, gpuCases(results, peer)];
  }),
  "host-time": of("gpu", ({ hostTime }) => [hostTimes(hostTime)]),
  baselines: of("baselines", ({ cases }) => [ratioTable(cases)]),
  "cache-write": of("cache-write", (results) => [cacheWrites(results)]),
  roofline: of("roofline", (results) => [roofline(results)]),
};

function read<Study extends Results["study"]>(file: string | undefined, study: Study): ResultsOf<Study> {
  const results = readResults(`${RESULTS}${file}`, resultsSchema);
  if (results.study === study) return results as ResultsOf<Study>;
  throw new InputError(`${file} is of the study ${results.study}, expected ${study}`);
}

/** Model, backend, dtype, machine, versions, date and command of a file's results. */
function caption(file: string, results: Exclude<Results, { study: "transformers" }>, base: string): string {
  const { study, backends, command, machine, dtype, versions = {}, model } = results;
  const words = [...(study === "cases" ? [] : ["--study", study]), ...(study === "gpu" ? [] : command)];
  const [{ description, ...backend }] = backends; // in the gpu study, TF32 is a column
  const library =
    study === "gpu" ? { ...backend, description: description.replace(/, TF32 \w+/, "") } : backends[0];
  const facts = [
    ...(model ? [modelName(results)] : []),
    backends.length > 1 ? backends.map(({ name }) => name).join(", ") : backendName({ backends: [library] }),
    dtype,
    onMachine(machine),
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    when(results),
    `\`npm run bench${words.length > 0 ? ` -- ${words.join(" ")}` : ""}\``,
    `[all samples](${base}${file})`,
  ];
  return `_${facts.join("; ")}_`;
}

/** Both modes side by side, for the README. */
function sixCases({ pairs, cases }: CaseResults): Table {
  const [cached, uncached] = [0, 1].map(
    (mode) => (pair: Pair) => `${modesOf(cases, pair)[mode]!.seconds.median.toFixed(2)} s`,
  );
  return tableOf(pairs, {
    batch: ({ batch }) => `${batch}`,
    "without the cache": uncached!,
    "with the cache": cached!,
    "speed-up": ({ speedUp }) => speedUp.median.toFixed(1),
  });
}
