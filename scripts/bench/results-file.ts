import { readFileSync } from "node:fs";
import * as v from "valibot";
import { InputError } from "../../src/index.js";
import { run } from "../../src/util/run-command.js";
import { machineFacts } from "../machine.js";
import type { Header } from "./results.js";

const FILE_OPTION = /^--(?:json|plot|python|study|onnx|onnxruntime-web)$/;

/** The words of a command that say what to measure and how: all but those about files, and the study's name. */
const measuringWords = (command: readonly string[]): string[] =>
  command.filter(
    (word, i) => !FILE_OPTION.test(word.split("=")[0]!) && !FILE_OPTION.test(command[i - 1] ?? ""),
  );

/** The header of a results file; to be made before anything is measured. */
export async function headerOf<Study extends string>(study: Study, tf32 = false): Promise<Header<Study>> {
  return {
    study,
    date: new Date().toISOString(),
    command: measuringWords(process.argv.slice(2)),
    ...(await currentCommit()),
    machine: await machineFacts(),
    dtype: "float32",
    tf32,
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

const date = v.pipe(v.string(), v.isoTimestamp());

/** The part of the header that captions are made of. */
const HEADER = v.looseObject({
  date,
  command: v.array(v.string()),
  machine: v.looseObject({ node: v.string(), cpu: v.object({ model: v.string(), cores: v.number() }) }),
  backends: v.pipe(v.array(v.looseObject({ name: v.string(), description: v.string() })), v.minLength(1)),
});

/** The same of the file that baselines/transformers_baseline.py writes. */
const PEER_HEADER = v.looseObject({ date, device: v.string(), torch: v.string(), transformers: v.string() });

/**
 * Reads the results of a study. Only programs of this directory write such files, so the header alone is checked.
 *
 * @throws InputError where the file cannot be read, has no such header, or is of another study
 */
export function readResults<R extends { readonly study: string }>(file: string, study: R["study"]): R {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new InputError(`${file} must be a results file, but cannot be read: ${(error as Error).message}`);
  }
  const header = study === "transformers" ? PEER_HEADER : HEADER;
  const schema = v.intersect([v.looseObject({ study: v.literal(study) }), header]);
  const { success, issues } = v.safeParse(schema, content, { abortEarly: true });
  if (success) return content as R;
  const [{ message, path }] = issues;
  const at = path?.map(({ key }) => String(key)).join(".");
  throw new InputError(
    `${file} must be a results file of the study ${study}: ${at ? `${at}: ` : ""}${message}`,
  );
}
