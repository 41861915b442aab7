import { type Checks, must } from "../exercise.js";
import { tinyLlama } from "../tiny-llama.js";
import { KVCache } from "../../../src/model/kv-cache.js";
import { type Llama, steps } from "../../../src/index.js";

const PROMPTS = [
  [5, 6, 7],
  [8, 9, 10, 11, 12, 13],
  [1, 2, 0, 4],
];

export const checks: Checks<typeof import("./start.js")> = ({ firstCurPos, decide }) => [
  {
    title: "the loop starts at the shortest prompt's length",
    run: () => {
      const seen = firstCurPos(PROMPTS);
      must(
        seen === 3,
        `For prompts of 3, 6 and 4 tokens yours starts at ${seen}, expected 3: the first step may only feed positions ` +
          "that every row has. Starting at the longest would feed positions that the short rows have not decided yet.",
      );
    },
  },
  {
    title: "a row inside its prompt keeps its own token",
    run: () => {
      const seen = decide(PROMPTS, 3, [50, 51, 52]);
      must(
        `${seen}` === "50,11,4",
        `At position 3 the model chose 50, 51, 52. Rows 1 and 2 are still inside their prompts: expected 50,11,4, yours ${seen}.`,
      );
    },
  },
  {
    title: "token 0 of a prompt is a token",
    run: () => {
      const seen = decide(PROMPTS, 2, [50, 51, 52]);
      must(
        `${seen}` === "7,10,0",
        `At position 2 the prompts say 7, 10, 0; yours ${seen}. Id 0 is a token like any other (|| takes it for nothing).`,
      );
    },
  },
  {
    title: "each row is what it would be alone",
    run: async () => {
      const model = tinyLlama();
      const seen = generate(model, firstCurPos, decide);
      const options = {
        maxGenLen: 5,
        temperature: 0,
        topP: 1,
        seed: 0,
        useCache: true,
        stopIds: new Set<number>(),
      };
      for (const [row, prompt] of PROMPTS.entries()) {
        const alone: number[] = [...prompt];
        for await (const step of steps(model, [prompt], options)) alone.push(step.next[0]!.id);
        must(
          `${seen[row]!.slice(0, alone.length)}` === `${alone}`,
          `Row ${row} in the batch became ${seen[row]}, alone it is ${alone}. A batch must not change what a row says.`,
        );
      }
      model.dispose();
    },
  },
];

/** The loop, with the answer's two decisions in it. */
function generate(
  model: Llama,
  firstCurPos: (prompts: number[][]) => number,
  decide: (prompts: number[][], curPos: number, chosen: number[]) => number[],
): number[][] {
  let curPos = firstCurPos(PROMPTS);
  const rows = PROMPTS.map((prompt) => prompt.slice(0, curPos));
  const cache = new KVCache(model.config, rows.length, 32);
  for (; curPos < 6 + 5; curPos++) {
    const logits = model.forward(
      rows.map((row) => row.slice(cache.length)),
      cache,
    );
    const V = model.config.vocabSize;
    const scores = logits.dataSync<"float32">();
    const chosen = rows.map((_, row) => {
      const own = scores.subarray(row * V, (row + 1) * V);
      return own.indexOf(Math.max(...own));
    });
    logits.dispose();
    for (const [row, id] of decide(PROMPTS, curPos, chosen).entries()) rows[row]!.push(id);
  }
  cache.dispose();
  return rows;
}
