import { expect } from "chai";
import {
  allCachedSizes,
  blockSize,
  type CacheUse,
  type CallSize,
  chunkSizes,
  generationSizes,
  isSame,
  withMissing,
} from "../../src/graph/call-sizes.js";
import { bucketFor } from "../../src/model/buckets.js";

const use = (own: Partial<CacheUse> = {}): CacheUse => ({
  type: "plain",
  prefillChunk: 2048,
  L: 2048,
  pads: false,
  smallestBucket: 2048,
  ...own,
});

const distinct = (sizes: readonly CallSize[]): CallSize[] =>
  sizes.filter((size, i) => sizes.findIndex((other) => isSame(size, other)) === i);

describe("The chunks of a prompt", () => {
  const lengths = (T: number, own: Partial<CacheUse>, start = 0) =>
    chunkSizes(start, T, use(own)).map((size) => size.T);

  it("are powers of two that add up to the prompt, longest first", () => {
    expect(lengths(300, {})).to.deep.equal([256, 32, 8, 4]);
    expect(lengths(1500, {})).to.deep.equal([512, 512, 256, 128, 64, 16, 8, 4]);
  });

  it("may be padded at the end: to 16 or more, by at most a third beyond 64", () => {
    const padded = {
      1: [1],
      2: [16],
      17: [32],
      50: [64],
      96: [128],
      95: [64, 32],
      200: [256],
      300: [256, 64],
    };
    for (const [T, expected] of Object.entries(padded))
      expect(lengths(Number(T), { pads: true })).to.deep.equal(expected);
  });

  it("are within the cache and the chunk, and enough, for all lengths", () => {
    for (let T = 1; T <= 700; T += 3) {
      for (const prefillChunk of [1, 8, 100, 2048]) {
        for (const space of [0, T, T + 7, 1024]) {
          const all = lengths(T, { prefillChunk, L: 5 + Math.max(T, space), pads: space > 0 }, 5);
          const sum = all.reduce((a, b) => a + b, 0);
          const name = `T ${T}, chunk ${prefillChunk}, space ${space}`;
          expect(sum - all.at(-1)!, name).to.be.lessThan(T);
          expect(sum, name).to.be.within(T, Math.max(T, space));
          expect(Math.max(...all), name).to.be.at.most(prefillChunk);
        }
      }
    }
  });
});

describe("The calls of a graph that replaces another", () => {
  const own = use({ L: 64, smallestBucket: 8, prefillChunk: 16 });
  const call = (T: number, S: number): CallSize => ({ T, S, useCache: true });
  const uncached: CallSize = { T: 8, S: 8, useCache: false };

  it("are the needed ones alone in a first graph, and the same ones if none is missing", () => {
    expect(withMissing([], [call(4, 8), call(4, 8), call(1, 32)], own)).to.deep.equal([
      call(4, 8),
      call(1, 32),
    ]);
    expect(withMissing([call(4, 8), call(1, 8)], [call(1, 8)], own).length).to.equal(2);
  });

  it("have all calls of a bucket that is new, and only the missing ones of others", () => {
    const known = [call(4, 8), uncached];
    expect(withMissing(known, [call(2, 8)], own)).to.deep.equal([...known, call(2, 8)]);
    const grown = withMissing(known, [call(2, 32)], own);
    expect(grown.slice(0, 3)).to.deep.equal([...known, call(2, 32)]);
    expect(grown.slice(2)).to.have.deep.members(allCachedSizes(32, own));
    expect(withMissing([uncached], [call(2, 8)], own)).to.deep.equal([uncached, call(2, 8)]);
  });

  it("have only the needed calls of buckets that a prompt passes through", () => {
    const through = withMissing([call(4, 8)], [call(2, 32), call(2, 64)], own);
    expect(through.filter(({ S }) => S === 32)).to.deep.equal([call(2, 32)]);
    expect(through.filter(({ S }) => S === 64)).to.have.deep.members(allCachedSizes(64, own));
  });

  it("have all calls of the bucket for a GPU", () => {
    const forGpu = { ...own, pads: true };
    const grown = withMissing([call(16, 8)], [call(1, 8)], forGpu);
    expect(grown).to.have.deep.members(allCachedSizes(8, forGpu));
  });
});

