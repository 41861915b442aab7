import { largestDifference } from "../../src/generation/compare.js";
import { sharePrefix } from "../../src/generation/shared-prefix.js";
import { steps } from "../../src/generation/steps.js";
import { tokenString } from "../trace-file.js";
import { BLOCK_SIZES } from "./settings.js";
import { greedy, type Subject } from "./subject.js";

const PREFIX = "Once upon a time there was a king who";
const ENDS = [" had a golden", " lived in", " loved his"];

/** The block tables of all sequences at one moment. */
export interface BlockTables {
  /** Positions stored for each sequence. */
  readonly length: number;
  /** Block numbers, one list for each sequence. */
  readonly tables: readonly (readonly number[])[];
  /** Blocks in use, those of the prefix included. */
  readonly used: number;
  /** Blocks that several tables refer to, by their numbers. */
  readonly shared: readonly number[];
}

/** Three requests with one prefix in a paged cache. */
export interface SharedBlocks {
  readonly blockSize: number;
  /** Blocks of the pool. */
  readonly blocks: number;
  /** Tokens of the common prefix. */
  readonly prefix: number;
  /** The tokens of each request, prompt and generated ones. */
  readonly tokens: readonly (readonly string[])[];
  /** After the prefix was computed, and after each step. */
  readonly moments: readonly BlockTables[];
  /** Largest difference from the plain cache's logits in any step. */
  readonly largestDifference: number;
}

/** Generates from three prompts that share a prefix, in a paged cache and in the plain one. */
export async function sharedBlocks({ model, tokenizer }: Subject, choice: number): Promise<SharedBlocks> {
  const blockSize = BLOCK_SIZES[choice]!;
  const prompts = ENDS.map((end) => tokenizer.encode(PREFIX + end));
  const options = greedy(8);
  const shared = sharePrefix(model, prompts, blockSize, options);
  const { cache, length: prefix } = shared;
  const { pool } = cache.memory;
  const prefixTable = [...cache.tables[0]!]; // keeps a reference to its blocks
  const moments: BlockTables[] = [];
  const moment = () => {
    const tables = cache.tables.map((table) => [...table]);
    const all = [...new Set([...prefixTable, ...tables.flat()])];
    moments.push({
      length: cache.length,
      tables,
      used: pool.used,
      shared: all.filter((block) => pool.isShared(block)),
    });
  };
  const logits: Record<"paged" | "plain", readonly Float32Array[]> = { paged: [], plain: [] };
  const run = (which: keyof typeof logits, own: object) =>
    steps(model, prompts, { ...options, ...own, onLogits: (latest) => void (logits[which] = latest) });
  const ids = prompts.map((prompt) => prompt.slice());
  let largest = 0;
  const [paged, plain] = [run("paged", { cache }), run("plain", {})];
  try {
    moment();
    for await (const { curPos, next } of paged) {
      await plain.next();
      moment();
      largest = Math.max(largest, largestDifference(logits.paged, logits.plain));
      for (const [i, { id }] of next.entries()) ids[i]![curPos] = id;
    }
    return {
      blockSize,
      blocks: pool.blocks,
      prefix,
      tokens: ids.map((sequence) => sequence.map((id) => tokenString(tokenizer, id))),
      moments,
      largestDifference: largest,
    };
  } finally {
    await paged.return();
    await plain.return();
    cache.dispose();
    shared.dispose();
  }
}
