import { fileURLToPath } from "node:url";
import { stepCost } from "../../src/cost/cost.js";
import { InputError } from "../../src/index.js";
import { PRESETS } from "../../src/model/presets.js";
import { ratioTable } from "./baselines/compare.js";
import { EXECUTIONS, isBfloat16, modesOf } from "./case.js";
import { cacheWritePlot } from "./plots/cache-write-plot.js";
import { drawAll, PLOTS } from "./plots/plots.js";
import { bothModes, pairedCases, speedUpByLength } from "./plots/series.js";
import { readResults } from "./results-file.js";
import type { Case, CaseResults, Pair, Provenance, Results, ResultsOf } from "./schema.js";
import { resultsSchema } from "./schema.js";
import { CASE_COLUMNS, markdownTable, megabytes, savingsTable, tableOf, timeTable } from "./table.js";
import { backendName, modelName, onMachine, when } from "./words.js";

/** Where the measured results are. */
export const RESULTS = fileURLToPath(new URL("../../fixtures/results/", import.meta.url));

/** A generated block of a document. */
export interface Block {
  readonly text: string;
  /** The plots that it shows, by the names of their files. */
  readonly plots: ReadonlyMap<string, string>;
}

/**
 * Renders a block.
 *
 * @param marker "KIND FILE…": what to make of which results
 * @param base   path from the document to fixtures/results
 * @throws InputError for an unknown kind, or a file without what it needs
 */
export function renderBlock(marker: string, base: string): Block {
  const [kind, ...files] = marker.split(" ") as [string, ...string[]];
  const render = Object.hasOwn(BLOCKS, kind) ? BLOCKS[kind] : undefined;
  if (!render) throw new InputError(`unknown block "${kind}", expected ${Object.keys(BLOCKS).join(", ")}`);
  const plots = new Map<string, string>();
  const show = (name: string, svg: string) => {
    plots.set(name, svg);
    return `<img src="${base}plots/${name}" width="49%" alt="${name.replace(".svg", "")}">`;
  };
  return { text: render({ files, base, show }), plots };
}

/** What a renderer gets; `show` embeds a plot. */
interface Context {
  readonly files: readonly string[];
  readonly base: string;
  readonly show: (name: string, svg: string) => string;
}

const BLOCKS: Readonly<Record<string, (context: Context) => string>> = {
  cases: casesBlock,
  "six-cases": sixCasesBlock,
  "by-length": byLengthBlock,
  "speed-ups": speedUpsBlock,
  "step-plot": ({ files: [file], base, show }) => {
    const results = read(file, "cases");
    return `${show(file!.replace(".json", "-steps.svg"), PLOTS["steps"]!(results))}\n\n${caption(file!, results, base)}`;
  },
  gpu: gpuBlock,
  "host-time": hostTimeBlock,
  baselines: ({ files: [file], base }) => {
    const results = read(file, "baselines");
    return `${caption(file!, results, base)}\n\n${markdownTable(ratioTable(results.cases))}`;
  },
  "cache-write": cacheWriteBlock,
  roofline: rooflineBlock,
};

function read<Study extends Results["study"]>(file: string | undefined, study: Study): ResultsOf<Study> {
  const results = readResults(`${RESULTS}${file}`, resultsSchema);
  if (results.study === study) return results as ResultsOf<Study>;
  throw new InputError(`${file} is of the study ${results.study}, expected ${study}`);
}

/** Model, backend, dtype, machine, date and command of a file's results. */
function caption(file: string, results: Provenance & { readonly study: string }, base: string): string {
  const { study, backends, command, machine, dtype, versions = {}, model } = results;
  const words = [...(study === "cases" ? [] : ["--study", study]), ...command];
  const others = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const facts = [
    ...(model ? [modelName(results)] : []),
    backends.length > 1 ? backends.map(({ name }) => name).join(", ") : backendName(results),
    dtype,
    onMachine(machine),
    ...others,
    when(results),
    `\`npm run bench${words.length > 0 ? ` -- ${words.join(" ")}` : ""}\``,
    `[all samples](${base}${file})`,
  ];
  return `_${facts.join("; ")}_`;
}

function casesBlock({ files: [file], base, show }: Context): string {
  const results = read(file, "cases");
  const plots = [...drawAll(results)].map(([name, svg]) =>
    show(`${file!.replace(".json", "")}-${name}`, svg),
  );
  const tables = [timeTable(results.cases, results.backends[0].device === "cuda"), savingsTable(results)];
  return [caption(file!, results, base), ...tables.map(markdownTable), plots.join("\n")].join("\n\n");
}

