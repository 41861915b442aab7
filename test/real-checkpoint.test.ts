import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { generate, GraphLlama, loadCheckpoint } from "../src/index.js";
import type { Tokenizer } from "../src/tokenizer/tokenizer.js";
import { expectClose, onEveryExecution, type TestModel } from "./support.js";
import { root } from "./scripts/run-command.js";

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
      if (model instanceof GraphLlama) model.prepare(1, longest + NEW_TOKENS); // once, and not for each prompt
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

describe("CHECKPOINT and GOLDENS", () => {
  const sentence = (set: string, missing: string) =>
    `${set} is set and ${missing} is not, expected both or neither`;

  // A test, and no error while the file is loaded, of which mocha makes one of syntax.
  it("are both set or neither", () => {
    if (directory && !file) throw new Error(sentence("CHECKPOINT", "GOLDENS"));
    if (file && !directory) throw new Error(sentence("GOLDENS", "CHECKPOINT"));
  });

  if (directory || file) return;
  for (const [set, missing] of [
    ["CHECKPOINT", "GOLDENS"],
    ["GOLDENS", "CHECKPOINT"],
  ] as const) {
    it(`are no tests that pass where only ${set} is`, () => {
      const mocha = ["node_modules/mocha/bin/mocha.js", "test/real-checkpoint.test.ts"];
      const env = { ...process.env, [set]: "somewhere" };
      const { status, stdout } = spawnSync(process.execPath, mocha, { cwd: root, env, encoding: "utf8" });
      expect(stdout).to.include(sentence(set, missing));
      expect(status).to.equal(1);
    });
  }
});
