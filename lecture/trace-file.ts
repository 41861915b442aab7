import * as v from "valibot";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { InputError } from "../src/util/errors.js";
import { type StepPair, type Trace, TRACE_FORMAT, type TracePrompt } from "./trace.js";

/** JSON for a trace. Vectors are rounded to 4 significant digits, which is enough for the pictures. */
export function traceToJson(trace: Trace): string {
  return JSON.stringify(trace, (_, value: unknown) =>
    value instanceof Float32Array
      ? Array.from(value, (number) => Number(number.toPrecision(4)))
      : (value ?? null),
  );
}

/** The text of every token id in prompts and steps. Bytes of an incomplete UTF-8 character are written as ⟨e2⟩. */
export function tokenStrings(
  tokenizer: Tokenizer,
  prompts: readonly Pick<TracePrompt, "ids">[],
  steps: readonly StepPair[],
): Record<string, string> {
  const strings: Record<string, string> = {};
  const add = (id: number): void => void (strings[id] ??= tokenString(tokenizer, id));
  for (const { ids } of prompts) ids.forEach(add);
  for (const { cached, uncached, reference } of steps) {
    reference?.next.forEach(add);
    for (const step of [cached, uncached]) {
      step?.next.forEach(({ id }) => add(id));
      step?.candidates.flat().forEach(({ id }) => add(id));
    }
  }
  return strings;
}

/** The text of a token id. Bytes of an incomplete UTF-8 character are written as ⟨e2⟩. */
export function tokenString(tokenizer: Tokenizer, id: number): string {
  const bytes = tokenizer.bytes(id);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? String.fromCharCode(byte) : `⟨${byte.toString(16)}⟩`,
    ).join("");
  }
}

/**
 * Reads a trace that `traceToJson` wrote.
 *
 * @param source the file's name, for errors
 * @throws InputError that names the first invalid field and what it must be
 */
export function parseTrace(json: string, source: string): Trace {
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch {
    throw invalid(source, "it must be JSON");
  }
  const { output, issues } = v.safeParse(TRACE, data, { abortEarly: true });
  if (issues) {
    const [{ message, input, path }] = issues;
    const field = path?.map(({ key }) => key).join(".") ?? "it";
    const seen = JSON.stringify(input)?.slice(0, 40);
    throw invalid(
      source,
      seen === undefined ? `${field} is missing` : `${field} must be ${message}, got ${seen}`,
    );
  }
  for (const [i, pair] of output.steps.entries())
    checkLengths(pair, output.prompts.length, `${source}: steps.${i}`);
  return output;
}

const invalid = (source: string, problem: string): InputError =>
  new InputError(`${source} is not a saved trace: ${problem}; "npm run trace -- --json FILE" saves one`);

/** Each list must have one entry for each sequence. */
function checkLengths(
  { cached, uncached, differences, reference }: StepPair,
  sequences: number,
  where: string,
): void {
  if (!cached && !uncached) throw new InputError(`${where} must have at least one mode, got none`);
  const lists = { differences, "reference.next": reference?.next, "cached.next": cached?.next };
  for (const [name, list] of Object.entries({
    ...lists,
    "uncached.next": uncached?.next,
    "cached.inputIds": cached?.inputIds,
    "uncached.inputIds": uncached?.inputIds,
    "cached.candidates": cached?.candidates,
    "uncached.candidates": uncached?.candidates,
  })) {
    if (!list || list.length === sequences) continue;
    throw new InputError(
      `${where}.${name} must have one entry for each of ${sequences} prompts, got ${list.length}`,
    );
  }
}

// The message of each schema completes the sentence "FIELD must be …".
const text = v.string("a string");
const number = v.pipe(v.number("a number"), v.finite("a finite number"));
const COUNT = "a whole number from 0";
const count = v.pipe(v.number(COUNT), v.safeInteger(COUNT), v.minValue(0, COUNT));
const list = <const S extends v.GenericSchema>(item: S) => v.array(item, "a list");
const object = <const E extends v.ObjectEntries>(entries: E) => v.object(entries, "an object");
const oneOf = <const T extends string>(...names: T[]) => v.picklist(names, `one of ${names.join(", ")}`);
/** JSON has null for undefined. */
const optional = <const S extends v.GenericSchema>(schema: S) =>
  v.pipe(
    v.nullable(schema),
    v.transform((value) => value ?? undefined),
  );
const floats = v.pipe(
  v.custom<number[]>((value) => Array.isArray(value) && value.every(Number.isFinite), "a list of numbers"),
  v.transform((numbers) => Float32Array.from(numbers)),
);

const VECTOR = object({
  kind: oneOf("key", "value", "query", "attention"),
  layer: count,
  sequence: count,
  head: count,
  position: count,
  values: floats,
});

const STEP = object({
  iteration: count,
  prevPos: count,
  curPos: count,
  inputIds: list(list(count)),
  next: list(
    object({
      id: count,
      source: oneOf("prompt", "model", "padding"),
      stopReason: optional(oneOf("stop", "length")),
    }),
  ),
  ms: number,
  cost: object({
    flops: number,
    weightBytes: number,
    cacheBytesRead: number,
    cacheBytesWritten: number,
    kvPairsComputed: count,
    kvPairsReused: count,
  }),
  candidates: list(list(object({ id: count, probability: number }))),
  vectors: list(VECTOR),
  largestChange: number,
});

const differences = list(optional(number));

const CONFIG = object({
  hiddenSize: count,
  nLayers: count,
  nHeads: count,
  nKvHeads: count,
  headDim: count,
  intermediateSize: count,
  vocabSize: count,
  maxSeqLen: count,
  normEps: number,
  rope: object({
    theta: number,
    scaling: v.exactOptional(
      object({ factor: number, lowFreqFactor: number, highFreqFactor: number, originalMaxSeqLen: count }),
    ),
    linearFactor: v.exactOptional(number),
  }),
  tieWordEmbeddings: v.boolean("true or false"),
});

const TRACE: v.GenericSchema<unknown, Trace> = object({
  format: v.literal(TRACE_FORMAT, `"${TRACE_FORMAT}"`),
  date: text,
  model: text,
  config: CONFIG,
  backend: text,
  prompts: list(object({ text, ids: list(count) })),
  maxGenLen: count,
  temperature: number,
  topP: number,
  seed: count,
  layers: list(count),
  tokenStrings: v.record(v.string(), text, "an object"),
  steps: list(
    object({
      cached: optional(STEP),
      uncached: optional(STEP),
      differences,
      reference: optional(object({ next: list(count), cached: differences, uncached: differences })),
    }),
  ),
});
