import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";
import { MAX_TEXT_BYTES, parseJson } from "../util/json.js";
import { readBytes, type ReadableFile } from "./readable-file.js";

/** The format that this project reads, in errors. */
export const EXPECTED = "a Hugging Face model directory with config.json, model.safetensors and a tokenizer";

/** Other formats that models are published in, by the names of their files; each with what to do. */
const OTHER_FORMATS: readonly (readonly [name: RegExp, advice: string])[] = [
  [
    /^(?:original\/)?(?:params\.json|consolidated\.00\.pth)$/,
    "is in Meta's own format; run npm run download -- meta-llama/Llama-3.2-1B",
  ],
  [/^pytorch_model\.bin/, "is in a format that can run code; convert it with transformers' save_pretrained"],
  [/\.gguf$/i, "is in GGUF, which is not supported"],
];

/** A file of a checkpoint. */
export interface CheckpointFile extends ReadableFile {
  /** The reason why it must not be read, if there is one: "is a broken link". */
  readonly problem?: string | undefined;
}

/** The files of a checkpoint by name, such as "config.json" or "original/tokenizer.model". */
export class CheckpointFiles {
  constructor(
    /** The directory, or what `memoryFiles` was given as a name; for errors. */
    readonly directory: string,
    private readonly files: ReadonlyMap<string, CheckpointFile>,
  ) {}

  /**
   * A file, if there is one of this name.
   *
   * @throws InputError for a file that must not be read
   */
  find(name: string): CheckpointFile | undefined {
    const file = this.files.get(name);
    if (file?.problem) throw new InputError(`${file.path} ${file.problem}`);
    return file;
  }

  /**
   * The first of these files that is there.
   *
   * @throws InputError when there is none, which names the format of the model that is there instead, or when it must not
   *         be read
   */
  get(...names: readonly string[]): CheckpointFile {
    for (const name of names) {
      const file = this.find(name);
      if (file) return file;
    }
    const missing = `${this.directory} must be ${EXPECTED}, but ${names[0]} is missing`;
    for (const [pattern, advice] of OTHER_FORMATS) {
      const other = [...this.files.keys()].find((name) => pattern.test(name));
      if (other === undefined) continue;
      throw new InputError(`${missing}: ${formatValue(other)} ${advice}`);
    }
    throw new InputError(missing);
  }
}

/**
 * Reads a small file.
 *
 * @param maxBytes how large it may be
 * @throws InputError when it is larger or cannot be read
 */
export async function readSmallFile(file: ReadableFile, maxBytes: number): Promise<Uint8Array> {
  const opened = await file.open();
  try {
    const { size } = opened;
    if (size > maxBytes)
      throw new InputError(`${file.path} must have at most ${maxBytes} bytes, got ${size}`);
    const bytes = new Uint8Array(size);
    await readBytes(opened, file.path, bytes, 0);
    return bytes;
  } finally {
    await opened.close();
  }
}

/**
 * Reads a JSON file.
 *
 * @param maxValues how many values it may hold, if that is more than most files need
 * @throws InputError when it cannot be read, is not JSON or too large
 */
export async function readJsonFile(file: ReadableFile, maxValues?: number): Promise<unknown> {
  return parseJson(await readSmallFile(file, MAX_TEXT_BYTES), file.path, { maxValues });
}
