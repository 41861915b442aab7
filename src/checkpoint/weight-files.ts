import { InputError } from "../util/errors.js";
import { formatValue, isObject } from "../util/format.js";
import { mustBe } from "../util/json.js";
import { type CheckpointFiles, readJsonFile } from "./checkpoint-files.js";
import type { ReadableFile } from "./readable-file.js";
import { SafetensorsFile, type StoredBits } from "./safetensors.js";
import { MAX_HEADER_BYTES } from "./safetensors-header.js";

/** Names of safetensors files, of at most the 255 characters that file systems allow. */
const FILE_NAME = /^[\w-][\w.-]{0,242}\.safetensors$/;

/** Buffers in some checkpoints that follow from config.json: RoPE's frequencies and tables, the causal mask. */
const DERIVED =
  /\.rotary_emb\.(?:(?:original_)?inv_freq|cos_cached|sin_cached)$|\.self_attn\.(?:bias|masked_bias)$|^model\.causal_mask$/;

/**
 * A model's weights on disk: one safetensors file, or several and an index that says which tensor is in which
 * (`model.safetensors.index.json`: `{ "weight_map": { tensor: file } }`). Each tensor has its own dtype.
 */
export class WeightFiles {
  /** @param files the file of each tensor */
  private constructor(
    /** The file or the index, for errors. */
    readonly path: string,
    private readonly files: ReadonlyMap<string, ReadableFile>,
    private readonly open: Map<ReadableFile, SafetensorsFile>,
  ) {}

  /**
   * Opens model.safetensors, or reads the index of several; then each is opened when one of its tensors is needed.
   *
   * @throws InputError when a file is missing or malformed
   */
  static async of(files: CheckpointFiles): Promise<WeightFiles> {
    const file = files.get("model.safetensors", "model.safetensors.index.json");
    const { path } = file;
    if (path.endsWith(".json")) {
      const index = readWeightMap(await readJsonFile(file), path);
      const fileOf = new Map(Array.from(index, ([tensor, name]) => [tensor, files.get(name)]));
      return new WeightFiles(path, fileOf, new Map());
    }
    const opened = await SafetensorsFile.open(file);
    const fileOf = new Map(Array.from(opened.tensors.keys(), (tensor) => [tensor, file]));
    return new WeightFiles(path, fileOf, new Map([[file, opened]]));
  }

  /**
   * Checks that a tensor is there and can be read, without reading it.
   *
   * @throws InputError when it is missing, or has another shape or a dtype that is not read
   */
  async check(name: string, shape: readonly number[]): Promise<void> {
    const file = await this.fileOf(name);
    const entry = file.entry(name);
    if (entry.shape.join() !== shape.join()) {
      throw mustBe(
        `${file.path}: the shape of tensor ${name}`,
        `[${shape.join(", ")}] by config.json`,
        entry.shape,
      );
    }
  }

  /**
   * Checks that there are no tensors that the model would ignore, such as a bias or one more layer than config.json says:
   * without them it would be another model.
   *
   * @param names of all tensors that the model uses
   * @throws InputError for the first that is not among them
   */
  checkAllUsed(names: ReadonlySet<string>): void {
    for (const name of this.files.keys()) {
      if (names.has(name) || DERIVED.test(name)) continue;
      throw new InputError(
        `${this.path} must hold the ${names.size} tensors of the model that config.json describes and no others, ` +
          `got ${formatValue(name)}`,
      );
    }
  }

  /** True if there is a tensor of this name. */
  has(name: string): boolean {
    return this.files.has(name);
  }

  /** Reads one tensor as float32. Throws what `SafetensorsFile.read` throws. */
  async read(name: string): Promise<Float32Array> {
    return (await this.fileOf(name)).read(name);
  }

  /** Reads one tensor as it is stored. Throws what `SafetensorsFile.readBits` throws. */
  async readBits(name: string): Promise<StoredBits> {
    return (await this.fileOf(name)).readBits(name);
  }

  /** Closes all files. */
  async close(): Promise<void> {
    for (const file of this.open.values()) await file.close();
    this.open.clear();
  }

  private async fileOf(tensor: string): Promise<SafetensorsFile> {
    const file = this.files.get(tensor);
    if (file === undefined) {
      throw new InputError(
        `${this.path} must hold tensor ${formatValue(tensor)}, which is not among the ${this.files.size} there`,
      );
    }
    const open = this.open.get(file);
    if (open) return open;
    const opened = await SafetensorsFile.open(file);
    this.open.set(file, opened); // before the check, so that it is closed with the others
    // All headers stay in memory, so they share the limit of one.
    const headers = [...this.open.values()].reduce((sum, { headerBytes }) => sum + headerBytes, 0);
    if (headers > MAX_HEADER_BYTES) {
      throw new InputError(
        `${this.path}: the headers of its files must have at most ${MAX_HEADER_BYTES} bytes together, got ${headers}`,
      );
    }
    return opened;
  }
}

/**
 * The contents of an index: the name of each tensor's file.
 *
 * @param json the parsed index
 * @param source its name in errors
 * @throws InputError when it is malformed, or names what cannot be a safetensors file beside it
 */
export function readWeightMap(json: unknown, source: string): Map<string, string> {
  const map = isObject(json) ? json["weight_map"] : undefined;
  if (!isObject(map)) throw mustBe(`${source}: weight_map`, "an object {tensor: file}", map);
  const names = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !FILE_NAME.test(file)) {
      const expected = "the name of a safetensors file beside the index";
      throw mustBe(`${source}: the file of tensor ${formatValue(tensor)}`, expected, file);
    }
    names.set(tensor, file);
  }
  return names;
}
