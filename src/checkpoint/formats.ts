import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format-value.js";
import { fileInside, isThere } from "./directory.js";
import { sizeOf } from "../util/disk.js";

// Models are published in several forms, and one is read here: Hugging Face's directory. For each of the others there is
// an error that says what to do.

/** The names of Meta's own files; downloads of Hugging Face's repositories have them in `original/` too. */
const METAS = ["params.json", "consolidated.00.pth"].flatMap((name) => [name, `original/${name}`]);

/** What names a repository on Hugging Face: an owner and a model. */
export const REPOSITORY = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

/**
 * Refuses what is not Hugging Face's directory, where it can be seen what it is instead. A directory without a
 * config.json that looks like no other form is left to whoever reads the file.
 *
 * @throws InputError that names the form, and the command that gets the right one where there is one
 */
export async function refuseOtherForms(directory: string): Promise<void> {
  if (directory === "") {
    throw new InputError('the model directory is "", expected the name of a Hugging Face model directory');
  }
  if (await isThere(directory, "config.json")) return;
  for (const name of METAS) {
    if (!(await isThere(directory, name))) continue;
    throw new InputError(
      `${directory} is in Meta's own layout (params.json, consolidated.00.pth), expected Hugging Face's ` +
        "(config.json, model.safetensors): `npm run download -- meta-llama/Llama-3.2-1B` gets it",
    );
  }
  await refuseGguf(directory);
  if (await isFile(directory)) {
    const gguf = isGguf(directory) ? " in GGUF, which is not read" : "";
    throw new InputError(`${directory} is a file${gguf}; expected ${EXPECTED}`);
  }
  if (
    REPOSITORY.test(directory) &&
    (await sizeOf(directory)) === undefined &&
    (await sizeOf(dirname(directory))) === undefined
  ) {
    throw new InputError(
      `there is no directory ${directory}, expected a Hugging Face model directory; ` +
        `if it is a repository's name, \`npm run download -- ${directory}\` gets it to ${join("checkpoints", directory)}`,
    );
  }
}

/**
 * The file with a directory's weights, or their index.
 *
 * @throws InputError when there is none; it names the form that is there instead
 */
export async function findWeights(directory: string): Promise<string> {
  for (const name of ["model.safetensors", "model.safetensors.index.json"]) {
    if (await isThere(directory, name)) return fileInside(directory, name);
  }
  for (const name of ["pytorch_model.bin", "pytorch_model.bin.index.json"]) {
    if (await isThere(directory, name)) {
      throw new InputError(
        `${directory} holds its weights as ${name}, a format that can run programs, expected model.safetensors; ` +
          "transformers' save_pretrained writes it",
      );
    }
  }
  await refuseGguf(directory);
  throw new InputError(
    `${await fileInside(directory, "model.safetensors")} is missing, expected a safetensors file`,
  );
}

const EXPECTED = "a Hugging Face model directory: config.json, model.safetensors and a tokenizer";

const isGguf = (name: string): boolean => /\.gguf$/i.test(name);

/** Refuses llama.cpp's form, where a directory holds it. */
async function refuseGguf(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []); // whatever is wrong, who reads a file there says so
  const gguf = names.find(isGguf);
  if (gguf === undefined) return;
  throw new InputError(`${directory} holds ${formatValue(gguf)}, and GGUF is not read; expected ${EXPECTED}`);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
