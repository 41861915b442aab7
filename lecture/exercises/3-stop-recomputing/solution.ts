import type { Llama } from "../../../src/index.js";
import { KVCache } from "../../../src/model/kv-cache.js";

/** Continues a prompt by `count` tokens, greedily. */
export function greedy(model: Llama, prompt: readonly number[], count: number): number[] {
  const tokens = [...prompt];
  const cache = new KVCache(model.config, 1, prompt.length + count);
  for (let i = 0; i < count; i++) {
    // BEGIN SOLUTION
    // START: const output = model.forward([tokens]); // the whole prefix, without the cache
    const output = model.forward([tokens.slice(cache.length)], cache); // only what is not in the cache yet
    // END SOLUTION
    const logits = output.dataSync<"float32">();
    output.dispose();
    tokens.push(logits.indexOf(Math.max(...logits)));
  }
  cache.dispose();
  return tokens.slice(prompt.length);
}
