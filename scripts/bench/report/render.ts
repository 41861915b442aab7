import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InputError } from "../../../src/index.js";
import { parseConfig } from "../../../src/checkpoint/hugging-face-config.js";
import type { AgainstResults } from "../baselines/cells.js";
import type { BenchResults } from "../case.js";
import { drawAll, PLOTS } from "../plots/bench-plots.js";
import { writePlot } from "../plots/write-plot.js";
import type { Limits } from "../studies/roofline.js";
import type { WriteStudy } from "../studies/cache-write.js";
import { benchSection } from "./bench-section.js";
import { type CardResults, cardSection, type PeerResults } from "./card-section.js";
import { paragraph, results, titleOf } from "./files.js";
import { limitsSection } from "./limits-section.js";
import { othersSection } from "./others-section.js";
import { doesNotPaySection, whySection } from "./savings-section.js";
import { writesSection } from "./writes-section.js";

/** The README with its results, and the plots that it shows, by the names of their files. */
export interface Report {
  readonly readme: string;
  readonly plots: ReadonlyMap<string, string>;
}

/** The README. */
export const README = fileURLToPath(new URL("../../../README.md", import.meta.url));

const START = "<!-- Written by `npm run report` from fixtures/results, up to the line that ends it. -->";
const END = "<!-- End of what `npm run report` writes. -->";

/**
 * Renders the README's results from fixtures/results; what was not measured is left out.
 *
 * @throws InputError when the README has lost the lines between which they stand
 */
export function render(): Report {
  const readme = readFileSync(README, "utf8");
  const [start, end] = [readme.indexOf(START), readme.indexOf(END)];
  if (start < 0 || end < start) {
    throw new InputError(`README.md has no results to replace, expected the lines "${START}" and "${END}"`);
  }
  const plots = new Map<string, string>();
  const text = sections(plots).join("\n\n");
  return { readme: `${readme.slice(0, start)}${START}\n\n${text}\n\n${readme.slice(end)}`, plots };
}

const HOW_TO_READ = paragraph(
  "How to read the tables: times are medians, ±% is half the distance from the least to the most; first ms is the step " +
    "that feeds the prompt, step ms each later one. Tensors is what TensorFlow.js counted at the peak, predicted the same from " +
    "the configuration alone (weights, as often as they are held; cache; the largest intermediate results), process the whole " +
    "program. FLOP/B is operations for each byte of weights and cache.",
);

const bundledConfig = () => {
  const file = fileURLToPath(new URL("../../../fixtures/fairy-tales/config.json", import.meta.url));
  return parseConfig(JSON.parse(readFileSync(file, "utf8")), file);
};

function sections(plots: Map<string, string>): string[] {
  const files = {
    wasm: "bundled-wasm.json",
    tensorflow: "smollm2-135m-tensorflow-cpu.json",
    small: "small-tensorflow-cpu.json",
    card: "h200-llama-3.2-1b.json",
    peer: "h200-transformers.json",
    against: "smollm2-135m-cpu-against.json",
    writes: "write-strategies.json",
    limits: "limits-wasm.json",
  };
  const bench = (file: string): string[] => {
    const measured = results(file);
    if (!measured) return [];
    const stem = file.replace(/\.json$/, "");
    const drawn = [...drawAll(measured)].map(([name, svg]) => {
      plots.set(`${stem}-${name}`, svg);
      return [`${stem}-${name}`, `${titleOf(measured)}: ${name.replace(".svg", "")}`] as const;
    });
    return [benchSection(file, measured, drawn)];
  };
  const [wasm, tensorflow, small] = [files.wasm, files.tensorflow, files.small].map((name) => results(name));
  const card = results<CardResults>(files.card);
  const against = results<AgainstResults>(files.against);
  const writes = results<WriteStudy>(files.writes);
  const limits = results<Limits>(files.limits);
  const byPosition = ["wasm", "tensorflow"].flatMap((name) => {
    const file = `bundled-${name}-by-position.json`;
    const measured = results(file);
    if (measured) plots.set(`bundled-${name}-by-position-steps.svg`, PLOTS.steps(measured));
    return measured ? [{ file, results: measured }] : [];
  });
  if (writes) plots.set("write-strategies.svg", writePlot(writes));
  const whole = [wasm, tensorflow].filter((one): one is BenchResults => one !== undefined);
  return [
    HOW_TO_READ,
    ...bench(files.wasm),
    ...(wasm ? [whySection(wasm, bundledConfig())] : []),
    ...bench(files.tensorflow),
    ...(against ? [othersSection(files.against, against)] : []),
    ...(card ? [cardSection(files.card, card, files.peer, results<PeerResults>(files.peer))] : []),
    ...(small ? [doesNotPaySection({ file: files.small, results: small }, whole, byPosition)] : []),
    ...(writes ? [writesSection(files.writes, writes)] : []),
    ...(limits ? [limitsSection(files.limits, limits)] : []),
  ]; // prettier-ignore
}
