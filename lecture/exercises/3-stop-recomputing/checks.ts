import type { Llama } from "../../../src/index.js";
import type { KVCache } from "../../../src/model/kv-cache.js";
import { AnswerError, type Checks, must } from "../exercise.js";
import { tinyLlama } from "../tiny-llama.js";

const PROMPT = [3, 14, 15, 9, 26];
const COUNT = 8;

/** Runs the answer; returns its tokens and the number of positions in each of its calls. */
function watch(greedy: (model: Llama, prompt: readonly number[], count: number) => number[]) {
  const model = tinyLlama();
  const calls: number[] = [];
  const forward = model.forward.bind(model);
  model.forward = (inputIds: readonly (readonly number[])[], cache?: KVCache) => {
    calls.push(inputIds[0]!.length);
    return forward(inputIds, cache);
  };
  try {
    return { tokens: greedy(model, PROMPT, COUNT), calls };
  } catch (error) {
    const { message } = error as Error;
    throw new AnswerError(
      `Your calls passed ${calls.join(", ")} positions; the last one failed: ${message}. With the cache, pass only tokens ` +
        "that are not in it yet: every token you pass is appended to the cache.",
    );
  } finally {
    model.dispose();
  }
}

function expectedTokens(): number[] {
  const model = tinyLlama();
  const tokens = [...PROMPT];
  for (let i = 0; i < COUNT; i++) {
    const output = model.forward([tokens]);
    const logits = output.dataSync<"float32">();
    tokens.push(logits.indexOf(Math.max(...logits)));
    output.dispose();
  }
  model.dispose();
  return tokens.slice(PROMPT.length);
}

/** The checks of exercise 3. */
export const checks: Checks<typeof import("./solution.js")> = ({ greedy }) => [
  {
    title: "the tokens are the same as without the cache",
    run: () => {
      const [actual, expected] = [watch(greedy).tokens, expectedTokens()];
      must(
        `${actual}` === `${expected}`,
        `The tokens must be ${expected}, got ${actual}. ` +
          (actual[0] === expected[0]
            ? "The first one is correct, so check the input of the second step: it must be only the token just " +
              "generated, and the cache must be the same one in every step."
            : "Even the first one is wrong: the first step must pass the whole prompt, because the cache is empty."),
      );
    },
  },
  {
    title: "no key is computed twice",
    run: () => {
      const { calls } = watch(greedy);
      const sum = calls.reduce((total, T) => total + T, 0);
      const needed = PROMPT.length + COUNT - 1;
      must(
        sum === needed,
        `Your calls passed ${calls.join(" + ")} = ${sum} positions, and a key is computed for each. ${needed} positions ` +
          `are enough: ${PROMPT.length} of the prompt, then one per step. Give the cache to model.forward, and pass ` +
          "only tokens from cache.length on.",
      );
    },
  },
];
