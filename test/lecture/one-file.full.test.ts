import { expect } from "chai";
import { type Llama, loadCheckpoint } from "../../src/index.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { fixture, onOneBackend } from "../support.js";
import { expectSameTale, runOneFile } from "./one-file-command.js";

onOneBackend("npm run one-file", () => {
  let model: Llama;
  let tokenizer: Tokenizer;
  before(async () => ({ model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"))));
  after(() => model.dispose());

  it("prints the same tale in both modes on TensorFlow.js's own kernels, up to the stop token", async () => {
    const prompt =
      "The moral of this story, however, is, firstly, that no one, however great he may be, should permit himself " +
      "to jest at any one beneath him, even if he be only";
    await expectSameTale(model, tokenizer, prompt, 180);
  });

  it("rejects unknown options and a missing prompt in one sentence", () => {
    for (const option of ["--no-kv-cash", "--prompt"]) {
      const error = `error: options must be [--no-kv-cache] [--prompt TEXT], got ${option}\n`;
      expect(runOneFile(option)).to.include({ status: 1, stdout: "", stderr: error });
    }
  });
});
