import { cacheKind } from "../../src/cache/cache-kind.js";
import { slotOf } from "../../src/cache/sliding-window-cache.js";
import { type CacheComparison, compareCaches } from "../../src/generation/compare-caches.js";
import { steps } from "../../src/generation/steps.js";
import { tokenString } from "../trace-file.js";
import { RING, WINDOWS } from "./settings.js";
import { greedy, type Subject } from "./subject.js";

const PROMPT = "Once upon a time";

/** The ring after one step. */
export interface RingState {
  /** The first position of the step, and one past its last. */
  readonly prevPos: number;
  readonly curPos: number;
  /** The position that each slot holds; undefined before its first. */
  readonly positions: readonly (number | undefined)[];
  /** True for the slots that the newest query attends to. */
  readonly visible: readonly boolean[];
}

/** A generation with a small ring. */
export interface Ring {
  readonly tokens: readonly string[];
  /** The tokens that the plain cache gives. */
  readonly plain: readonly string[];
  readonly states: readonly RingState[];
}

/** Generates with a sliding window of a few positions, and records its ring in every step. */
export async function ring({ model, tokenizer }: Subject): Promise<Ring> {
  const ids = tokenizer.encode(PROMPT);
  const options = greedy(32);
  const kind = cacheKind({ cache: "sliding", ...RING });
  const cache = model.createCache(1, ids.length + options.maxGenLen, kind);
  const slots = RING.sinks + RING.window + RING.prefillChunk;
  let visible: boolean[] = [];
  const begin = cache.begin!.bind(cache);
  cache.begin = (T) => {
    const mask = begin(T); // [T, S]
    const S = mask?.shape[1] ?? Math.min(cache.length + T, slots);
    const newest = mask?.dataSync().slice(-S);
    visible = Array.from({ length: S }, (_, slot) => (newest?.[slot] ?? 0) === 0);
    return mask;
  };
  const positions: (number | undefined)[] = Array.from({ length: slots });
  const states: RingState[] = [];
  const all = [...ids];
  try {
    let prevPos = 0;
    for await (const { curPos, next } of steps(model, [ids], { ...options, cache })) {
      for (let p = prevPos; p < curPos; p++) positions[slotOf(p, RING.sinks, slots)] = p;
      states.push({ prevPos, curPos, positions: [...positions], visible });
      all.push(next[0]!.id);
      prevPos = curPos;
    }
  } finally {
    cache.dispose();
  }
  const plain = [...ids];
  for await (const { next } of steps(model, [ids], options)) plain.push(next[0]!.id);
  const text = (tokens: readonly number[]) => tokens.map((id) => tokenString(tokenizer, id));
  return { tokens: text(all), plain: text(plain), states };
}

/** Compares a sliding window with the plain cache. @param choice index into `WINDOWS` */
export function windowLoss({ model, tokenizer }: Subject, choice: number): Promise<CacheComparison> {
  const kind = cacheKind({ cache: "sliding", ...WINDOWS[choice]! });
  return compareCaches(model, [tokenizer.encode(PROMPT)], kind, greedy(64));
}
