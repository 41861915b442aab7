import * as v from "valibot";
import { InputError } from "./errors.js";
import { formatValue, isObject } from "./format.js";
import { decodeUtf8 } from "./utf8.js";

/** Upper bound for text files in bytes; the largest, Llama 3's tokenizer.json, has 9 to 17 MB. */
export const MAX_TEXT_BYTES = 32 * 2 ** 20;

/** Nesting limit of the safetensors reference implementation; a model's files need at most 6 levels. */
const MAX_DEPTH = 128;

/** A safetensors header has 8 values per tensor, and Llama 3.1 405B, the model with the most tensors, has 1,138. */
const MAX_VALUES = 400_000;

/** Options for `parseJson`. */
interface ParseOptions {
  /** Largest number of lists, objects and values inside of them that the text may hold. */
  readonly maxValues?: number | undefined;
  /** Rejects an object with a duplicate key, of which `JSON.parse` silently keeps the last. */
  readonly uniqueKeys?: boolean;
}

/**
 * Parses JSON from an untrusted source. The text is scanned before `JSON.parse` sees it: a list takes two characters of
 * text and twenty times as much memory, and deeply nested values need a deep stack. A byte order mark is skipped.
 *
 * @param text the text, or its UTF-8 bytes
 * @param source the name of the text in errors
 * @throws InputError for text that is not JSON or exceeds a limit, and for bytes that are not UTF-8
 */
export function parseJson(text: string | Uint8Array, source: string, options: ParseOptions = {}): unknown {
  const json = typeof text === "string" ? text : decodeUtf8(text);
  if (json === undefined) throw new InputError(`${source} must be valid JSON, but it is not UTF-8`);
  try {
    scan(json, source, options);
    return JSON.parse(json.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = (error as Error).message.replaceAll(/[\s\p{Cc}]+/gu, " ").slice(0, 120);
    throw new InputError(`${source} must be valid JSON: ${reason}`);
  }
}

/** Throws InputError for what `JSON.parse` would accept, and must not see or would change; SyntaxError for invalid keys. */
function scan(
  json: string,
  source: string,
  { maxValues = MAX_VALUES, uniqueKeys = false }: ParseOptions,
): void {
  const keys: Set<string>[] = []; // of each open object, by depth
  let [depth, values, string] = [0, 1, ""];
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      const begin = at++;
      while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
      if (uniqueKeys) string = json.slice(begin, at + 1);
    } else if (char === "[" || char === "{") {
      depth++;
      values++;
      if (uniqueKeys) keys[depth] = new Set();
    } else if (char === "]" || char === "}") depth--;
    else if (char === ",") values++;
    else if (char === ":" && uniqueKeys) {
      const key: string = JSON.parse(string);
      if (keys[depth]?.has(key)) {
        throw new InputError(`${source} must have each key once in an object, got ${formatValue(key)} twice`);
      }
      keys[depth]?.add(key);
    }
    if (depth > MAX_DEPTH) throw new InputError(`${source} must nest at most ${MAX_DEPTH} levels deep`);
    if (values > maxValues) throw new InputError(`${source} must hold at most ${maxValues} values`);
  }
}

/** The error for a value that is not what it must be: "X must be EXPECTED, got VALUE". */
export const mustBe = (what: string, expected: string, value: unknown): InputError =>
  new InputError(
    `${what} must be ${expected}, ${value === undefined ? "but it is missing" : `got ${formatValue(value)}`}`,
  );

/**
 * Checks the fields of a JSON object against valibot schemas. Each schema's message says what the field must be. Other
 * fields of the object are ignored.
 *
 * @param entries the schema of each field
 * @param source the file's name in errors
 * @param path of the object inside the file, such as "rope_scaling."
 * @throws InputError for the first field that is missing or wrong
 */
export function checkFields<const E extends v.ObjectEntries>(
  entries: E,
  value: unknown,
  source: string,
  path = "",
): v.InferOutput<v.ObjectSchema<E, undefined>> {
  if (!isObject(value))
    throw mustBe(path ? `${source}: ${path.slice(0, -1)}` : source, "a JSON object", value);
  const absent = Object.fromEntries(Object.keys(entries).map((key) => [key, undefined])); // then its schema says so
  return checkJson(v.object(entries), { ...absent, ...value }, `${source}: ${path}`);
}

/**
 * Checks a value against a valibot schema whose messages say what the value must be.
 *
 * @param prefix of the path of the wrong value in errors
 * @throws InputError for the first wrong value inside of it
 */
export function checkJson<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  prefix: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw mustBe(prefix + v.getDotPath(issue), issue.message, issue.input);
}

/** Schema of a JSON object with any fields. */
export const jsonObject = v.custom<Readonly<Record<string, unknown>>>(isObject, "a JSON object");

/** Schema of an integer from 1 to `most`. */
export const integer = (most = 1e9) =>
  v.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most,
    `an integer from 1 to ${most}`,
  );

/** Schema of a finite number in a range. */
export const number = (least: number, most: number) =>
  v.custom<number>(
    (value) => Number.isFinite(value) && Number(value) >= least && Number(value) <= most,
    `a number from ${least} to ${most}`,
  );
