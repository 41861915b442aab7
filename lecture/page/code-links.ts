import { BUGS } from "../bugs.js";

/** A place in the sources: from the line that holds `from` to the one after it that holds `to`. */
export interface CodeLink {
  /** What is done there. */
  readonly title: string;
  /** From the repository's root. */
  readonly file: string;
  readonly from: string;
  /** Without it, one line. */
  readonly to?: string; // with ^, a line that begins so
}

const MODEL = "src/model/";
const LOOP = "src/generation/steps.ts";
const ATTENTION = `${MODEL}attention.ts`;

/** What the page links to. Lines are found by their text, so that a link that has rotted is found by a test. */
export const CODE = {
  bos: {
    title: "Text to token ids",
    file: "src/tokenizer/tokenizer.ts",
    from: "  encode(",
    to: "    return ids;",
  },
  prompts: {
    title: "The lecture's prompts",
    file: "scripts/lecture-prompts.ts",
    from: "export const",
    to: "];",
  },
  ragged: {
    title: "A prompt's own token, or the model's",
    file: LOOP,
    from: "  advance(curPos",
    to: "    const id = choose",
  },
  forward: {
    title: "Ids to scores",
    file: `${MODEL}llama.ts`,
    from: "  scores(inputs",
    to: "    return logits;",
  },
  block: {
    title: "The residual stream",
    file: `${MODEL}transformer-block.ts`,
    from: "    const h = tf.tidy",
    to: "    h.dispose",
  },
  rmsNorm: { title: "RMSNorm", file: `${MODEL}rms-norm.ts`, from: "    const meanSquare", to: "    return" },
  queries: { title: "Queries, rotated", file: ATTENTION, from: "const queries =" },
  newKeys: {
    title: "Keys and values of the fed positions",
    file: ATTENTION,
    from: "const newKeys =",
    to: "const newValues =",
  },
  rotate: {
    title: "Rotary embedding",
    file: `${MODEL}rotary-embedding.ts`,
    from: "export function rotate(",
    to: "  return",
  },
  switch: {
    title: "The whole difference",
    file: ATTENTION,
    from: "// The whole difference",
    to: "const [keys, values]",
  },
  scores: {
    title: "Scores, mask and softmax",
    file: ATTENTION,
    from: "const grouped =",
    to: "const attention =",
  },
  grouped: { title: "Grouped heads", file: ATTENTION, from: "// The H/K query heads", to: "const grouped =" },
  mixed: { title: "Weights times values", file: ATTENTION, from: "const mixed =" },
  mask: { title: "The causal mask", file: `${MODEL}llama.ts`, from: "function causalMask(", to: "  return" },
  append: {
    title: "Writing into the cache",
    file: `${MODEL}kv-cache.ts`,
    from: "  append(",
    to: "    return [",
  },
  room: {
    title: "Room for L positions",
    file: `${MODEL}kv-cache.ts`,
    from: "  constructor(rows",
    to: "    this.values",
  },
  feedForward: {
    title: "The feed-forward layer",
    file: `${MODEL}feed-forward.ts`,
    from: "    const inside",
    to: "    return",
  },
  loop: { title: "prevPos and curPos", file: LOOP, from: "    let prevPos = ", to: "      curPos++" },
  sampling: {
    title: "Choosing a token",
    file: "src/generation/sampling.ts",
    from: "export function sampleTopP",
    to: "  return nucleus",
  },
  compare: {
    title: "The verdict",
    file: "src/generation/compare.ts",
    from: "    while (!difference)",
    to: "  return { steps",
  },
  stepCost: {
    title: "What a step costs",
    file: "src/cost/cost.ts",
    from: "  const linear =",
    to: "    kvRowsReused",
  },
  cacheBytes: {
    title: "Bytes of a cache",
    file: "src/cost/cost.ts",
    from: "export function cacheBytes",
    to: "  return",
  },
  predict: {
    title: "Peak memory",
    file: "src/cost/predicted-memory.ts",
    from: "export function predictMemory",
    to: "    activations: kv",
  },
  bugs: { title: "The bugs, planted", file: "lecture/bugs.ts", from: "export const BUGS", to: "      )," },
} as const satisfies Record<string, CodeLink>;

/** A key of `CODE`, or a planted bug. */
export type CodeId = keyof typeof CODE | `bug:${string}`;

/** What a link's id stands for; `bug:ID` is a planted bug. */
export function codeLink(id: string): CodeLink {
  const bug = BUGS.find((one) => `bug:${one.id}` === id);
  if (!bug) return CODE[id as keyof typeof CODE];
  return { title: bug.title, file: CODE.bugs.file, from: `id: "${bug.id}"`, to: "^  }," };
}

/** Whether there is such code. */
export const isCodeId = (id: string): id is CodeId =>
  Object.hasOwn(CODE, id) || BUGS.some((bug) => id === `bug:${bug.id}`);

/** The first and last line of a link, counted from 1; undefined where the source has no such place. */
export function findLines(source: string, { from, to }: CodeLink): [first: number, last: number] | undefined {
  const lines = source.split("\n");
  const first = lines.findIndex((line) => line.includes(from));
  const last = to === undefined ? first : lines.findIndex((line, i) => i > first && holds(line, to));
  return first < 0 || last < 0 ? undefined : [first + 1, last + 1];
}

const holds = (line: string, text: string): boolean =>
  text.startsWith("^") ? line.startsWith(text.slice(1)) : line.includes(text);
