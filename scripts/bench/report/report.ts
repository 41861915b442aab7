import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { Command } from "commander";
import { InputError } from "../../../src/index.js";
import { main } from "../../cli.js";
import { RESULTS } from "./files.js";
import { README, render } from "./render.js";
import { writeWhole } from "../../write-file.js";

const program = new Command("npm run report --")
  .description("Writes the README's results and their plots from the JSON in fixtures/results.")
  .helpOption("-h, --help", "show this help")
  .configureHelp({ helpWidth: 80 })
  .option("--check", "write nothing; fail where they are not what would be written");

await main<{ check?: true }>(program, async ({ check }) => {
  const { readme, plots } = render();
  const directory = `${RESULTS}plots/`;
  await mkdir(directory, { recursive: true });
  const files = new Map([...plots].map(([name, svg]) => [directory + name, svg])).set(README, readme);
  const changed = [...files].filter(
    ([file, text]) => !existsSync(file) || readFileSync(file, "utf8") !== text,
  );
  const surplus = (await readdir(directory))
    .map((name) => directory + name)
    .filter((file) => !files.has(file));
  if (check) {
    const [first] = [...changed.map(([file]) => file), ...surplus];
    if (first === undefined) return console.log("the README and its plots are what fixtures/results says");
    throw new InputError(`${first} is not what fixtures/results says; \`npm run report\` mends that`);
  }
  for (const [file, text] of changed) await writeWhole(file, text);
  for (const file of surplus) await rm(file);
  console.log(`${changed.length} of ${files.size} files changed, ${surplus.length} taken away`);
});
