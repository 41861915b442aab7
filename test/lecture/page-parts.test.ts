import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { BUGS } from "../../lecture/bugs.js";
import { CODE, codeLink, findLines } from "../../lecture/page/code-links.js";
import { chapterOf, type ChapterId, CHAPTERS } from "../../lecture/page/chapters.js";
import {
  DEFAULT_MEMORY,
  MEMORY_MODELS,
  memoryBytes,
  requestsThatFit,
  sizesOf,
} from "../../lecture/page/memory-of.js";
import { TOPICS } from "../../lecture/page/after/topics.js";
import { NOTES } from "../../lecture/page/chapter-notes.js";
import { minutesUntil, minutesUntilTopic } from "../../lecture/page/notes.js";
import { DEFAULT_VIEW, navigate, parseView, viewToHash } from "../../lecture/page/view.js";
import { cacheBytes } from "../../src/cost/cost.js";
import { PRESETS } from "../../src/model/presets.js";

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
  const views = fc
    .record({
      chapter: fc.constantFrom(...CHAPTERS.map(({ id }) => id)),
      build: fc.nat(4),
      present: fc.boolean(),
      step: fc.integer({ min: 1, max: 2000 }),
      layer: fc.nat(200),
      head: fc.nat(200),
      sequence: fc.nat(20),
      word: fc.integer({ min: -1, max: 20 }),
      choice: fc.nat(4),
      vote: fc.constantFrom("--", "w-", "rw"),
      code: fc.constantFrom("" as const, "append" as const, "bug:stale-cache" as const),
      memory: fc.constantFrom(
        ...Object.keys(MEMORY_MODELS).map((name) => sizesOf(name, { context: 131_072, batch: 16, bits: 4 })),
      ),
      prompts: fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 4 }),
      maxGenLen: fc.integer({ min: 1, max: 999 }),
      temperature: fc.constantFrom(0, 0.6, 1.5),
      topP: fc.constantFrom(0.1, 0.9, 1),
      seed: fc.nat(),
      bug: fc.constantFrom("", ...BUGS.map(({ id }) => id)),
    })
    .map((view) => {
      const build = Math.min(view.build, chapterOf(view.chapter).builds.length - 1);
      return Object.assign(view, { build, bug: view.chapter === "break" ? view.bug : "" });
    });

  it("round-trip through the URL", () => {
    fc.assert(fc.property(views, (view) => void expect(parseView(viewToHash(view))).to.deep.equal(view)));
  });

  it("fall back to the default for invalid values", () => {
    expect(parseView("")).to.deep.equal(DEFAULT_VIEW);
    expect(
      parseView("#step=x&layer=-1&chapter=99&vote=x&bug=none&topP=0&code=x&memory=llama-3.1-8b,1,1,1,1,1,1"),
    ).to.deep.equal(DEFAULT_VIEW);
    fc.assert(fc.property(fc.string(), (hash) => void expect(parseView(hash).step).to.be.at.least(1)));
  });

  it("another chapter keeps the reader's own prompts, and otherwise has those that it is about", () => {
    const batch = navigate(DEFAULT_VIEW, "batch");
    expect(batch.prompts).to.have.length(4);
    expect(navigate(batch, "waste").prompts).to.deep.equal(DEFAULT_VIEW.prompts);
    const own = { ...DEFAULT_VIEW, prompts: ["a", "b"] };
    expect(navigate(own, "batch").prompts).to.deep.equal(own.prompts);
    expect(navigate(navigate(own, "break"), "waste").bug).to.equal("");
  });
});

describe("The chapter on memory", () => {
  it("computes the same bytes as src/cost", () => {
    const config = PRESETS["llama-3.2-1b"]!;
    const of = sizesOf("llama-3.2-1b", { context: 4096, batch: 4, bits: 32 });
    expect(memoryBytes(of)).to.equal(cacheBytes(config, 4, 4096));
  });

  it("counts 16 bits of an 8B model's 8,192 positions as 1 GiB, and 70,272 bytes a token with MLA", () => {
    expect(memoryBytes(DEFAULT_MEMORY)).to.equal(2 ** 30);
    const latent = sizesOf("deepseek-v3", { context: 1, batch: 1, bits: 16 });
    expect(memoryBytes({ ...latent, context: 1 })).to.equal(576 * 61 * 2);
  });

  it("fits no request beside weights that do not fit", () => {
    expect(requestsThatFit(sizesOf("deepseek-v3", DEFAULT_MEMORY), 141)).to.equal(0);
    expect(requestsThatFit(DEFAULT_MEMORY, 80)).to.equal(Math.floor((80e9 - 2 * 8.03e9) / 2 ** 30));
  });
});

describe("The lecturer's notes", () => {
  it("plan 45 minutes", () => {
    expect(minutesUntil("break")).to.equal(45);
    expect(minutesUntilTopic(chapterOf("after").builds.length - 1), "second lecture").to.equal(45);
  });

  it("are there for every build of a chapter with minutes", () => {
    for (const [id, { minutes, builds }] of Object.entries(NOTES)) {
      if (minutes > 0) expect(builds.length, id).to.equal(chapterOf(id as ChapterId).builds.length);
    }
  });

  it("are there for every topic after the cache", () => {
    const names = chapterOf("after").builds.map(({ topic }) => topic);
    expect([...new Set(names)]).to.deep.equal(Object.keys(TOPICS));
    for (const topic of Object.values(TOPICS)) expect(topic.notes.length, topic.name).to.be.above(1);
  });
});
