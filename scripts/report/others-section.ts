import type { AgainstResults } from "../against.js";
import { link, onMachine, paragraph, table, when } from "./files.js";

const time = ({ seconds, stepMs }: AgainstResults["cells"][number]): string =>
  `${seconds.toFixed(2)} s, ${stepMs.toFixed(0)} ms a step`;

const beside = (ours: AgainstResults["cells"][number], theirs: AgainstResults["cells"][number]): string =>
  `${time(theirs)}; ours takes ${(ours.seconds / theirs.seconds).toFixed(2)} times as long`;

/** This project beside others, from one run. */
export function othersSection(file: string, results: AgainstResults): string {
  const { cells, machine, threads, torch, transformers, engine, model } = results;
  const keys = [...new Set(cells.map(({ batch, kvCaching }) => `${batch} ${kvCaching}`))];
  const others = [...new Set(cells.map(({ by }) => by))].filter((by) => by !== "this project");
  const rows = keys.map((key) => {
    const find = (name: string) => cells.find(({ by, batch, kvCaching }) => by === name && `${batch} ${kvCaching}` === key)!; // prettier-ignore
    const ours = find("this project");
    const start = [`${ours.batch}`, ours.kvCaching ? "with" : "without", time(ours)];
    return start.concat(others.map((name) => beside(ours, find(name))));
  });
  const same = cells.filter(({ by, batch, kvCaching, tokensSha256 }) => {
    const ours = cells.find(
      (one) => one.by === "this project" && one.batch === batch && one.kvCaching === kvCaching,
    )!;
    return by !== "this project" && tokensSha256 === ours.tokensSha256;
  }).length;
  const compared = cells.length - keys.length;
  return `### Beside Hugging Face transformers

${paragraph(
  `\`npm run against\`: ${model}, float32, input ${cells[0]!.input}, output ${cells[0]!.output}, the same weights and prompts, ` +
    `${threads} threads each, in one run; transformers ${transformers} on PyTorch ${torch}, uncompiled, use_cache on and off; ` +
    `ours eager on ${/\((.*)\)/.exec(engine)?.[1] ?? engine}; ${onMachine(machine)}; ${when(results)} (${link("all samples", file)}). ` +
    `The tokens were the same in ${same} of ${compared} comparisons.`,
)}

${table(["batch", "KV cache", "this project", ...others], rows)}`;
}
