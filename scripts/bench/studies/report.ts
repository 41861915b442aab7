import { existsSync, readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { InputError } from "../../../src/index.js";
import { writeWhole } from "../../write-file.js";
import { renderBlock, RESULTS } from "../report-blocks.js";
import { type Study, withStudyOption } from "../study.js";

/** The documents with generated blocks. */
const DOCUMENTS = ["README.md", "docs/results.md"].map((path) =>
  fileURLToPath(new URL(`../../../${path}`, import.meta.url)),
);

/** `<!-- generated: KIND FILE… -->` … `<!-- /generated -->` */
export const BLOCK = /(<!-- generated: (.+?) -->\n)[\s\S]*?(<!-- \/generated -->)/g;

const program = new Command("npm run bench --")
  .description(
    "Regenerate the tables and plots of README.md and docs/results.md from the JSON in fixtures/results.",
  )
  .option("--check", "write nothing; fail where a file is not up to date");

/** Regenerates tables and plots; the text between them is written by hand. */
export const study: Study<{ readonly check?: true }> = {
  program: withStudyOption("report", program),
  async run({ check }) {
    const directory = `${RESULTS}plots/`;
    const plots = new Map<string, string>();
    const files = new Map<string, string>();
    for (const document of DOCUMENTS) {
      const base = `${relative(dirname(document), RESULTS).replaceAll("\\", "/")}/`;
      const render = (_: string, begin: string, marker: string, end: string) =>
        `${begin}\n${renderBlock(marker, base, plots)}\n\n${end}`;
      files.set(document, readFileSync(document, "utf8").replaceAll(BLOCK, render));
    }
    for (const [name, svg] of plots) files.set(directory + name, svg);
    const changed = [...files].filter(
      ([file, text]) => !existsSync(file) || readFileSync(file, "utf8") !== text,
    );
    const surplus = (await readdir(directory))
      .map((name) => directory + name)
      .filter((file) => !files.has(file));
    if (check) {
      const stale = changed[0]?.[0] ?? surplus[0];
      if (stale === undefined) return console.log("tables and plots are up to date");
      throw new InputError(`${stale} is not up to date; \`npm run bench -- --study report\` regenerates it`);
    }
    for (const [file, text] of changed) await writeWhole(file, text);
    for (const file of surplus) await rm(file);
    console.log(`${changed.length} of ${files.size} files changed, ${surplus.length} removed`);
  },
};
