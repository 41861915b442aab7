import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import { BUGS } from "../bugs.js";
import { type CodeId, isCodeId } from "./code-links.js";
import type { RunOptions } from "./protocol.js";

/** The chapters in order: id in links, titles, and the most relevant code. */
export const CHAPTERS = [
  { id: "tokens", title: "Tokens", short: "Tokens", code: "ragged" },
  { id: "layer", title: "One layer", short: "One layer", code: "block" },
  { id: "without", title: "Attention without a cache", short: "Without a cache", code: "switch" },
  { id: "with", title: "Attention with a cache", short: "With it", code: "append" },
  { id: "loop", title: "The loop", short: "The loop", code: "loop" },
  { id: "bill", title: "The bill", short: "The bill", code: "cacheBytes" },
  { id: "table", title: "The table", short: "The table", code: "stepCost" },
  { id: "break", title: "Break it", short: "Break it", code: "bugs" },
] as const;

/** Id of a chapter in links. */
export type ChapterId = (typeof CHAPTERS)[number]["id"];

/** The most relevant code of a view: the chapter's, or the planted bug's. */
export const codeOf = ({ chapter, bug }: Pick<View, "chapter" | "bug">): CodeId =>
  chapter === "break" && bug ? `bug:${bug}` : CHAPTERS.find(({ id }) => id === chapter)!.code;

/** The modes that the page shows. */
export type ShownModes = "both" | "cached" | "uncached";

/** Quantity in the curve: milliseconds, operations, or K/V entries computed. */
type Metric = "ms" | "flops" | "kv";

/** The model and sizes whose memory the bill shows. */
interface BillOf {
  /** A key of PRESETS; any other name stands for the running model. */
  readonly model: string;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
}

/** Ranges of the bill's sliders. */
export const BILL_LIMITS = { batch: [1, 64], input: [16, 4096], output: [1, 512] } as const;

/** The page's visible state. All of it is in the URL, so that slides can link to it. */
export interface View extends RunOptions {
  readonly chapter: ChapterId;
  /** Step number, from 1. */
  readonly step: number;
  readonly layer: number;
  /** Query head. */
  readonly head: number;
  /** Index of the sequence in the batch. */
  readonly sequence: number;
  readonly mode: ShownModes;
  /** The code panel: "chapter" for the chapter's code, "none", or "" for the chapter's in wide windows only. */
  readonly code: CodeId | "" | "none" | "chapter";
  readonly curve: Metric;
  readonly bill: BillOf;
}

/** Values of everything that a link does not set. */
export const DEFAULT_VIEW: View = {
  chapter: "tokens",
  step: 1,
  layer: 0,
  head: 0,
  sequence: 0,
  mode: "both",
  code: "",
  curve: "ms",
  bill: { model: "llama-3.2-1b", batch: 16, input: 256, output: 32 },
  prompts: LECTURE_PROMPTS,
  maxGenLen: 32,
  temperature: 0,
  topP: 0.9,
  seed: 0,
  bug: "",
};

/** Parses a URL fragment; missing and invalid values are those of `DEFAULT_VIEW`. */
export function parseView(hash: string): View {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (name: keyof View, min: number, whole = true): number => {
    const text = given.get(name);
    const value = Number(text);
    const good = text !== null && text !== "" && value >= min && (!whole || Number.isSafeInteger(value));
    return good && Number.isFinite(value) ? value : (DEFAULT_VIEW[name] as number);
  };
  const oneOf = <T extends string>(name: keyof View, names: readonly T[]): T =>
    names.find((one) => one === given.get(name)) ?? (DEFAULT_VIEW[name] as T);
  const prompts = given.getAll("prompt");
  const code = given.get("code") ?? "";
  return {
    chapter: oneOf(
      "chapter",
      CHAPTERS.map(({ id }) => id),
    ),
    step: number("step", 1),
    layer: number("layer", 0),
    head: number("head", 0),
    sequence: number("sequence", 0),
    mode: oneOf("mode", ["both", "cached", "uncached"]),
    code: code === "none" || code === "chapter" || isCodeId(code) ? code : DEFAULT_VIEW.code,
    curve: oneOf("curve", ["ms", "flops", "kv"]),
    bill: parseBill(given.get("bill")),
    prompts: prompts.length > 0 ? prompts : DEFAULT_VIEW.prompts,
    maxGenLen: number("maxGenLen", 1),
    temperature: number("temperature", 0, false),
    topP: number("topP", 0.01, false),
    seed: number("seed", 0),
    bug: oneOf("bug", ["", ...BUGS.map(({ id }) => id)]),
  };
}

/** Parses "llama-3.2-3b,1,4096,32"; the default for anything else, or outside the sliders' ranges. */
function parseBill(text: string | null): BillOf {
  const [, model, ...sizes] = /^(.+),(\d+),(\d+),(\d+)$/.exec(text ?? "") ?? [];
  const [batch, input, output] = sizes.map(Number);
  const fits = Object.values(BILL_LIMITS).every(
    ([min, max], i) => Number(sizes[i]) >= min && Number(sizes[i]) <= max,
  );
  return model && fits ? { model, batch: batch!, input: input!, output: output! } : DEFAULT_VIEW.bill;
}

const billToText = ({ model, batch, input, output }: BillOf): string => [model, batch, input, output].join();

/** URL fragment of a view: chapter, step, and values that differ from `DEFAULT_VIEW`. */
export function viewToHash(view: View): string {
  const out = new URLSearchParams({ chapter: view.chapter, step: String(view.step) });
  for (const name of [
    "layer",
    "head",
    "sequence",
    "mode",
    "code",
    "curve",
    "maxGenLen",
    "temperature",
    "topP",
    "seed",
    "bug",
  ] as const) {
    if (view[name] !== DEFAULT_VIEW[name]) out.set(name, String(view[name]));
  }
  if (billToText(view.bill) !== billToText(DEFAULT_VIEW.bill)) out.set("bill", billToText(view.bill));
  if (view.prompts.join("\0") !== DEFAULT_VIEW.prompts.join("\0")) {
    for (const prompt of view.prompts) out.append("prompt", prompt);
  }
  return `#${out}`;
}

/** The view with another chapter, bug or step; an open code panel shows the new chapter's code. */
export function navigate(view: View, change: Pick<Partial<View>, "chapter" | "bug" | "step">): View {
  const follows = view.code !== "" && view.code !== "none";
  return { ...view, ...change, code: follows ? "chapter" : view.code };
}
