import { readFileSync } from "node:fs";
import * as v from "valibot";
import { InputError } from "../../src/index.js";
import { run } from "../../src/util/run-command.js";
import { machineFacts } from "../machine.js";
import { writeResults } from "../write-file.js";
import type { Results } from "./schema.js";

const FILE_OPTION = /^--(?:json|plot|python|study)$/;

/** The words of a command that say what to measure and how: all but those about files, and the study's name. */
const measuringWords = (command: readonly string[]): string[] =>
  command.filter(
    (word, i) => !FILE_OPTION.test(word.split("=")[0]!) && !FILE_OPTION.test(command[i - 1] ?? ""),
  );

/** The header of a results file, but for what is known only later; to be taken before anything is measured. */
export async function provenance<Study extends Results["study"]>(study: Study) {
  return {
    study,
    date: new Date().toISOString(),
    command: measuringWords(process.argv.slice(2)),
    ...(await currentCommit()),
    machine: await machineFacts(),
    dtype: "float32" as const,
    tf32: false,
  };
}

/** The commit that is checked out, and whether what runs differs from it; null where there is no git. */
async function currentCommit(): Promise<{ commit: string | null; changed: boolean | null }> {
  const commit = await run("git", ["rev-parse", "HEAD"]);
  if (!commit.ok) return { commit: null, changed: null };
  const program = ["src", "scripts", "package-lock.json"];
  const { stdout } = await run("git", ["status", "--porcelain", "--untracked-files=no", ...program]);
  return { commit: commit.stdout.trim(), changed: stdout !== "" };
}

/** Writes a study's results, where a file was named. */
export const save = async (file: string | undefined, results: Results): Promise<void> =>
  file === undefined ? undefined : writeResults(file, results);

/**
 * Reads and validates results.
 *
 * @throws InputError where the file cannot be read, or does not match the schema
 */
export function readResults<Schema extends v.GenericSchema>(
  file: string,
  schema: Schema,
): v.InferOutput<Schema> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InputError(`${file} cannot be read as results: ${(error as Error).message}`);
  }
  const parsed = v.safeParse(schema, content, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [{ message, path }] = parsed.issues;
  const at = path?.map(({ key }) => String(key)).join(".");
  throw new InputError(`${file} is not a results file of this study: ${at ? `${at}: ` : ""}${message}`);
}
