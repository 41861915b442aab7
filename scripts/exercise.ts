import { access, copyFile, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import pc from "picocolors";
import { grade } from "../lecture/exercises/grade.js";
import { InputError, loadBackend } from "../src/index.js";
import { main } from "./cli.js";

const EXERCISES = new URL("../lecture/exercises/", import.meta.url);

const program = new Command("npm run exercise --")
  .description("Grades your answer to an exercise; without a number, lists them.")
  .argument("[number]", "which one")
  .option("--solution", "grade the solution in place of your answer")
  .configureHelp({ helpWidth: 80 });

await main<{ solution?: boolean }>(program, async ({ solution }) => {
  const folders = (await readdir(EXERCISES, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
  const [number] = program.args;
  if (number === undefined) {
    for (const name of folders) console.log(`  ${await title(name)}`);
    console.log("\nnpm run exercise -- 1 begins with the first");
    return;
  }
  const folder = folders.find((name) => name.split("-")[0] === number);
  if (!folder) throw new InputError(`there is no exercise "${number}", expected 1 to ${folders.length}`);

  console.log(`${pc.bold(await title(folder))}\n`);
  const file = new URL(`${folder}/${solution ? "solution" : "answer"}.ts`, EXERCISES);
  const path = `lecture/exercises/${folder}/${solution ? "solution" : "answer"}.ts`;
  if (!solution && !(await exists(file))) {
    await copyFile(new URL(`${folder}/start.ts`, EXERCISES), file);
    console.log(`Your file is ${path}, made from the start.\n`);
  }
  await loadBackend("wasm");
  const { checks } = await import(new URL(`${folder}/checks.ts`, EXERCISES).href);
  const answer: unknown = await import(file.href).catch((error: Error) => {
    throw new InputError(`${path} does not run: ${error.message}`);
  });
  for (const { title: what, problem } of await grade(checks(answer))) {
    console.log(`  ${problem === undefined ? pc.green("✔") : pc.red("✘")} ${what}`);
    if (problem === undefined) continue;
    console.log(`\n${folded(problem)}\n`);
    console.log(`Not yet. What it is about: lecture/exercises/${folder}/README.md`);
    console.log(`Edit ${path}, then run this again.`);
    process.exitCode = 1;
    return;
  }
  const next = folders[folders.indexOf(folder) + 1];
  console.log(`\n${pc.green("All checks pass.")} Compare with the solution beside it.`);
  if (next) console.log(`Next: npm run exercise -- ${next.split("-")[0]}`);
});

async function title(folder: string): Promise<string> {
  const text = await readFile(fileURLToPath(new URL(`${folder}/README.md`, EXERCISES)), "utf8");
  return text.slice(2, text.indexOf("\n"));
}

/** A message, indented, in lines of at most 80 columns; lines that fit stay as they are, for they may be a picture. */
function folded(message: string): string {
  return message
    .split("\n")
    .flatMap((line) =>
      line.length <= 76 ? line : line.match(/\S{77,}|.{1,76}(?= |$)/g)!.map((part) => part.trim()),
    )
    .map((line) => `    ${line}`)
    .join("\n");
}

function exists(file: URL): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
