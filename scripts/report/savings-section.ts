import { cacheBytes, type ModelConfig, PRESETS, stepCost, weightBytes } from "../../src/index.js";
import type { BenchResults, Cell } from "../bench/cell.js";
import { modesOf } from "../bench/table.js";
import { bothModes, longest, pairedCells } from "../plots/choose.js";
import { speedUpByLength } from "../plots/speed-up-plot.js";
import { crossover } from "../plots/step-plot.js";
import { image, link, onMachine, paragraph, table, when } from "./files.js";

/** Why the FLOPs promise another speed-up than the clock shows, in five sentences, with the figures of one bench. */
export function whySection({ cells, pairs }: BenchResults, name: string, config: ModelConfig): string {
  const [first, last] = [pairs[0]!, pairs.at(-1)!];
  const [cached, uncached] = modesOf(first, cells);
  const percent = (part: number) => `${(100 * part).toFixed(0)} %`;
  const share = ({ firstTokenMs, seconds }: Cell) => percent(firstTokenMs.median / 1000 / seconds.median);
  const prompt = stepCost(config, first.batch, first.input, first.input, true);
  const times = (value: number) => `${value.toFixed(1)} times`;
  return `### Why the measured speed-up is not the one that FLOPs predict

${paragraph(
  `The ratio of the FLOPs would be the speed-up if every operation took the same time wherever it stands: ` +
    `${times(first.predictedSpeedUp)} for batch ${first.batch} on ${name}, where ${times(first.speedUp.median)} was measured. ` +
    `**Prefill:** the prompt's step is the same in both modes and is ${percent(prompt.flops / cached!.cost.flops)} of the ` +
    `FLOPs with the cache but ${share(cached!)} of the time, since the few FLOPs of each later step run at a lower rate. ` +
    `**Bandwidth:** a step with the cache reads all weights to do little with them, over the generation ` +
    `${cached!.cost.arithmeticIntensity.toFixed(1)} operations for each byte against ${uncached!.cost.arithmeticIntensity.toFixed(0)} without, ` +
    `so it waits for its operands where the other computes; rows of a batch share that reading, and at batch ${last.batch} ` +
    `the measured ${times(last.speedUp.median)} stand beside ${times(last.predictedSpeedUp)}. ` +
    `**Overhead:** a step is hundreds of operations that the host issues one by one, as many for one position as for ` +
    `three hundred, so the smaller the model and the quicker the engine, the more of a cached step is that and not arithmetic. ` +
    `What pulls the other way is not in the FLOPs either: without the cache, masks, softmax and copies grow with the ` +
    `square of the length, so that long inputs can gain more than the products alone would.`,
)}`;
}

/** Where the cache does not pay, measured. */
export function doesNotPaySection(
  small: { readonly file: string; readonly results: BenchResults },
  whole: readonly { readonly title: string; readonly results: BenchResults }[],
  byPosition: readonly { readonly title: string; readonly file: string; readonly results: BenchResults }[],
): string {
  const lengths = [1, 2, 4, 8, 16, 32];
  const byLength = whole.flatMap(({ title, results: { cells } }) =>
    pairedCells(cells).map((cell) => {
      const [uncached, cached] = bothModes(cells, cell);
      const all = speedUpByLength(cached, uncached);
      const how = cell.execution === "eager" ? "" : `, ${cell.execution}`;
      const start = [title + how, `${cell.batch}`, `${cell.input}`];
      return start.concat(lengths.map((n) => (all[n - 1] ? all[n - 1]!.toFixed(2) : "")));
    }),
  );
  const smallPairs = small.results.pairs.map(({ batch, input, output, speedUp, predictedSpeedUp }) => ({ batch, input, output, speedUp, predictedSpeedUp })); // prettier-ignore
  const without = smallPairs.filter(({ speedUp }) => speedUp.median < 1.05).length;
  const crossings = byPosition.map(({ title, file, results: { cells } }) => {
    const [uncached, cached] = bothModes(cells, cells[0]!);
    const from = crossover(cached, uncached);
    const where = from === undefined ? "at no measured position" : `from position ${from}`;
    return `with ${title} ${where} (${link("samples", file)})`;
  });
  const memory = whole.map(({ title, results: { cells } }) => {
    const [uncached, cached] = bothModes(cells, longest(cells, "most"));
    const peak = (cell: Cell) => `${(cell.memory.liveTensorPeak! / 1e6).toFixed(0)} MB`;
    return `${title}, batch ${cached.batch}, peaks at ${peak(cached)} of tensors with it and ${peak(uncached)} without`;
  }).join("; "); // prettier-ignore
  const llama = PRESETS["llama-3.2-1b"]!;
  const full = cacheBytes(llama, 1, llama.maxSeqLen);
  return `### Where the cache does not pay

${paragraph(
  `Times as fast with the cache, for generations that end after so many tokens. The **first step** is the same ` +
    `work in both modes, plus the writing with the cache; **short outputs** are mostly that step.`,
)}

${table(["", "batch", "input", ...lengths.map((n) => `${n} token${n > 1 ? "s" : ""}`)], byLength)}

${paragraph(
  `**Small models on an engine that is quick with many positions:** the bundled model on TensorFlow ` +
    `(${onMachine(small.results.machine, small.results.engine)}; ${when(small.results)}; ${link("samples", small.file)}), ` +
    `where a step is mostly the issuing of its operations, whatever they compute. ` +
    `Of these ${smallPairs.length} cells ${without} gain less than 5 % or lose.`,
)}

${table(
  ["batch", "input", "output", "speed-up by FLOPs", "measured (least to most)"],
  smallPairs.map(({ batch, input, output, speedUp, predictedSpeedUp }) => [
    `${batch}`,
    `${input}`,
    `${output}`,
    predictedSpeedUp.toFixed(1),
    `${speedUp.median.toFixed(2)} (${speedUp.min.toFixed(2)} to ${speedUp.max.toFixed(2)})`,
  ]),
)}

${paragraph(
  `**The first positions:** a step without the cache takes longer than one with it: ${crossings.join(", ")}. ` +
    `**Memory:** what the cache saves in time it may take in bytes: ${memory}. One row of Llama 3.2 1B at its full context of ` +
    `${llama.maxSeqLen.toLocaleString("en-US")} positions would keep ${(full / 1e9).toFixed(1)} GB of keys and values in ` +
    `float32, beside ${(weightBytes(llama) / 1e9).toFixed(1)} GB of weights (from [src/cost.ts](src/cost.ts), not measured): ` +
    `there the cache sets how many rows a batch can have.`,
)}

${byPosition.map(({ title, file }) => image(file.replace(/\.json$/, "-steps.svg"), `time of a step by its position, ${title}`)).join("\n")}`;
}