/** Both modes side by side, for the README. */
function sixCasesBlock({ files: [file], base }: Context): string {
  const results = read(file, "cases");
  const seconds = (pair: Pair, useCache: boolean) =>
    `${modesOf(results.cases, pair)[useCache ? 0 : 1]!.seconds.median.toFixed(2)} s`;
  const table = tableOf(results.pairs, {
    batch: ({ batch }) => `${batch}`,
    "without the cache": (pair) => seconds(pair, false),
    "with the cache": (pair) => seconds(pair, true),
    "speed-up": ({ speedUp }) => speedUp.median.toFixed(1),
  });
  return `${markdownTable(table)}\n\n${caption(file!, results, base)}`;
}

/** Speed-ups of generations that end after 1, 2, 4, … tokens. */
function byLengthBlock({ files }: Context): string {
  const rows = files.flatMap((file) => {
    const results = read(file, "cases");
    return pairedCases(results.cases).map((one) => {
      const [uncached, cached] = bothModes(results.cases, one);
      return { results, one, ratios: speedUpByLength(cached, uncached) };
    });
  });
  const ends = [1, 2, 4, 8, 16, 32].map((n) => {
    const text = ({ ratios }: (typeof rows)[number]) => ratios[n - 1]?.toFixed(2) ?? "";
    return [n === 1 ? "1 token" : `${n} tokens`, text] as const;
  });
  const table = tableOf(rows, {
    model: ({ results }) => `${modelName(results)}, ${backendName(results)}`,
    execution: ({ one }) => one.execution,
    batch: ({ one }) => `${one.batch}`,
    input: ({ one }) => `${one.input}`,
    ...Object.fromEntries(ends),
  });
  return markdownTable(table);
}

function speedUpsBlock({ files: [file], base }: Context): string {
  const results = read(file, "cases");
  const table = tableOf(results.pairs, {
    batch: ({ batch }) => `${batch}`,
    input: ({ input }) => `${input}`,
    output: ({ output }) => `${output}`,
    "FLOPs ratio": ({ predictedSpeedUp }) => predictedSpeedUp.toFixed(1),
    "measured speed-up (min to max)": ({ speedUp: { median, min, max } }) =>
      `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`,
  });
  return `${caption(file!, results, base)}\n\n${markdownTable(table)}`;
}

/** Bytes per second of GPU memory, from the data sheets. */
const BANDWIDTH: Readonly<Record<string, number>> = {
  "NVIDIA H200": 4.8e12,
  "NVIDIA H100 80GB HBM3": 3.35e12,
};

/** Milliseconds that a decode step with the cache needs to read weights and cache once, halfway through the output. */
export function bandwidthBound(one: Case, { machine, model }: CaseResults): number | undefined {
  const bandwidth = BANDWIDTH[machine.nvidia?.gpus[0]?.name ?? ""];
  const config = PRESETS[model?.split(",")[0] ?? ""];
  if (!bandwidth || !config || !one.useCache) return undefined;
  const cost = stepCost(config, one.batch, 1, one.input + one.output / 2, true);
  return (
    (1000 * (cost.weightBytes * (isBfloat16(one.execution) ? 0.5 : 1) + cost.cacheBytesRead)) / bandwidth
  );
}

