import { type AgainstCell, type AgainstResults, isOurs, sameTokens } from "../baselines/cells.js";
import { link, onMachine, paragraph, range, table, when } from "./files.js";

/** This project beside others, from one run. */
export function othersSection(file: string, results: AgainstResults): string {
  const { cells, machine, threads, torch, transformers, llamaCpp, backend, model } = results;
  const keyOf = ({ batch, useCache }: AgainstCell) => `${batch} ${useCache}`;
  const names = [...new Set(cells.map(({ by }) => by))];
  const rows = [...new Set(cells.map(keyOf))].map((key) => {
    const row = cells.filter((cell) => keyOf(cell) === key);
    const start = [`${row[0]!.batch}`, row[0]!.useCache ? "with" : "without"];
    return start.concat(
      names.map((name) => {
        const cell = row.find(({ by }) => by === name);
        if (!cell) return ""; // llama.cpp without its cache
        const time = `${cell.seconds.toFixed(2)} s, ${cell.stepMs.toFixed(0)} ms a step`;
        const ratios = row.filter(isOurs).map(({ seconds }) => (seconds / cell.seconds).toFixed(2));
        return isOurs(cell) ? time : `${time}; ours takes ${ratios.join(", ")} of that`;
      }),
    );
  });
  const theirs = cells.filter((cell) => !isOurs(cell));
  const same = theirs.filter((cell) => {
    const ours = cells.filter((other) => isOurs(other) && keyOf(other) === keyOf(cell));
    return ours.every((other) => sameTokens(other, cell));
  }).length;
  const varied = cells.filter(({ sameEachRound }) => sameEachRound === false).map((cell) => `${cell.by} ${cell.useCache ? "with" : "without"} the cache at batch ${cell.batch}`); // prettier-ignore
  const llama = llamaCpp
    ? `; llama.cpp through ${llamaCpp}, its cache in float32 and flash attention off, with the cache only, since it has no other way`
    : "";
  return `### Beside Hugging Face transformers${llamaCpp ? " and llama.cpp" : ""}

${paragraph(
  `\`npm run against\`: ${model}, float32, input ${cells[0]!.input}, output ${cells[0]!.output}, the same weights and prompts, ` +
    `${threads} threads each, in one run, which ran each cell ${range(cells.map(({ samples }) => samples.length))} times; transformers ${transformers} on PyTorch ${torch}, uncompiled, use_cache on and off${llama}; ` +
    `ours on ${/\((.*)\)/.exec(backend)?.[1] ?? backend}; ${onMachine(machine)}; ${when(results)} (${link("all samples", file)}). ` +
    `The tokens were the same as ours in ${same} of ${theirs.length} cells.` +
    (varied.length > 0 ? ` **Not every round chose the same: ${varied.join("; ")}.**` : ""),
)}

${table(["batch", "KV cache", ...names], rows)}`;
}
