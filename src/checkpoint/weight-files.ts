import { basename, dirname } from "node:path";
import { InputError } from "../util/errors.js";
import { isObject, formatValue } from "../util/format-value.js";
import { fileInside, readJson } from "./directory.js";
import { SafetensorsFile } from "./safetensors.js";
import { MAX_HEADER_BYTES } from "./safetensors-header.js";

/** Llama 3.1 405B has 191. */
const MAX_FILES = 1000;

/** The longest name that file systems know; a longer one is no file's, and no error repeats it. */
const MAX_NAME = 255;

/** What some checkpoints hold although it follows from the configuration: how fast the rotary embedding turns. */
const CALCULATED = /\.rotary_emb\.inv_freq$/;

/**
 * A model's weights on disk: one safetensors file, or several and an index that says which tensor is in which
 * (`model.safetensors.index.json`: `{ "weight_map": { tensor: file } }`). Each tensor has its own dtype.
 */
export class WeightFiles {
  private readonly open = new Map<string, SafetensorsFile>();

  private constructor(
    /** The file or index, for errors. */
    readonly path: string,
    /** The file of every tensor; undefined where there is but one file. */
    private readonly index: ReadonlyMap<string, string> | undefined,
  ) {}

  /**
   * Opens `model.safetensors`, or `model.safetensors.index.json` and then each file when one of its tensors is asked for.
   *
   * @throws InputError when the file is missing or damaged, or the index names files that are not in its directory
   */
  static async at(path: string): Promise<WeightFiles> {
    const index = path.endsWith(".json") ? await readIndex(path) : undefined;
    const files = new WeightFiles(path, index);
    if (!index) files.open.set(path, await SafetensorsFile.open(path));
    return files;
  }

  /**
   * Says whether a tensor is there as it is wanted, without reading it.
   *
   * @throws InputError when it is missing, or has another shape or a dtype that is not read
   */
  async check(name: string, shape: readonly number[]): Promise<void> {
    const file = await this.fileOf(name);
    const entry = file.entry(name);
    if (entry.shape.join() !== shape.join()) {
      throw new InputError(
        `tensor ${name} in ${file.path} has the shape [${entry.shape}], config.json asks for [${shape}]`,
      );
    }
  }

  /**
   * Says whether there are tensors that the model would leave out, as a bias or a layer that config.json does not
   * mention: without them it would be another model.
   *
   * @param names of all that it takes
   * @throws InputError for the first that is not among them
   */
  checkAllTaken(names: ReadonlySet<string>): void {
    for (const name of this.names().keys()) {
      if (names.has(name) || CALCULATED.test(name)) continue;
      throw new InputError(
        `${this.path} has a tensor ${formatValue(name)}, which the model that config.json describes does not; ` +
          `expected its ${names.size} tensors and no others`,
      );
    }
  }

  /** Whether there is a tensor of this name. */
  has(name: string): boolean {
    return this.names().has(name);
  }

  /** Reads one tensor as float32. Throws what `SafetensorsFile.read` throws. */
  async read(name: string): Promise<Float32Array> {
    return (await this.fileOf(name)).read(name);
  }

  /** Closes all files. */
  async close(): Promise<void> {
    for (const file of this.open.values()) await file.close();
    this.open.clear();
  }

  private names(): ReadonlyMap<string, unknown> {
    return this.index ?? this.open.get(this.path)!.tensors;
  }

  private async fileOf(name: string): Promise<SafetensorsFile> {
    const path = this.index ? this.index.get(name) : this.path;
    if (path === undefined) {
      throw new InputError(
        `${this.path}: no tensor is called ${formatValue(name)} among the ${this.index?.size} there`,
      );
    }
    const opened = this.open.get(path);
    if (opened) return opened;
    const file = await SafetensorsFile.open(await fileInside(dirname(this.path), basename(path)));
    this.open.set(path, file); // closed with the others, whatever comes
    // All headers stay in memory, so all together may have what one may.
    const headers = [...this.open.values()].reduce((sum, { headerBytes }) => sum + headerBytes, 0);
    if (headers > MAX_HEADER_BYTES) {
      throw new InputError(
        `${this.path}: the headers of its files have ${headers} bytes, expected at most ${MAX_HEADER_BYTES} together`,
      );
    }
    return file;
  }
}

/** The path of every tensor's file. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const directory = dirname(path);
  const paths = new Map<string, string>(); // by name; there are few files and many tensors
  const index = new Map<string, string>();
  for (const [tensor, file] of await readWeightMap(path)) {
    const known = paths.get(file) ?? (await fileInside(directory, file));
    paths.set(file, known);
    index.set(tensor, known);
  }
  return index;
}

/**
 * What an index says: the name of every tensor's file.
 *
 * @throws InputError when it is missing or damaged, or names what cannot be a safetensors file beside it
 */
export async function readWeightMap(path: string): Promise<Map<string, string>> {
  const json = await readJson(dirname(path), basename(path));
  const map = isObject(json) && json["weight_map"];
  if (!isObject(map)) {
    throw new InputError(`${path} has no weight_map, expected {"weight_map": {tensor: file}}`);
  }
  const names = new Map<string, string>();
  const files = new Set<string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || file.length > MAX_NAME || !/^[\w-][\w.-]*\.safetensors$/.test(file)) {
      throw new InputError(
        `${path}: tensor ${formatValue(tensor)} is in ${formatValue(file)}, expected the name of a safetensors file beside the index`,
      );
    }
    names.set(tensor, file);
    files.add(file);
  }
  if (files.size > MAX_FILES) {
    throw new InputError(`${path} names ${files.size} files, expected at most ${MAX_FILES}`);
  }
  return names;
}
