import { type Checks, must } from "../exercise.js";
import { tinyLlama } from "../tiny-llama.js";
import { KVCache } from "../../../src/model/kv-cache.js";
import { type Llama, steps } from "../../../src/index.js";

const PROMPTS = [
  [5, 6, 7],
  [8, 9, 10, 11, 12, 13],
  [1, 2, 0, 4],
];

/** The checks of exercise 7. */
export const checks: Checks<typeof import("./solution.js")> = ({ firstCurPos, nextTokens }) => [
  {
    title: "the loop starts at the shortest prompt's length",
    run: () => {
      const actual = firstCurPos(PROMPTS);
      must(
        actual === 3,
        `For prompts of 3, 6 and 4 tokens it must be 3, got ${actual}: prefill can pass only positions that every ` +
          "prompt has. With more, the short prompts would need tokens that are not generated yet.",
      );
    },
  },
  {
    title: "a sequence inside its prompt keeps its own token",
    run: () => {
      const actual = nextTokens(PROMPTS, 3, [50, 51, 52]);
      must(
        `${actual}` === "50,11,4",
        `At position 3 the model sampled 50, 51, 52. Sequences 1 and 2 are still inside their prompts, so the tokens ` +
          `must be 50,11,4, got ${actual}.`,
      );
    },
  },
  {
    title: "token 0 of a prompt is a token",
    run: () => {
      const actual = nextTokens(PROMPTS, 2, [50, 51, 52]);
      must(
        `${actual}` === "7,10,0",
        `At position 2 the prompts have 7,10,0, got ${actual}. Id 0 is a token like any other (|| treats it as missing).`,
      );
    },
  },
  {
    title: "each sequence is the same as alone",
    run: async () => {
      const model = tinyLlama();
      const batch = generate(model, firstCurPos, nextTokens);
      const options = {
        maxGenLen: 5,
        temperature: 0,
        topP: 1,
        seed: 0,
        useCache: true,
        stopIds: new Set<number>(),
      };
      for (const [i, prompt] of PROMPTS.entries()) {
        const alone: number[] = [...prompt];
        for await (const step of steps(model, [prompt], options)) alone.push(step.next[0]!.id);
        must(
          `${batch[i]!.slice(0, alone.length)}` === `${alone}`,
          `Sequence ${i} must be ${alone}, as it is alone, got ${batch[i]}. A batch must not change its sequences.`,
        );
      }
      model.dispose();
    },
  },
];

/** The generation loop with the answer's two functions. */
function generate(
  model: Llama,
  firstCurPos: (prompts: number[][]) => number,
  nextTokens: (prompts: number[][], curPos: number, sampled: number[]) => number[],
): number[][] {
  let curPos = firstCurPos(PROMPTS);
  const sequences = PROMPTS.map((prompt) => prompt.slice(0, curPos));
  const cache = new KVCache(model.config, sequences.length, 32);
  for (; curPos < 6 + 5; curPos++) {
    const output = model.forward(
      sequences.map((tokens) => tokens.slice(cache.length)),
      cache,
    );
    const V = model.config.vocabSize;
    const logits = output.dataSync<"float32">();
    const sampled = sequences.map((_, i) => {
      const own = logits.subarray(i * V, (i + 1) * V);
      return own.indexOf(Math.max(...own));
    });
    output.dispose();
    for (const [i, id] of nextTokens(PROMPTS, curPos, sampled).entries()) sequences[i]!.push(id);
  }
  cache.dispose();
  return sequences;
}
