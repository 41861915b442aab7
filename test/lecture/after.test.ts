import { expect } from "chai";
import { runDemo } from "../../lecture/after/demos.js";
import { BATCH_SIZES, BLOCK_SIZES, DRAFTS, RING } from "../../lecture/after/settings.js";
import { greedy, type Subject } from "../../lecture/after/subject.js";
import { cacheKind } from "../../src/cache/cache-kind.js";
import { LOGIT_TOLERANCE } from "../../src/generation/compare.js";
import { steps } from "../../src/index.js";
import { onOneBackend } from "../support.js";
import { bundledSubject } from "./bundled-subject.js";

onOneBackend("The demonstrations after the cache", () => {
  let subject: Subject;
  before(async () => {
    subject = await bundledSubject();
  });
  after(() => subject.model.dispose());

  for (const [i, size] of BLOCK_SIZES.entries()) {
    it(`blocks of ${size}: requests share those of their prefix, copy the last one, and give the same logits`, async () => {
      const shown = await runDemo("sharedBlocks", subject, i);
      const { prefix, blockSize, moments } = shown;
      expect(shown.largestDifference).to.be.below(LOGIT_TOLERANCE);
      const [first, second] = moments;
      expect(first!.length).to.equal(prefix);
      expect(prefix % blockSize, "the last block of the prefix has space left").to.be.above(0);
      expect(new Set(first!.tables.map(String)).size, "equal tables").to.equal(1);
      const complete = Math.floor(prefix / blockSize);
      for (const { tables, used, shared } of moments) {
        const whole = tables.map((table) => String(table.slice(0, complete)));
        expect(new Set(whole).size, "complete blocks stay shared").to.equal(1);
        expect(used).to.equal(new Set([...first!.tables[0]!, ...tables.flat()]).size);
        expect(shared).to.include.members(tables[0]!.slice(0, complete));
      }
      const written = second!.tables.map((table) => table[complete]!);
      expect(new Set([...written, first!.tables[0]![complete]!]).size, "copies").to.equal(4);
    });
  }

  it("ring: the newest query attends to the sinks and the window", async () => {
    const { states } = await runDemo("ring", subject, 0);
    for (const { curPos, positions, visible } of states) {
      const seen = positions.filter((_, slot) => visible[slot]).toSorted((a, b) => a! - b!);
      const all = Array.from({ length: curPos }, (_, p) => p);
      const expected = all.filter((p) => p < RING.sinks || p >= curPos - RING.window);
      expect(seen).to.deep.equal(expected);
    }
  });

  it("ring: each slot holds the key of its position", async () => {
    const { model, tokenizer } = subject;
    const { states } = await runDemo("ring", subject, 0);
    const kind = cacheKind({ cache: "sliding", ...RING });
    const ids = tokenizer.encode("Once upon a time");
    const options = { ...greedy(states.length), cacheKind: kind };
    for await (const { next } of steps(model, [[...ids]], options)) ids.push(next[0]!.id);
    ids.pop(); // never an input

    let plain = new Float32Array(); // of the first layer, [K, T, D]: they depend on token and position alone
    const probe: Parameters<typeof model.forward>[2] = (name, layer, tensor) => {
      if (name === "attention.key" && layer === 0) plain = Float32Array.from(tensor.dataSync());
    };
    model.forward([ids], undefined, probe).dispose();
    const cache = model.createCache(1, ids.length + 1, kind);
    const layer = cache.layers[0]!;
    const append = layer.append.bind(layer);
    let stored = new Float32Array(); // [K, slots, D]
    layer.append = (keys, values) => {
      const all = append(keys, values);
      stored = Float32Array.from(all[0].dataSync());
      return all;
    };
    model.forward([ids], cache).dispose();
    cache.dispose();

    const { positions } = states.at(-1)!;
    const { headDim: D, nKvHeads: K } = model.config;
    expect(stored.length).to.equal(K * positions.length * D);
    for (let slot = RING.sinks; slot < positions.length; slot++) {
      const of = (all: Float32Array, at: number) => all.subarray(at * D, (at + 1) * D);
      const [key, expected] = [of(stored, slot), of(plain, positions[slot]!)];
      const off = Math.max(...key.map((x, i) => Math.abs(x - expected[i]!)));
      expect(off, `slot ${slot}`).to.be.below(1e-4);
    }
  });

  for (const [i, size] of BATCH_SIZES.entries()) {
    it(`batches of ${size}: the same tokens and positions, in fewer calls`, async () => {
      const { requests, fixed, continuous, identical } = await runDemo("batching", subject, i);
      expect(identical).to.equal(true);
      expect(continuous.length).to.be.below(fixed.length);
      for (const timeline of [fixed, continuous]) {
        for (const [request, { promptLength, maxGenLen }] of requests.entries()) {
          const own = timeline.flat().filter((part) => part.request === request && part.useful);
          const positions = own.reduce((sum, part) => sum + part.positions, 0);
          expect(positions).to.equal(promptLength + maxGenLen - 1);
        }
        for (const parts of timeline) expect(parts.length).to.be.within(1, size);
      }
    });
  }

  for (const draft of DRAFTS) {
    it(`guesses by a draft (${draft}): the tokens of the loop`, async () => {
      const { rounds, tokens, identical } = await runDemo("guessing", subject, DRAFTS.indexOf(draft));
      expect(identical).to.equal(true);
      expect(rounds.reduce((sum, { accepted }) => sum + accepted + 1, 0)).to.equal(tokens);
      for (const { guesses, accepted, own } of rounds) expect(guesses[accepted]).to.not.equal(own);
    });
  }
});
