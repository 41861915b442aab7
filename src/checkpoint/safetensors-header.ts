import * as v from "valibot";
import { InputError } from "../util/errors.js";
import { formatValue, isObject } from "../util/format.js";
import { checkFields, mustBe, parseJson } from "../util/json.js";

/** Bytes of a number, for the dtypes that Llama checkpoints are published in. The format has more, which are not read. */
export const BYTES = { F32: 4, F16: 2, BF16: 2 } as const;

/** The reference implementation's limit for the length of the header, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** A dtype that is read. */
type Dtype = keyof typeof BYTES;

/** A tensor's entry in the header. */
export interface TensorEntry<Type extends string = string> {
  readonly dtype: Type;
  /** Row-major, the last dimension contiguous. Empty for a scalar. */
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly begin: number;
  /** First byte after the tensor. */
  readonly end: number;
}

const sizes = (length?: number) => (value: unknown) =>
  Array.isArray(value) &&
  value.every((size) => Number.isSafeInteger(size) && size >= 0) &&
  (length ?? value.length) === value.length;

const ENTRY = {
  dtype: v.string("F32, F16 or BF16"),
  shape: v.custom<number[]>(sizes(), "a list of non-negative integers"),
  data_offsets: v.custom<[begin: number, end: number]>(sizes(2), "two non-negative integers"),
};

/** True if the dtype is one that is read. A buffer that the model does not use may have another. */
export const isReadable = (entry: TensorEntry): entry is TensorEntry<Dtype> =>
  Object.hasOwn(BYTES, entry.dtype);

/**
 * Parses and checks a header; the sizes of tensors with a dtype that is not read are not checked.
 *
 * @param bytes the header's bytes, without its length
 * @param fileSize bytes of the whole file, which the tensors must fill
 * @param path of the file, for errors
 * @returns every tensor by name, in the order of their bytes; the free-form strings under `__metadata__` are not kept
 * @throws InputError for whatever breaks the format
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, path: string): Map<string, TensorEntry> {
  const source = `${path}: the header`;
  if (bytes[0] !== "{".charCodeAt(0)) throw new InputError(`${source} must begin with "{"`);
  const header = parseJson(bytes, source, { uniqueKeys: true }) as object;

  const tensors: [name: string, entry: TensorEntry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") checkMetadata(value, `${path}: __metadata__`);
    else tensors.push([name, parseEntry(value, 8 + bytes.length, `${path}: tensor ${formatValue(name)}`)]);
  }
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkLayout(tensors, 8 + bytes.length, fileSize, path);
  return new Map(tensors);
}

function checkMetadata(value: unknown, source: string): void {
  if (!isObject(value)) throw mustBe(source, "an object of strings", value);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw mustBe(`${source}: ${formatValue(key)}`, "a string", text);
  }
}

function parseEntry(value: unknown, dataBegin: number, source: string): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = checkFields(ENTRY, value, source);
  const [begin, end] = offsets;
  const entry = { dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(elements)) {
      throw mustBe(`${source}: shape`, "less than 2^53 elements", shape);
    }
  }
  const bytes = isReadable(entry) ? elements * BYTES[entry.dtype] : undefined;
  if (bytes === undefined && end < begin) throw mustBe(`${source}: data_offsets`, "in order", offsets);
  if (bytes !== undefined && end - begin !== bytes) {
    const expected = `${bytes} bytes apart for ${dtype} of shape ${formatValue(shape)}`;
    throw mustBe(`${source}: data_offsets`, expected, offsets);
  }
  return entry;
}

/** The tensors, sorted by their bytes, must fill the file from the header to its end, each byte once. */
function checkLayout(
  tensors: [string, TensorEntry][],
  dataBegin: number,
  fileSize: number,
  path: string,
): void {
  let end = dataBegin;
  let before = "the header";
  for (const [name, entry] of tensors) {
    const tensor = `tensor ${formatValue(name)}`;
    if (entry.begin !== end) {
      throw new InputError(
        `${path}: ${tensor} must begin at byte ${end}, where ${before} ends, got ${entry.begin}: ` +
          (entry.begin < end ? "they overlap" : `${entry.begin - end} bytes between them are unused`),
      );
    }
    end = entry.end;
    before = tensor;
  }
  if (end !== fileSize) {
    throw new InputError(
      `${path}: the file must end at byte ${end}, where ${before} ends, got ${fileSize} bytes` +
        (fileSize < end ? "; it is truncated, download it again" : ""),
    );
  }
}
