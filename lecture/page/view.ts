import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import { BUGS } from "../bugs.js";
import { type CodeId, isCodeId } from "./code-links.js";
import type { RunOptions } from "./protocol.js";

/** The chapters, in order: what links call them, what the page does, and the code that belongs to each most. */
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

/** Names a chapter in links. */
export type ChapterId = (typeof CHAPTERS)[number]["id"];

/** The code that belongs most to what is looked at: the chapter's, or the planted bug's. */
export const codeOf = ({ chapter, bug }: Pick<View, "chapter" | "bug">): CodeId =>
  chapter === "break" && bug ? `bug:${bug}` : CHAPTERS.find(({ id }) => id === chapter)!.code;

/** Which modes are shown. */
export type ShownModes = "both" | "cached" | "uncached";

/** What a step is measured by in the curve: milliseconds, operations, or K/V rows computed. */
export type Metric = "ms" | "flops" | "rows";

/** The cache that the bill is made out for. */
export interface BillOf {
  /** A key of PRESETS; any other name is the model that runs. */
  readonly model: string;
  readonly batch: number;
  readonly input: number;
  readonly output: number;
}

/** From what to what the bill's sliders go. */
export const BILL_LIMITS = { batch: [1, 64], input: [16, 4096], output: [1, 512] } as const;

/** What the reader looks at: all of it is in the page's link, so that a slide can point to a moment. */
export interface View extends RunOptions {
  readonly chapter: ChapterId;
  /** Counts from 1, like iterations. */
  readonly step: number;
  readonly layer: number;
  /** A query head. */
  readonly head: number;
  /** Of the batch. */
  readonly row: number;
  readonly mode: ShownModes;
  /** The code beside the page: "chapter" for the chapter's own, "none", or "": the chapter's where there is room. */
  readonly code: CodeId | "" | "none" | "chapter";
  readonly curve: Metric;
  readonly bill: BillOf;
}

/** Where a link says nothing else. */
export const DEFAULT_VIEW: View = {
  chapter: "tokens",
  step: 1,
  layer: 0,
  head: 0,
  row: 0,
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

/** Reads a link's fragment; what it lacks, or has no meaning, is as in `DEFAULT_VIEW`. */
export function parseView(hash: string): View {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (name: keyof View, least: number, whole = true): number => {
    const text = given.get(name);
    const value = Number(text);
    const good = text !== null && text !== "" && value >= least && (!whole || Number.isSafeInteger(value));
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
    row: number("row", 0),
    mode: oneOf("mode", ["both", "cached", "uncached"]),
    code: code === "none" || code === "chapter" || isCodeId(code) ? code : DEFAULT_VIEW.code,
    curve: oneOf("curve", ["ms", "flops", "rows"]),
    bill: parseBill(given.get("bill")),
    prompts: prompts.length > 0 ? prompts : DEFAULT_VIEW.prompts,
    maxGenLen: number("maxGenLen", 1),
    temperature: number("temperature", 0, false),
    topP: number("topP", 0.01, false),
    seed: number("seed", 0),
    bug: oneOf("bug", ["", ...BUGS.map(({ id }) => id)]),
  };
}

/** "llama-3.2-3b,1,4096,32"; the default where it is anything else, or the sliders do not go so far. */
function parseBill(text: string | null): BillOf {
  const [, model, ...sizes] = /^(.+),(\d+),(\d+),(\d+)$/.exec(text ?? "") ?? [];
  const [batch, input, output] = sizes.map(Number);
  const fits = Object.values(BILL_LIMITS).every(
    ([least, greatest], i) => Number(sizes[i]) >= least && Number(sizes[i]) <= greatest,
  );
  return model && fits ? { model, batch: batch!, input: input!, output: output! } : DEFAULT_VIEW.bill;
}

const billToText = ({ model, batch, input, output }: BillOf): string => [model, batch, input, output].join();

/** The link's fragment for a view: the chapter and step, and what is not as in `DEFAULT_VIEW`. */
export function viewToHash(view: View): string {
  const out = new URLSearchParams({ chapter: view.chapter, step: String(view.step) });
  for (const name of [
    "layer",
    "head",
    "row",
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

/** The same view of another chapter or with another bug: open code follows, as the chapter's own. */
export function turnTo(view: View, change: Pick<Partial<View>, "chapter" | "bug" | "step">): View {
  const follows = view.code !== "" && view.code !== "none";
  return { ...view, ...change, code: follows ? "chapter" : view.code };
}
