import { BUGS } from "../bugs.js";

/** Lines of source code: from the first that contains `from` to the next one that contains `to`. */
export interface CodeLink {
  /** Caption of the link. */
  readonly title: string;
  /** Path from the repository's root. */
  readonly file: string;
  readonly from: string;
  /** A leading ^ matches the start of a line. Without `to`, the link is one line. */
  readonly to?: string;
}

const MODEL = "src/model/";
const LOOP = "src/generation/steps.ts";
const ATTENTION = `${MODEL}attention.ts`;

/** The page's links to code. Lines are found by their text, so that a test detects broken links. */
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
    title: "The prompt's token, or the model's",
    file: "src/generation/sequence.ts",
    from: "  advance(curPos",
    to: "    const id = sample()",
  },
  block: {
    title: "The residual stream",
    file: `${MODEL}transformer-block.ts`,
    from: "    const h = tf.tidy",
    to: "    h.dispose",
  },
  rmsNorm: { title: "RMSNorm", file: `${MODEL}rms-norm.ts`, from: "    const meanSquare", to: "    return" },
  queries: { title: "Queries, rotated", file: ATTENTION, from: "const q =" },
  newKeys: {
    title: "Keys and values of this call",
    file: ATTENTION,
    from: "const k =",
    to: "const v =",
  },
  rotate: {
    title: "Rotary embedding",
    file: `${MODEL}rotary-embedding.ts`,
    from: "export function rotate(",
    to: "  return",
  },
  switch: {
    title: "The only difference",
    file: ATTENTION,
    from: "// The KV cache:",
    to: "const [keys, values]",
  },
  weights: {
    title: "Attention weights",
    file: `${MODEL}heads.ts`,
    from: "export function attentionWeights(",
    to: "  return tf.softmax",
  },
  mixed: { title: "Attention weights × values", file: ATTENTION, from: "const mixed =" },
  mask: {
    title: "The causal mask",
    file: `${MODEL}positions.ts`,
    from: "function causalMask(",
    to: "  return",
  },
  append: {
    title: "Writing into the cache",
    file: `${MODEL}kv-cache.ts`,
    from: "  append(",
    to: "    return [",
  },
  capacity: {
    title: "Allocating the cache",
    file: `${MODEL}kv-cache.ts`,
    from: "  constructor(heads",
    to: "    this.values",
  },
  feedForward: {
    title: "The feed-forward layer",
    file: `${MODEL}feed-forward.ts`,
    from: "    const inner",
    to: "    return",
  },
  loop: { title: "prevPos and curPos", file: LOOP, from: "    let prevPos = ", to: "      curPos++" },
  sampling: {
    title: "Sampling a token",
    file: "src/generation/sampling.ts",
    from: "export function sampleTopP",
    to: "  return ids.find",
  },
  compare: {
    title: "Comparing the modes",
    file: "src/generation/compare.ts",
    from: "    while (!difference)",
    to: "  return { steps",
  },
  stepCost: {
    title: "Cost of a step",
    file: "src/cost/cost.ts",
    from: "  const linear =",
    to: "    kvPairsReused",
  },
  cacheBytes: {
    title: "Bytes of the cache",
    file: "src/cost/cost.ts",
    from: "export function cacheBytes",
    to: "  return",
  },
  predict: {
    title: "Peak memory",
    file: "src/cost/predicted-memory.ts",
    from: "export function predictMemory",
    to: "    activations: ",
  },
  inChunks: {
    title: "A prompt in chunks",
    file: `${MODEL}chunks.ts`,
    from: "  const { length, prefillChunk }",
    to: "  } catch",
  },
  findBlocks: {
    title: "Blocks for the next positions",
    file: "src/cache/paged-cache.ts",
    from: "  findBlocks(T",
    to: "      while",
  },
  blockPool: {
    title: "Reference counts",
    file: "src/cache/block-pool.ts",
    from: "  /** Takes a free block",
    to: "    this.free.push(block)",
  },
  slotOf: {
    title: "The slot of a position",
    file: "src/cache/sliding-window-cache.ts",
    from: "export const slotOf",
    to: "  position < sinks",
  },
  windowMask: {
    title: "The window’s mask",
    file: "src/cache/sliding-window-cache.ts",
    from: "function windowMask(",
    to: "  return mask",
  },
  codes: {
    title: "Rounding to codes",
    file: "src/cache/codes.ts",
    from: "  write(x",
    to: "      const perGroup",
  },
  schedule: {
    title: "Who takes part in the next step",
    file: "src/generation/scheduler.ts",
    from: "      const reserved =",
    to: "        running.push(one)",
  },
  raggedStep: {
    title: "A step at several positions",
    file: "src/cache/ragged-batch.ts",
    from: "  const rows = caches",
    to: "  return { positions",
  },
  speculate: {
    title: "Guess, check, truncate",
    file: "src/generation/speculative.ts",
    from: "      const guessed = await",
    to: "      draft.truncate",
  },
  judge: {
    title: "Up to the first wrong guess",
    file: "src/generation/speculative.ts",
    from: "  for (const [i, values] of logits",
    to: "  return { guessed",
  },
  asPromised: {
    title: "Judging a cache by its promise",
    file: "src/generation/compare-caches.ts",
    from: "export const isAsPromised",
    to: "): boolean => (bound > 0",
  },
  bugs: { title: "The planted bugs", file: "lecture/bugs.ts", from: "export const BUGS", to: "      )," },
} as const satisfies Record<string, CodeLink>;

/** A key of `CODE`, or a planted bug. */
export type CodeId = keyof typeof CODE | `bug:${string}`;

/** The code of a link's id; `bug:ID` is a planted bug. */
export function codeLink(id: string): CodeLink {
  const bug = BUGS.find((one) => `bug:${one.id}` === id);
  if (!bug) return CODE[id as keyof typeof CODE];
  return { title: bug.title, file: CODE.bugs.file, from: `id: "${bug.id}"`, to: "^  }," };
}

/** True if an id has code. */
export const isCodeId = (id: string): id is CodeId =>
  Object.hasOwn(CODE, id) || BUGS.some((bug) => id === `bug:${bug.id}`);

/** First and last line of a link, counted from 1; undefined if the source has no such lines. */
export function findLines(source: string, { from, to }: CodeLink): [first: number, last: number] | undefined {
  const lines = source.split("\n");
  const first = lines.findIndex((line) => line.includes(from));
  const last = to === undefined ? first : lines.findIndex((line, i) => i > first && holds(line, to));
  return first < 0 || last < 0 ? undefined : [first + 1, last + 1];
}

const holds = (line: string, text: string): boolean =>
  text.startsWith("^") ? line.startsWith(text.slice(1)) : line.includes(text);
