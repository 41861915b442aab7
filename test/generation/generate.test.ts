import { readFileSync } from "node:fs";
import { expect } from "chai";
import { generate, InputError, type Llama } from "../../src/index.js";
import type { GenerateOptions } from "../../src/generation/generate.js";
import { readTokenizerModel } from "../../src/tokenizer/tiktoken.js";
import { expectRejection, fixture, onOneBackend, randomLlama, TINY } from "../support.js";

onOneBackend("generate", () => {
  const tokenizer = readTokenizerModel(readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8"));
  let model: Llama;
  before(() => (model = randomLlama({ ...TINY, vocabSize: tokenizer.vocabSize })));
  after(() => model.dispose());

  // A random model generates any of the 2,048 tokens, parts of UTF-8 characters among them.
  const options: GenerateOptions = { maxGenLen: 60, temperature: 1.5, topP: 1, seed: 3 };
  const prompts = ["Once upon a time", "", "Zwerge, 矮人 and 🧚"];

  it("streams each sequence's completion, in whole characters", async () => {
    const streamed = prompts.map(() => "");
    const completions = await generate(model, tokenizer, prompts, {
      ...options,
      onText: (i, text) => {
        expect(text).not.to.equal("");
        streamed[i] += text;
      },
    });
    for (const [i, { prompt, promptTokens, tokens, completion, stopReason }] of completions.entries()) {
      expect(prompt).to.equal(prompts[i]);
      expect(promptTokens).to.deep.equal(tokenizer.encode(prompt));
      expect(completion).to.equal(streamed[i]);
      const text = tokenizer.stopIds.has(tokens.at(-1)!) ? tokens.slice(0, -1) : tokens;
      expect(completion).to.equal(tokenizer.decode(text));
      expect(tokens.length).to.be.at.most(60);
      expect(stopReason === "length").to.equal(tokens.length === 60 && text.length === 60);
    }
  });

  it("gives the same completions with and without the cache", async () => {
    const [cached, uncached] = [
      await generate(model, tokenizer, prompts, { ...options, useCache: true }),
      await generate(model, tokenizer, prompts, { ...options, useCache: false }),
    ];
    expect(cached).to.deep.equal(uncached);
  });

  it("includes the stop token in the tokens but not in the text", async () => {
    const [free] = await generate(model, tokenizer, ["Once"], options);
    const stop = free!.tokens[5]!;
    const ranks = readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8");
    const stopping = readTokenizerModel(ranks, { stopIds: [stop] });
    const [stopped] = await generate(model, stopping, ["Once"], options);
    const end = free!.tokens.indexOf(stop) + 1;
    expect(stopped!.tokens).to.deep.equal(free!.tokens.slice(0, end));
    expect(stopped!.completion).to.equal(tokenizer.decode(free!.tokens.slice(0, end - 1)));
    expect(stopped!.stopReason).to.equal("stop");
  });

  it("uses the cache and generates at most 64 tokens by default", async () => {
    let longest = 0;
    const onStep: GenerateOptions["onStep"] = (step) =>
      (longest = Math.max(longest, step.inputIds[0]!.length));
    const [completion] = await generate(model, tokenizer, ["A"], { onStep });
    expect(completion!.tokens.length).to.be.at.most(64);
    expect(longest).to.equal(tokenizer.encode("A").length);
  });

  it("rejects an empty list of prompts", () =>
    expectRejection(generate(model, tokenizer, []), InputError, /prompts must have at least one entry/));
});
