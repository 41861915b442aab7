import { KVCache } from "../../../src/model/kv-cache.js";
import type { Llama } from "../../../src/index.js";

/** Continues a prompt by `count` tokens, always the likeliest. */
export function greedy(model: Llama, prompt: readonly number[], count: number): number[] {
  const tokens = [...prompt];
  const cache = new KVCache(model.config, 1, prompt.length + count);
  for (let i = 0; i < count; i++) {
    const logits = model.forward([tokens.slice(cache.length)], cache); // only what the cache does not hold yet
    const scores = logits.dataSync<"float32">();
    logits.dispose();
    tokens.push(scores.indexOf(Math.max(...scores)));
  }
  cache.dispose();
  return tokens.slice(prompt.length);
}
