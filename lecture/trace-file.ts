import { InputError } from "../src/util/errors.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { type RecordedRow, type RecordedStep, type Trace, TRACE_FORMAT, type Turn } from "./trace.js";

/** JSON for a trace. Rows are rounded to 4 digits, which no picture can tell from all of them. */
export function traceToJson(trace: Trace): string {
  return JSON.stringify(trace, (_, value: unknown) =>
    value instanceof Float32Array ? Array.from(value, (number) => Number(number.toPrecision(4))) : value,
  );
}

/** The text of every id in the prompts and turns. A byte that is no whole character is written as ⟨e2⟩. */
export function wordsOf(
  tokenizer: Tokenizer,
  prompts: readonly { readonly ids: readonly number[] }[],
  turns: readonly Turn[],
): Record<string, string> {
  const words: Record<string, string> = {};
  const add = (id: number): void => void (words[id] ??= word(tokenizer, id));
  for (const { ids } of prompts) ids.forEach(add);
  for (const { cached, uncached, whole } of turns) {
    whole?.next.forEach(add);
    for (const step of [cached, uncached]) {
      step?.next.forEach(({ id }) => add(id));
      step?.candidates.flat().forEach(({ id }) => add(id));
    }
  }
  return words;
}

function word(tokenizer: Tokenizer, id: number): string {
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
 * Reads a trace, as `traceToJson` wrote it.
 *
 * @param source the file's name, for errors
 * @throws InputError when it is no trace, or a part is missing or of the wrong kind
 */
export function parseTrace(json: string, source: string): Trace {
  let trace: unknown;
  try {
    trace = JSON.parse(json);
  } catch {
    throw new InputError(
      `${source} is not JSON; expected a trace as "npm run trace -- --json ${source}" writes it`,
    );
  }
  const { format } = Object(trace) as { format?: unknown };
  if (format !== TRACE_FORMAT) {
    throw new InputError(
      `${source} has the format ${shown(format)}, expected "${TRACE_FORMAT}"; "npm run trace -- --json FILE" writes it`,
    );
  }
  const value = TRACE(trace, source) as Omit<Trace, "turns"> & { turns: Turn[] };
  const rows = value.prompts.length;
  for (const [i, turn] of value.turns.entries()) checkTurn(turn, rows, `${source}: turns[${i}]`);
  return value;
}

/** What no single field shows: every list has an entry for each row of the batch. */
function checkTurn({ cached, uncached, differences, whole }: Turn, rows: number, where: string): void {
  const lists = { differences, whole: whole?.next, cached: cached?.next, uncached: uncached?.next };
  for (const [name, list] of Object.entries({
    ...lists,
    inputIds: cached?.inputIds,
    candidates: cached?.candidates,
  })) {
    if (list && list.length !== rows) {
      throw new InputError(`${where}: ${name} has ${list.length} entries, expected ${rows}, one a prompt`);
    }
  }
  if (!cached && !uncached) throw new InputError(`${where} has neither mode, expected at least one`);
}

/** Checks a value and returns it; `where` names it in errors. */
type Check = (value: unknown, where: string) => unknown;

const fail = (value: unknown, where: string, expected: string): never => {
  throw new InputError(`${where} is ${shown(value)}, expected ${expected}`);
};
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
};

const number: Check = (value, where) =>
  typeof value === "number" && Number.isFinite(value) ? value : fail(value, where, "a number");
const count: Check = (value, where) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? value
    : fail(value, where, "a whole number from 0 up");
const text: Check = (value, where) => (typeof value === "string" ? value : fail(value, where, "a text"));
const flag: Check = (value, where) =>
  typeof value === "boolean" ? value : fail(value, where, "true or false");
const optional =
  (check: Check): Check =>
  (value, where) =>
    value === undefined || value === null ? undefined : check(value, where);
const list =
  (check: Check): Check =>
  (value, where) =>
    Array.isArray(value)
      ? value.map((entry, i) => check(entry, `${where}[${i}]`))
      : fail(value, where, "a list");
const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, where) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return fail(value, where, "an object");
    }
    const given = value as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(fields).map(([name, check]) => [name, check(given[name], `${where}: ${name}`)]),
    );
  };
const map =
  (check: Check): Check =>
  (value, where) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(
          Object.entries(value).map(([key, entry]) => [key, check(entry, `${where}: ${key}`)]),
        )
      : fail(value, where, "an object");
const oneOf =
  (...names: string[]): Check =>
  (value, where) =>
    names.includes(value as string) ? value : fail(value, where, names.join(" or "));
const floats: Check = (value, where) => Float32Array.from(list(number)(value, where) as number[]);

const ROW: Check = object({
  kind: oneOf("key", "value", "attention"),
  layer: count,
  row: count,
  head: count,
  position: count,
  values: floats,
} satisfies Record<keyof RecordedRow, Check>);

const STEP: Check = object({
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
    kvRowsComputed: count,
    kvRowsReused: count,
  } satisfies Record<keyof RecordedStep["cost"], Check>),
  candidates: list(list(object({ id: count, probability: number }))),
  rows: list(ROW),
  largestChange: number,
} satisfies Record<keyof RecordedStep, Check>);

const perRow = list(optional(number));

const TRACE: Check = object({
  format: text,
  date: text,
  model: text,
  config: object({
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
      scaling: optional(
        object({ factor: number, lowFreqFactor: number, highFreqFactor: number, originalMaxSeqLen: count }),
      ),
    }),
    tieWordEmbeddings: flag,
  } satisfies Record<keyof Trace["config"], Check>),
  backend: text,
  prompts: list(object({ text, ids: list(count) })),
  maxGenLen: count,
  temperature: number,
  topP: number,
  seed: count,
  layers: list(count),
  words: map(text),
  turns: list(
    object({
      cached: optional(STEP),
      uncached: optional(STEP),
      differences: perRow,
      whole: optional(object({ next: list(count), cached: perRow, uncached: perRow })),
    } satisfies Record<keyof Turn, Check>),
  ),
} satisfies Record<keyof Trace, Check>);
