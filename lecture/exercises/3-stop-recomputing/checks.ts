import type { KVCache } from "../../../src/model/kv-cache.js";
import type { Llama } from "../../../src/index.js";
import { type Checks, must, NotYet } from "../exercise.js";
import { tinyLlama } from "../tiny-llama.js";

const PROMPT = [3, 14, 15, 9, 26];
const COUNT = 8;

/** The tokens that the answer generates, and how many positions it fed in each call. */
function watch(greedy: (model: Llama, prompt: readonly number[], count: number) => number[]) {
  const model = tinyLlama();
  const fed: number[] = [];
  const forward = model.forward.bind(model);
  model.forward = (tokens: readonly (readonly number[])[], cache?: KVCache) => {
    fed.push(tokens[0]!.length);
    return forward(tokens, cache);
  };
  try {
    return { tokens: greedy(model, PROMPT, COUNT), fed };
  } catch (error) {
    const { message } = error as Error;
    throw new NotYet(
      `Your steps fed ${fed.join(", ")} positions, then came an error: ${message}. With a cache, a step may only feed what ` +
        "the cache does not hold yet: it puts all that is fed behind what it has.",
    );
  } finally {
    model.dispose();
  }
}

function expectedTokens(): number[] {
  const model = tinyLlama();
  const tokens = [...PROMPT];
  for (let i = 0; i < COUNT; i++) {
    const logits = model.forward([tokens]);
    const scores = logits.dataSync<"float32">();
    tokens.push(scores.indexOf(Math.max(...scores)));
    logits.dispose();
  }
  model.dispose();
  return tokens.slice(PROMPT.length);
}

export const checks: Checks<typeof import("./start.js")> = ({ greedy }) => [
  {
    title: "the tokens are those of the loop without a cache",
    run: () => {
      const [seen, expected] = [watch(greedy).tokens, expectedTokens()];
      must(
        `${seen}` === `${expected}`,
        `Your tokens are ${seen}, expected ${expected}. ` +
          (seen[0] === expected[0]
            ? "The first is right, so look at what the second step feeds: the token just chosen, and nothing that is in " +
              "the cache already; and the cache has to be the same one in every step."
            : "The first is wrong already: the first step has to feed the whole prompt, for nothing of it is in the cache."),
      );
    },
  },
  {
    title: "no position's key is computed twice",
    run: () => {
      const { fed } = watch(greedy);
      const sum = fed.reduce((total, T) => total + T, 0);
      const needed = PROMPT.length + COUNT - 1;
      must(
        sum === needed,
        `Your steps fed ${fed.join(" + ")} = ${sum} positions, and each fed position's key is computed. ` +
          `${needed} positions have to be fed: ${PROMPT.length} of the prompt, then one a step. ` +
          "Pass the cache to model.forward, and feed only what it does not hold yet (cache.length knows).",
      );
    },
  },
];
