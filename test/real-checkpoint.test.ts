import { readFileSync } from "node:fs";
import { expect } from "chai";
import { generate, loadCheckpoint, type Tokenizer } from "../src/index.js";
import { expectClose, onEveryExecution, type TestModel } from "./support.js";

// For a checkpoint that is not kept here: fixtures/checkpoint_goldens.py says what transformers makes of it.
const { CHECKPOINT: directory, GOLDENS: file } = process.env;

/** As many as fixtures/checkpoint_goldens.py asks for. */
const NEW_TOKENS = 32;

interface Case {
  readonly prompt: string;
  readonly ids: number[];
  readonly greedy: number[];
  readonly logits: number[];
}

if (directory && file) {
  onEveryExecution(`Goldens from transformers: ${directory}`, (executed) => {
    const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Case[] };
    const longest = Math.max(...cases.map(({ ids }) => ids.length));
    let model: TestModel;
    let tokenizer: Tokenizer;
    before(async function () {
      this.timeout(0);
      const checkpoint = await loadCheckpoint(directory);
      tokenizer = checkpoint.tokenizer;
      model = executed(checkpoint.model);
      await model.prepare?.(1, longest + NEW_TOKENS); // once, and not for each prompt
    });
    after(() => model.dispose());

    for (const { prompt, ids, greedy, logits } of cases) {
      it(JSON.stringify(prompt), async function () {
        this.timeout(0);
        expect(tokenizer.encode(prompt)).to.deep.equal(ids);
        const [completion] = await generate(model, tokenizer, [prompt], {
          maxGenLen: NEW_TOKENS,
          temperature: 0,
        });
        expect(completion!.tokens).to.deep.equal(greedy);
        const scores = model.forward([[...ids, ...greedy].slice(0, -1)]);
        expectClose(scores.dataSync(), logits, 1e-3, "the last logits");
        scores.dispose();
      });
    }
  });
}
