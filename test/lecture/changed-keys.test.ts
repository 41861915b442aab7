import { expect } from "chai";
import { changedKeys } from "../../lecture/changed-keys.js";
import { SENTENCE } from "../../lecture/page/sentence.js";
import { inspectDirectory } from "../../src/checkpoint/directory.js";
import { readTokenizer } from "../../src/checkpoint/read-tokenizer.js";
import { fixture, onOneBackend, randomIds, randomLlama } from "../support.js";

onOneBackend("Changes of keys and values", () => {
  it("are 0 before a changed token, and reach every later position from the second layer on", async () => {
    const model = randomLlama();
    const ids = randomIds(8, 1);
    const at = 5;
    const changes = await changedKeys(model, ids, ids.with(at, (ids[at]! + 1) % model.config.vocabSize));
    model.dispose();
    for (const [layer, positions] of changes.entries()) {
      expect(Math.max(...positions.slice(0, at)), `layer ${layer}, before`).to.be.below(1e-5);
      expect(positions[at], `layer ${layer}, the token`).to.be.above(1e-3);
      const after = Math.max(...positions.slice(at + 1));
      if (layer === 0)
        expect(after, "layer 0, after").to.be.below(1e-5); // depends on the token alone
      else expect(after, `layer ${layer}, after`).to.be.above(1e-4);
    }
  });

  it("reject texts of unequal length", async () => {
    const model = randomLlama();
    const rejected = await changedKeys(model, [1, 2], [1]).catch((error: Error) => error.message);
    expect(rejected).to.equal("both texts must have the same length, got 2 and 1");
    model.dispose();
  });

  it("have one token for each word that the page can change", async () => {
    const tokenizer = await readTokenizer(await inspectDirectory(fixture("fairy-tales")), 2048, []);
    const tokens = (words: readonly string[]) => tokenizer.encode(words.join(" ")).length;
    const words = SENTENCE.map(([word]) => word);
    expect(tokens(words)).to.equal(SENTENCE.length + 2); // begin, and "Once" has two
    for (const [i, [, other]] of SENTENCE.entries()) {
      if (other) expect(tokens(words.with(i, other)), other).to.equal(SENTENCE.length + 2);
    }
  });
});
