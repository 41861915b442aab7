import { expect } from "chai";
import fc from "fast-check";
import { BlockPool } from "../../src/cache/block-pool.js";
import { BlockMemory, PagedCache } from "../../src/cache/paged-cache.js";
import { expectClose, onEveryBackend, randomIds, randomLlama, TINY } from "../support.js";
import * as tf from "@tensorflow/tfjs-core";

describe("BlockPool", () => {
  it("counts references as a model of it does: no leak, no double free", () => {
    const action = fc.record({ act: fc.constantFrom("take", "share", "release"), which: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const pool = new BlockPool(5, 4);
        const held: number[] = []; // one entry per reference
        for (const { act, which } of actions) {
          const block = held[which % Math.max(1, held.length)];
          if (act === "take") {
            if (new Set(held).size === 5) expect(() => pool.take()).to.throw(RangeError);
            else {
              const taken = pool.take();
              expect(held).not.to.include(taken);
              held.push(taken);
            }
          } else if (block === undefined) continue;
          else if (act === "share") held.push(pool.share(block));
          else {
            pool.release(block);
            held.splice(held.indexOf(block), 1);
          }
          expect(pool.used).to.equal(new Set(held).size);
          for (const one of held)
            expect(pool.isShared(one)).to.equal(held.filter((other) => other === one).length > 1);
        }
        for (const block of held) pool.release(block);
        expect(pool.used).to.equal(0);
      }),
    );
  });

  it("rejects a block that is free", () => {
    const pool = new BlockPool(2, 4);
    const block = pool.take();
    pool.release(block);
    expect(() => pool.release(block)).to.throw(RangeError, "must be in use");
    expect(() => pool.share(block)).to.throw(RangeError, "must be in use");
  });

  it("finds the complete blocks of the longest known prefix, and forgets blocks that are free", () => {
    const pool = new BlockPool(8, 2);
    const table = [pool.take(), pool.take(), pool.take()];
    pool.remember(table, [1, 2, 3, 4, 5, 6]);
    expect(pool.find([1, 2, 3, 4, 9, 9])).to.deep.equal(table.slice(0, 2));
    expect(pool.find([1, 2, 3, 4])).to.deep.equal(table.slice(0, 1)); // one token must be left to compute
    expect(pool.find([9, 2, 3, 4, 5])).to.deep.equal([]);
    expect(pool.find([3, 4, 5, 6, 7])).to.deep.equal([]); // the same ids after another prefix
    for (const block of table) pool.release(block);
    expect(pool.find([1, 2, 3, 4, 5])).to.deep.equal([]);
  });
});

onEveryBackend("Shared prefixes", () => {
  it("give each sequence of a fork the logits that it has alone, and never write into a shared block", () => {
    const model = randomLlama();
    const before = tf.memory().numTensors;
    const memory = new BlockMemory(TINY, 40, 4);
    const prefix = randomIds(10, 1); // ends within a block
    const own = [randomIds(3, 2), randomIds(3, 3), randomIds(3, 4)];
    const parent = new PagedCache(memory, 1, 64, 8);
    model.forward([prefix], parent).dispose();
    const blocks = memory.rowsOf(parent.tables, 0, 12); // all of them, the last one half filled
    const shared = () =>
      tf.tidy(() => memory.layers.map(([keys]) => tf.gather(keys, Array.from(blocks)).dataSync()));
    const prefixKeys = shared();
    const forked = parent.fork(3);
    expect(memory.pool.used).to.equal(3);
    const logits = model.forward(own, forked);
    expect(memory.pool.used).to.equal(3 + 3 * 2); // two complete blocks shared; the third copied, and one more
    for (const [i, keys] of shared().entries()) expectClose(keys, prefixKeys[i]!, 0, `layer ${i}`);
    const V = TINY.vocabSize;
    for (const [i, ids] of own.entries()) {
      const alone = model.createCache(1, 64);
      model.forward([prefix], alone).dispose();
      const expected = model.forward([ids], alone);
      expectClose(logits.dataSync().slice(i * V, (i + 1) * V), expected.dataSync(), 1e-5, `sequence ${i}`);
      tf.dispose(expected);
      alone.dispose();
    }
    logits.dispose();
    forked.dispose();
    expect(memory.pool.used).to.equal(3);
    parent.dispose();
    expect(memory.pool.used).to.equal(0);
    memory.dispose();
    expect(tf.memory().numTensors).to.equal(before);
    model.dispose();
  });

  it("are found by their token ids", () => {
    const model = randomLlama();
    const memory = new BlockMemory(TINY, 40, 4);
    const first = new PagedCache(memory, 1, 64, 8);
    const ids = randomIds(18, 1);
    model.forward([ids], first).dispose();
    first.remember(ids);
    const prompt = [...ids.slice(0, 14), ...randomIds(5, 9)];
    const second = PagedCache.find(memory, prompt, 64, 8);
    expect(second.length).to.equal(12);
    const actual = model.forward([prompt.slice(12)], second);
    const expected = model.forward([prompt]);
    expectClose(actual.dataSync(), expected.dataSync(), 1e-4);
    tf.dispose([actual, expected]);
    second.truncate(6); // within a shared block: the next write copies it
    model.forward([[1, 2, 3]], second).dispose();
    const again = PagedCache.find(memory, prompt, 64, 8);
    expect(again.length).to.equal(12);
    for (const cache of [first, second, again]) cache.dispose();
    expect(memory.pool.used).to.equal(0);
    memory.dispose();
    model.dispose();
  });

  it("are not found in a block whose sequence has written other tokens into it", () => {
    const model = randomLlama();
    const memory = new BlockMemory(TINY, 40, 4);
    const only = new PagedCache(memory, 1, 64, 8);
    const ids = randomIds(9, 1);
    model.forward([ids], only).dispose();
    only.remember(ids);
    only.truncate(6);
    model.forward([[1, 2, 3]], only).dispose();
    expect(memory.pool.find(ids)).to.have.length(1);
    only.dispose();
    memory.dispose();
    model.dispose();
  });
});
