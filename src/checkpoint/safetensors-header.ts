import { isObject, formatValue } from "../util/format-value.js";
import { decodeUtf8 } from "../util/utf8.js";
import { endOfString, excess } from "./json-bounds.js";

/**
 * The element types of the format and their width in bits, as in the reference implementation,
 * https://github.com/huggingface/safetensors. All are known here, so that any valid file opens; only the three
 * that a Llama checkpoint is published in (F32, F16, BF16) can be read.
 */
// prettier-ignore
export const BITS = {
  BOOL: 8, U8: 8, I8: 8, U16: 16, I16: 16, U32: 32, I32: 32, U64: 64, I64: 64,
  F16: 16, BF16: 16, F32: 32, F64: 64, C64: 64,
  F4: 4, F6_E2M3: 6, F6_E3M2: 6, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8,
} as const;

/** The reference implementation's limit on the header's length, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Name of an element type, as the header spells it. */
export type Dtype = keyof typeof BITS;

/** What the header says of one tensor. */
export interface TensorEntry {
  readonly dtype: Dtype;
  /** Row-major, the last dimension contiguous. Empty for a scalar. */
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly begin: number;
  /** First byte after the tensor. */
  readonly end: number;
}

/** A broken rule of the format, from here to where the file's name is known. */
export class FormatError extends Error {}

/**
 * Parses and checks a header.
 *
 * @param bytes    the header's bytes, without its length
 * @param fileSize bytes of the whole file, which the tensors must fill
 * @returns every tensor by name, in the order of their bytes; the free-form strings under `__metadata__` are not kept
 * @throws FormatError for whatever breaks the format
 */
export function parseHeader(bytes: Uint8Array, fileSize: number): Map<string, TensorEntry> {
  const json = decodeUtf8(bytes);
  if (json === undefined) throw new FormatError("the header is not UTF-8");
  if (!json.startsWith("{"))
    throw new FormatError(`the header begins with ${formatValue(json[0])}, expected "{"`);
  const header = parseJson(json);

  const tensors: [name: string, entry: TensorEntry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") checkMetadata(value);
    else tensors.push([name, parseEntry(name, value, 8 + bytes.length)]);
  }
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkLayout(tensors, 8 + bytes.length, fileSize);
  return new Map(tensors);
}

function parseJson(json: string): object {
  const tooMuch = excess(json);
  if (tooMuch) throw new FormatError(`the header ${tooMuch}, expected less`);
  let header: object;
  try {
    header = JSON.parse(json);
  } catch (error) {
    throw new FormatError(
      `the header is not JSON: ${formatValue(error instanceof Error ? error.message : error)}`,
    );
  }
  checkKeys(json);
  return header;
}

/** Refuses an object with the same key twice, of which `JSON.parse` would silently keep the last. */
function checkKeys(json: string): void {
  const opened: Set<string>[] = []; // the keys so far of each object or array that is not closed yet
  let string = '""';
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === "{" || char === "[") {
      opened.push(new Set());
    } else if (char === "}" || char === "]") {
      opened.pop();
    } else if (char === '"') {
      const begin = at;
      at = endOfString(json, begin);
      string = json.slice(begin, at + 1);
    } else if (char === ":") {
      const key: string = JSON.parse(string);
      if (opened.at(-1)?.has(key))
        throw new FormatError(`the header has the key ${formatValue(key)} twice in one object`);
      opened.at(-1)?.add(key);
    }
  }
}

function checkMetadata(value: unknown): void {
  if (!isObject(value))
    throw new FormatError(`__metadata__ is ${formatValue(value)}, expected an object of strings`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      throw new FormatError(
        `__metadata__ has ${formatValue(text)} under ${formatValue(key)}, expected a string`,
      );
  }
}

function parseEntry(name: string, value: unknown, dataBegin: number): TensorEntry {
  const tensor = `tensor ${formatValue(name)}`;
  if (!isObject(value)) throw new FormatError(`${tensor} is ${formatValue(value)}, expected an object`);
  const field = (key: string): unknown => {
    if (!Object.hasOwn(value, key)) throw new FormatError(`${tensor} has no ${key}`);
    return value[key];
  };

  const dtype = field("dtype");
  if (!isDtype(dtype)) {
    throw new FormatError(
      `${tensor} has dtype ${formatValue(dtype)}, expected one of ${Object.keys(BITS).join(", ")}`,
    );
  }

  const shape = field("shape");
  if (!isSizes(shape)) {
    throw new FormatError(
      `${tensor} has shape ${formatValue(shape)}, expected a list of non-negative integers`,
    );
  }
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(elements)) {
      throw new FormatError(`${tensor} has shape ${formatValue(shape)}, expected less than 2^53 elements`);
    }
  }

  const offsets = field("data_offsets");
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw new FormatError(
      `${tensor} has data_offsets ${formatValue(offsets)}, expected [begin, end], non-negative integers with begin <= end`,
    );
  }
  const [begin = 0, end = 0] = offsets;
  const bytes = (elements * BITS[dtype]) / 8;
  if (end - begin !== bytes) {
    throw new FormatError(
      `${tensor} has ${end - begin} bytes by its data_offsets ${formatValue(offsets)}, ` +
        `expected ${bytes} for ${dtype} of shape ${formatValue(shape)}`,
    );
  }
  return { dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}

/** The tensors, sorted by their bytes, must fill the file from the header to its end, each byte once. */
function checkLayout(tensors: [string, TensorEntry][], dataBegin: number, fileSize: number): void {
  let end = dataBegin;
  let before = "the header";
  for (const [name, entry] of tensors) {
    if (entry.begin < end) {
      throw new FormatError(
        `${before} and tensor ${formatValue(name)} overlap: one ends at byte ${end}, the other begins at ${entry.begin}`,
      );
    }
    if (entry.begin > end) {
      throw new FormatError(
        `${entry.begin - end} bytes between ${before} and tensor ${formatValue(name)} belong to neither, expected none`,
      );
    }
    end = entry.end;
    before = `tensor ${formatValue(name)}`;
  }
  if (end > fileSize) {
    throw new FormatError(
      `the file is truncated: it has ${fileSize} bytes, expected ${end}, so ${end - fileSize} are missing`,
    );
  }
  if (end < fileSize) {
    throw new FormatError(
      `${fileSize - end} bytes follow ${before}, which should be the last thing in the file`,
    );
  }
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(BITS, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
