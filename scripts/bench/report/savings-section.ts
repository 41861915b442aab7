import { cacheBytes, stepCost, weightBytes } from "../../../src/cost/cost.js";
import type { ModelConfig } from "../../../src/index.js";
import { PRESETS } from "../../../src/model/presets.js";
import type { BenchResults, Cell } from "../case.js";
import { modesOf } from "../table.js";
import { bothModes, longest, pairedCells } from "../plots/choose.js";
import { speedUpByLength } from "../plots/speed-up-plot.js";
import { crossover } from "../plots/step-plot.js";
import { backendName } from "../plots/frame.js";
import { image, link, onMachine, paragraph, table, titleOf, when } from "./files.js";

/** Why the clock need not show the speed-up that the FLOPs promise, with the figures of one bench. */
export function whySection({ cells, pairs, backend }: BenchResults, config: ModelConfig): string {
  const [first, last] = [pairs[0]!, pairs.at(-1)!];
  const [cached, uncached] = modesOf(first, cells);
  const percent = (part: number) => `${(100 * part).toFixed(0)} %`;
  const prompt = stepCost(config, first.batch, first.input, first.input, true);
  const [ofWork, ofTime] = [prompt.flops / cached!.cost.flops, cached!.firstTokenMs.median / 1000 / cached!.seconds.median]; // prettier-ignore
  const share =
    ofTime < ofWork
      ? `but only ${percent(ofTime)} of the time, since the few FLOPs of each later step run at a lower rate`
      : `and ${percent(ofTime)} of the time`;
  const times = (value: number) => `${value.toFixed(1)} times`;
  const more =
    last.batch > first.batch
      ? `rows of a batch share that reading, and at batch ${last.batch} the measured ${times(last.speedUp.median)} stand beside ${times(last.predictedSpeedUp)}`
      : "rows of a batch share that reading";
  return `### Why the clock need not show the speed-up that FLOPs predict

${paragraph(
  `The ratio of the FLOPs would be the speed-up if every operation took the same time wherever it stands: ` +
    `${times(first.predictedSpeedUp)} for batch ${first.batch} on ${backendName(backend)}, where ${times(first.speedUp.median)} was measured. ` +
    `**Prefill:** the prompt's step is the same in both modes and is ${percent(ofWork)} of the FLOPs with the cache ${share}. ` +
    `**Bandwidth:** a step with the cache reads all weights to do little with them, over the generation ` +
    `${cached!.cost.arithmeticIntensity.toFixed(1)} operations for each byte against ${uncached!.cost.arithmeticIntensity.toFixed(0)} without, ` +
    `so where memory is slower than arithmetic it waits for its operands; ${more}. ` +
    `**Overhead:** computed eagerly, a step is many operations that the host issues one by one, as many for one position as ` +
    `for all of them, so the smaller the model and the quicker the backend, the more of a cached step is that and not arithmetic. ` +
    `What pulls the other way is not in the FLOPs either: without the cache, masks, softmax and copies grow with the ` +
    `square of the length, so that long inputs can gain more than the products alone would.`,
)}`;
}

/** Where the cache does not pay, measured. */
export function doesNotPaySection(
  small: { readonly file: string; readonly results: BenchResults },
  whole: readonly BenchResults[],
  byPosition: readonly { readonly file: string; readonly results: BenchResults }[],
): string {
  const lengths = [1, 2, 4, 8, 16, 32];
  const byLength = whole.flatMap(({ cells, ...rest }) =>
    pairedCells(cells).map((cell) => {
      const [uncached, cached] = bothModes(cells, cell);
      const all = speedUpByLength(cached, uncached);
      const how = cell.execution === "eager" ? "" : `, ${cell.execution}`;
      const start = [titleOf(rest) + how, `${cell.batch}`, `${cell.input}`];
      return start.concat(lengths.map((n) => (all[n - 1] ? all[n - 1]!.toFixed(2) : "")));
    }),
  );
  const smallPairs = small.results.pairs.map(({ batch, input, output, speedUp, predictedSpeedUp }) => ({ batch, input, output, speedUp, predictedSpeedUp })); // prettier-ignore
  const without = smallPairs.filter(({ speedUp }) => speedUp.median < 1.05).length;
  const crossings = byPosition.map(({ file, results: { cells, backend } }) => {
    const [uncached, cached] = bothModes(cells, cells[0]!);
    const from = crossover(cached, uncached);
    const where = from === undefined ? "at no measured position" : `from position ${from}`;
    return `with ${backendName(backend)} ${where} (${link("samples", file)})`;
  });
  const memory = whole.flatMap(({ cells, ...rest }) => {
    const eager = pairedCells(cells).filter(({ execution }) => execution === "eager"); // of others nothing is counted
    if (eager.length === 0) return [];
    const [uncached, cached] = bothModes(cells, longest(cells.filter(({ execution }) => execution === "eager"), "most"));
    const peak = (cell: Cell) => `${(cell.memory.liveTensorPeak! / 1e6).toFixed(0)} MB`;
    return `${inText(rest)}, batch ${cached.batch}, peaks at ${peak(cached)} of tensors with it and ${peak(uncached)} without`;
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
  `**Small models on an backend that is quick with many positions:** ${inText(small.results)} ` +
    `(${onMachine(small.results.machine, small.results.backend)}; ${when(small.results)}; ${link("samples", small.file)}). ` +
    `${overheadOf(small.results)} Of these ${smallPairs.length} cells ${without} gain less than 5 % or lose.`,
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
  `**The first positions:** a step without the cache takes longer than one with it, each by the median of five neighbours, ${crossings.join(", ")}. ` +
    `**Memory:** what the cache saves in time it may take in bytes${memory && `: ${memory}`}. One row of Llama 3.2 1B at its full context of ` +
    `${llama.maxSeqLen.toLocaleString("en-US")} positions would keep ${(full / 1e9).toFixed(1)} GB of keys and values in ` +
    `float32, beside ${(weightBytes(llama) / 1e9).toFixed(1)} GB of weights (from [src/cost/cost.ts](src/cost/cost.ts), not measured): ` +
    `there the cache sets how many rows a batch can have.`,
)}

${byPosition.map(({ file, results: { backend } }) => image(file.replace(/\.json$/, "-steps.svg"), `time of a step by its position, ${backendName(backend)}`)).join("\n")}`;
}

const inText = (results: Parameters<typeof titleOf>[0]): string => titleOf(results).replace(/^The /, "the ");

/** How little of a step's time depends on how much it computes: those without the cache, of one row. */
function overheadOf({ cells }: BenchResults): string {
  const alone = cells
    .filter(({ useCache, batch }) => !useCache && batch === 1)
    .toSorted((a, b) => a.input - b.input);
  const [short, long] = [alone[0], alone.at(-1)];
  if (!short || !long || short.input === long.input) return "";
  const step = ({ stepMs, input }: Cell) => `${stepMs.median.toFixed(1)} ms after a prompt of ${input}`;
  return `A step without the cache takes ${step(short)} and ${step(long)}, whatever more it computes there.`;
}
