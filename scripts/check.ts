import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findForbiddenImports } from "./check/layers.js";
import { findRejectedWords } from "./check/words.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The checks in their order. Each returns what is wrong, one complaint a line, and "" when nothing is. */
const CHECKS: Readonly<Record<string, () => string>> = {
  types: () => tool("tsc --pretty false"),
  lint: () => tool("oxlint --deny-warnings"),
  format: () => tool("prettier --check --cache --log-level warn ."),
  layers: () => {
    const sources = new Map(filesOf(/\.tsx?$/).map((file) => [file, read(file)]));
    return findForbiddenImports(sources).join("\n");
  },
  words: () => {
    const files = filesOf(/\.(?:tsx?|md|json|ya?ml|css|html|py|wat|cff)$|^\.ci\//).filter(isWritten);
    return files.flatMap((file) => findRejectedWords(file, read(file))).join("\n");
  },
  unused: () => tool("knip --no-progress"),
};

/** Runs a command of node_modules/.bin; returns its output if it fails. */
function tool(command: string): string {
  const PATH = [join(ROOT, "node_modules", ".bin"), process.env["PATH"]].join(delimiter);
  const options = { cwd: ROOT, encoding: "utf8", shell: true, env: { ...process.env, PATH } } as const;
  const { status, stdout, stderr } = spawnSync(command, options);
  return status === 0 ? "" : `${stdout}${stderr}`.trim() || `${command} ended with exit code ${status}`;
}

/** The repository's files, committed or new, whose paths match. */
function filesOf(pattern: RegExp): string[] {
  const list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const { stdout } = spawnSync("git", list, { cwd: ROOT, encoding: "utf8" });
  return stdout.split("\0").filter((file) => pattern.test(file) && existsSync(join(ROOT, file)));
}

const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

/** True if a file is written by hand: not data, not what npm writes. */
const isWritten = (file: string): boolean =>
  file !== "package-lock.json" && !(file.startsWith("fixtures/") && !/\.(?:md|py)$/.test(file));

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !CHECKS[name]);
if (unknown !== undefined) {
  console.error(`error: a check must be one of ${Object.keys(CHECKS).join(", ")}, got ${unknown}`);
  process.exit(1);
}
for (const [name, check] of Object.entries(CHECKS)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const started = performance.now();
  const complaints = check();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${complaints ? "✘" : "✔"} ${name.padEnd(6)} ${seconds} s`);
  if (!complaints) continue;
  console.log(complaints.replaceAll(/^/gm, "  "));
  process.exitCode = 1;
}