/** All cases of a GPU, next to those of transformers. */
function gpuBlock({ files: [file, theirs], base }: Context): string {
  const results = read(file, "gpu");
  const peer = read(theirs, "transformers");
  const rows = results.benches.flatMap((bench) => bench.cases.map((one) => ({ bench, one })));
  const order = ({ bench, one }: (typeof rows)[number]) => [
    bench.tf32 ? 0 : 1,
    EXECUTIONS.indexOf(one.execution),
    one.batch / 1000,
    one.useCache ? 0 : 1e-6,
  ];
  const rank = (row: (typeof rows)[number]) => {
    const [tf32, execution, batch, mode] = order(row) as [number, number, number, number];
    return 10 * tf32 + execution + batch + mode;
  };
  const sorted = rows.toSorted((a, b) => rank(a) - rank(b));
  const otherOf = ({ bench, one }: (typeof rows)[number]) => {
    const wanted = isBfloat16(one.execution) ? ["bfloat16", "off"] : ["float32", bench.tf32 ? "on" : "off"];
    return peer.cases.find(
      ({ batch, useCache, dtype, tf32 }) =>
        batch === one.batch && useCache === one.useCache && dtype === wanted[0] && tf32 === wanted[1],
    );
  };
  const columns = Object.entries(CASE_COLUMNS).map(
    ([name, text]) => [name, ({ one }: { one: Case }) => text(one)] as const,
  );
  const table = tableOf(sorted, {
    TF32: ({ bench }) => (bench.tf32 ? "on" : "off"),
    ...Object.fromEntries(columns),
    "bandwidth bound ms": ({ bench, one }) => bandwidthBound(one, bench)?.toFixed(1) ?? "",
    "tensors MB": ({ one }) => megabytes(one.execution === "eager" ? one.memory.liveTensorPeak : null),
    "predicted MB": ({ one }) => megabytes(one.memory.predicted),
    "GPU MB": ({ one }) => megabytes(one.memory.device),
    "transformers time s": (row) => otherOf(row)?.seconds.toFixed(2) ?? "",
    "transformers decode ms": (row) => otherOf(row)?.stepMs.toFixed(1) ?? "",
  });
  const [{ description, ...backend }] = results.backends;
  const library = { ...backend, description: description.replace(/, TF32 \w+/, "") }; // a column says which
  const other = `_transformers ${peer.transformers}, PyTorch ${peer.torch}, SDPA attention, not compiled; ${peer.device}; ${peer.date.slice(0, 10)}; [all samples](${base}${theirs})_`;
  return [
    caption(file!, { ...results, backends: [library], command: [] }, base),
    other,
    markdownTable(table),
  ].join("\n\n");
}

function hostTimeBlock({ files: [file] }: Context): string {
  const { hostTime } = read(file, "gpu");
  const table = tableOf(hostTime, {
    TF32: ({ tf32 }) => (tf32 ? "on" : "off"),
    batch: ({ batch }) => `${batch}`,
    execution: ({ execution }) => execution,
    operations: ({ operations }) => `${operations}`,
    "host time ms": ({ execution, hostMs }) =>
      execution === "eager" ? hostMs.median.toFixed(1) : "one call",
    "µs per operation": ({ execution, hostMs, operations }) =>
      execution === "eager" ? ((1000 * hostMs.median) / operations).toFixed(0) : "",
    "GPU time ms": ({ deviceMs }) => deviceMs?.median.toFixed(1) ?? "not measured",
    "latency ms": ({ latencyMs }) => latencyMs.median.toFixed(1),
    "pipelined ms": ({ pipelinedMs }) => pipelinedMs.toFixed(1),
  });
  return markdownTable(table);
}

/** The strategies at the largest length. */
function cacheWriteBlock({ files: [file], base, show }: Context): string {
  const results = read(file, "cache-write");
  const longest = Math.max(...results.cases.map(({ length }) => length));
  const table = tableOf(
    results.cases.filter(({ length }) => length === longest),
    {
      backend: ({ backend }) => backend,
      strategy: ({ strategy }) => strategy,
      "write µs": ({ writeMicroseconds }) => writeMicroseconds.median.toFixed(1),
      "write + read µs": ({ writeAndReadMicroseconds }) => writeAndReadMicroseconds.median.toFixed(1),
      "allocated MB": ({ writeBytes }) => megabytes(writeBytes),
      "allocated with read MB": ({ writeAndReadBytes }) => megabytes(writeAndReadBytes),
    },
  );
  const plot = show("cache-write.svg", cacheWritePlot(results));
  return [caption(file!, results, base), markdownTable(table), plot].join("\n\n");
}

function rooflineBlock({ files: [file], base }: Context): string {
  const results = read(file, "roofline");
  const { input, prefillMs, stepMs } = results;
  const rows = [
    { phase: `prefill of ${input}`, ...prefillMs, weightRead: undefined },
    { phase: "decode step", ...stepMs },
  ];
  const table = tableOf(rows, {
    "": ({ phase }) => phase,
    "measured ms": ({ measured }) => measured.median.toFixed(1),
    "matmuls ms": ({ matmuls }) => matmuls.median.toFixed(1),
    "measured/matmuls": ({ measured, matmuls }) => (measured.median / matmuls.median).toFixed(2),
    "weight read ms": ({ weightRead }) => weightRead?.median.toFixed(1) ?? "",
    "measured/weight read": ({ measured, weightRead }) =>
      weightRead ? (measured.median / weightRead.median).toFixed(2) : "",
  });
  return `${caption(file!, results, base)}\n\n${markdownTable(table)}`;
}
