import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import pc from "picocolors";
import { startOf } from "../lecture/exercises/exercise.js";
import { grade } from "../lecture/exercises/grade.js";
import { InputError, loadBackend } from "../src/index.js";
import { main } from "./cli.js";

const EXERCISES = new URL("../lecture/exercises/", import.meta.url);

const program = new Command("npm run exercise --")
  .description("Grade your answer to an exercise; without a number, list the exercises.")
  .argument("[number]", "number of the exercise")
  .option("--solution", "grade the solution instead of your answer");

await main<{ solution?: boolean }>(program, async ({ solution }) => {
  const folders = (await readdir(EXERCISES, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted((a, b) => Number.parseInt(a) - Number.parseInt(b));
  const [number] = program.args;
  if (number === undefined) {
    for (const name of folders) console.log(`  ${await title(name)}`);
    console.log("\nnpm run exercise -- 1 starts the first one");
    return;
  }
  const folder = folders.find((name) => name.split("-")[0] === number);
  if (!folder)
    throw new InputError(`the exercise must be a number from 1 to ${folders.length}, got "${number}"`);

  console.log(`${pc.bold(await title(folder))}\n`);
  const path = `lecture/exercises/${folder}/${solution ? "solution" : "answer"}.ts`;
  const file = new URL(`../${path}`, import.meta.url);
  if (!solution && !existsSync(file)) {
    const complete = await readFile(new URL(`${folder}/solution.ts`, EXERCISES), "utf8");
    await writeFile(file, startOf(complete), { flag: "wx" });
    console.log(`Your file is ${path}.\n`);
  }
  await loadBackend("wasm");
  const { checks } = await import(new URL(`${folder}/checks.ts`, EXERCISES).href);
  const answer: unknown = await import(file.href).catch((error: Error) => {
    throw new InputError(`${path} cannot be loaded: ${error.message}`);
  });
  for (const { title: check, problem } of await grade(checks(answer))) {
    console.log(`  ${problem === undefined ? pc.green("✔") : pc.red("✘")} ${check}`);
    if (problem === undefined) continue;
    console.log(`\n${problem.replaceAll(/^/gm, "    ")}\n`);
    console.log(`Not yet. See lecture/exercises/${folder}/README.md`);
    console.log(`Edit ${path}, then run it again.`);
    process.exitCode = 1;
    return;
  }
  const next = folders[folders.indexOf(folder) + 1];
  console.log(`\n${pc.green("All checks pass.")} Compare your answer with solution.ts.`);
  if (next) console.log(`Next: npm run exercise -- ${next.split("-")[0]}`);
});

async function title(folder: string): Promise<string> {
  const text = await readFile(fileURLToPath(new URL(`${folder}/README.md`, EXERCISES)), "utf8");
  return text.slice(2, text.indexOf("\n"));
}
