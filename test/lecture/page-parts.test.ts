import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { BUGS } from "../../lecture/bugs.js";
import { CODE, codeLink, findLines } from "../../lecture/page/code-links.js";
import { CHAPTERS, DEFAULT_VIEW, parseView, viewToHash } from "../../lecture/page/view.js";

describe("Links to code", () => {
  for (const id of [...Object.keys(CODE), ...BUGS.map((bug) => `bug:${bug.id}`)]) {
    it(`${id} points to existing lines`, () => {
      const link = codeLink(id);
      const source = readFileSync(new URL(`../../${link.file}`, import.meta.url), "utf8");
      const [first, last] = findLines(source, link) ?? [];
      expect(first, link.from).to.be.a("number");
      expect(last! - first!, "lines").to.be.within(0, 40);
    });
  }
});

describe("Links to a view", () => {
  const views = fc.record({
    chapter: fc.constantFrom(...CHAPTERS.map(({ id }) => id)),
    step: fc.integer({ min: 1, max: 2000 }),
    layer: fc.nat(200),
    head: fc.nat(200),
    sequence: fc.nat(20),
    mode: fc.constantFrom("both" as const, "cached" as const, "uncached" as const),
    code: fc.constantFrom(
      "" as const,
      "none" as const,
      "chapter" as const,
      "append" as const,
      "bug:stale-cache" as const,
    ),
    curve: fc.constantFrom("ms" as const, "flops" as const, "kv" as const),
    bill: fc.record({
      model: fc.constantFrom("llama-3.2-1b", "llama-3.2-3b", "a, b"),
      batch: fc.integer({ min: 1, max: 64 }),
      input: fc.integer({ min: 16, max: 4096 }),
      output: fc.integer({ min: 1, max: 512 }),
    }),
    prompts: fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 }),
    maxGenLen: fc.integer({ min: 1, max: 999 }),
    temperature: fc.constantFrom(0, 0.6, 1.5),
    topP: fc.constantFrom(0.1, 0.9, 1),
    seed: fc.nat(),
    bug: fc.constantFrom("", ...BUGS.map(({ id }) => id)),
  });

  it("round-trip through the URL", () => {
    fc.assert(fc.property(views, (view) => void expect(parseView(viewToHash(view))).to.deep.equal(view)));
  });

  it("fall back to the default for invalid values", () => {
    expect(parseView("")).to.deep.equal(DEFAULT_VIEW);
    expect(
      parseView("#step=x&layer=-1&mode=half&chapter=99&bug=none&topP=0&code=x&curve=y&bill=a,0,16,1"),
    ).to.deep.equal(DEFAULT_VIEW);
    fc.assert(fc.property(fc.string(), (hash) => void expect(parseView(hash).step).to.be.at.least(1)));
  });
});
