import { Command } from "commander";
import { InputError } from "../src/index.js";
import type { Study } from "./bench/study.js";
import { main } from "./cli.js";

/** Each study, loaded on demand. */
const LOAD: Readonly<Record<string, () => Promise<{ readonly study: Study }>>> = {
  cases: () => import("./bench/studies/cases.js"),
  roofline: () => import("./bench/studies/roofline.js"),
  "host-time": () => import("./bench/studies/host-time.js"),
  leaks: () => import("./bench/studies/leaks.js"),
  "cache-write": () => import("./bench/studies/cache-write.js"),
  gpu: () => import("./bench/studies/gpu.js"),
  baselines: () => import("./bench/studies/baselines.js"),
  report: () => import("./bench/studies/report.js"),
};

const words = process.argv.slice(2);
const options = words.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]!);
const named = words.map((word, i) => (word === "--study" ? words[i + 1] : /^--study=(.*)$/.exec(word)?.[1]));
const name = named.find((one) => Object.hasOwn(LOAD, one ?? "")) ?? "cases"; // commander rejects an unknown one
const { study } = await LOAD[name]!();

const wrong = await problem();
if (wrong) {
  await main(new Command("npm run bench --").allowUnknownOption().allowExcessArguments(), () => {
    throw new InputError(wrong);
  });
} else {
  await main(study.program, (given, signal) => study.run(given, signal));
}

/** An error message if an option is another study's. */
async function problem(): Promise<string | undefined> {
  const knows = (program: Command, option: string) => program.options.some(({ long }) => long === option);
  const unknown = options.find((option) => option !== "--help" && !knows(study.program, option));
  if (unknown === undefined) return undefined;
  const owners: string[] = [];
  for (const [other, load] of Object.entries(LOAD)) {
    if (knows((await load()).study.program, unknown)) owners.push(other);
  }
  return owners.length > 0
    ? `${unknown} is an option of --study ${owners.join(", ")}, not of --study ${name}`
    : undefined; // commander's to reject
}
