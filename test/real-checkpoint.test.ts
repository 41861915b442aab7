import { readFileSync } from "node:fs";
import { expect } from "chai";
import { generate, loadCheckpoint } from "../src/index.js";
import { expectClose, onEveryEngine } from "./support.js";

// For a checkpoint that is not kept here: fixtures/checkpoint_goldens.py says what transformers makes of it.
const { CHECKPOINT: directory, GOLDENS: file } = process.env;

interface Case {
  readonly prompt: string;
  readonly ids: number[];
  readonly greedy: number[];
  readonly logits: number[];
}

if (directory && file) {
  onEveryEngine(`Goldens from transformers: ${directory}`, () => {
    const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Case[] };
    let checkpoint: Awaited<ReturnType<typeof loadCheckpoint>>;
    before(async () => (checkpoint = await loadCheckpoint(directory)));
    after(() => checkpoint.model.dispose());

    for (const { prompt, ids, greedy, logits } of cases) {
      it(JSON.stringify(prompt), async () => {
        const { model, tokenizer } = checkpoint;
        expect(tokenizer.encode(prompt)).to.deep.equal(ids);
        const [completion] = await generate(model, tokenizer, [prompt], { maxGenLen: 32, temperature: 0 });
        expect(completion!.tokens).to.deep.equal(greedy);
        const scores = model.forward([[...ids, ...greedy].slice(0, -1)]);
        expectClose(scores.dataSync(), logits, 1e-3, "the last logits");
        scores.dispose();
      });
    }
  });
}