describe("The positions of the cache that a call reads", () => {
  it("are 2,048, 8,192, 32,768, … while these are at most half of the capacity, then all of it", () => {
    const buckets = (L: number) => [...new Set(Array.from({ length: L }, (_, i) => bucketFor(i + 1, L)))];
    const expected = {
      32: [32],
      2048: [2048],
      4095: [4095],
      4096: [2048, 4096],
      8032: [2048, 8032],
      16384: [2048, 8192, 16384],
      40000: [2048, 8192, 40000],
      131072: [2048, 8192, 32768, 131072],
    };
    for (const [L, all] of Object.entries(expected)) expect(buckets(Number(L))).to.deep.equal(all);
  });

  it("are all of the capacity from the other caches", () => {
    for (const type of ["paged", "sliding"] as const) {
      const all = [
        ...chunkSizes(0, 300, use({ type, L: 8192 })),
        ...allCachedSizes(1, use({ type, L: 8192 })),
      ];
      expect(new Set(all.map(({ S }) => S))).to.deep.equal(new Set([8192]));
    }
    const ring = generationSizes([20, 500], use({ type: "sliding", L: 128 }), { useCache: true });
    expect(ring.map(({ T, S }) => [T, S])).to.deep.equal([
      [16, 128],
      [4, 128],
      [1, 128],
    ]);
  });

  it("include all that a chunk sees, whatever the bucket and the padding", () => {
    for (const pads of [false, true]) {
      for (const L of [8, 60, 200, 1000]) {
        const own = use({ L, pads, smallestBucket: 8, prefillChunk: 64 });
        for (let start = 0; start < L; start += Math.ceil(L / 40)) {
          for (let T = 1; T <= L - start; T += Math.ceil(L / 50)) {
            let end = start;
            for (const size of chunkSizes(start, T, own)) {
              end = Math.min(end + size.T, start + T);
              expect(size.S, `positions ${start} to ${end} of ${L}`).to.be.within(end, L);
            }
            expect(end).to.equal(start + T);
          }
        }
      }
    }
  });

  it("are those of the calls that were traced for the generation, wherever its steps and blocks end", () => {
    for (const pads of [false, true]) {
      for (const [L, first, last] of [
        [200, 1, 1],
        [200, 5, 199],
        [200, 8, 40],
        [200, 31, 32],
        [200, 33, 170],
        [64, 60, 63],
      ] as const) {
        const own = use({ L, pads, smallestBucket: 8, prefillChunk: 64 });
        for (const block of ["greedy", "sampled", undefined] as const) {
          const traced = generationSizes([first, last], own, { useCache: true, block });
          const find = (size: CallSize) => traced.some((other) => isSame(size, other));
          for (let end = first + 1; end <= last; end++) {
            const { S } = blockSize("greedy", end, own);
            const name = `step at ${end} of ${first} to ${last}`;
            expect(S, name).to.be.within(end, L);
            expect(find({ T: 1, S, useCache: true, block }), name).to.equal(true);
          }
        }
      }
    }
  });

  it("need few calls, and one decode step without more than a bucket", () => {
    const prompt = generationSizes([100, 131], use(), { useCache: true, block: "greedy" });
    expect(distinct(prompt).map(({ T, S }) => [T, S])).to.deep.equal([
      [64, 2048],
      [32, 2048],
      [4, 2048],
      [1, 2048],
    ]);
    const L = 131072;
    const long = generationSizes([100_000, L - 1], use({ L, pads: true, prefillChunk: 256 }), {
      useCache: true,
      block: "greedy",
    });
    expect(distinct(long).map(({ T, S }) => [T, S])).to.deep.equal([
      [256, 2048],
      [256, 8192],
      [256, 32768],
      [256, L],
      [128, L],
      [32, L],
      [1, L],
    ]);
    const chat = allCachedSizes(1, use({ L, prefillChunk: 256 }));
    expect(chat.length).to.equal(11);
    expect(new Set(chat.map(({ S }) => S))).to.deep.equal(new Set([2048]));
  });
});
