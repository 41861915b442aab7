import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { BUGS } from "../../lecture/bugs.js";
import { CHAPTERS, isQuestion } from "../../lecture/page/chapters.js";
import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import { loadBackend, loadCheckpoint, steps } from "../../src/index.js";
import { BUILT, type BuiltPage, builtPage, CONFIG, SHORT } from "./built-page.js";
import { openPage, settled, visit, type WatchedPage } from "./chromium.js";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
/** Text of the first element that matches. */
const text = (page: Page, selector: string): Promise<string> => page.locator(selector).first().innerText();

describe("The lecture's page", () => {
  let built: BuiltPage;
  let disk: WatchedPage; // the built file, opened from disk, without a network

  before(async () => {
    await loadBackend("wasm"); // the reference runs in Node
    built = await builtPage();
    disk = await built.open("chapter=start&step=1");
  });
  after(() => built?.browser.close());
  afterEach(() => expect(disk.errors, "errors of the page").to.deep.equal([]));

  it("is one file under 12 MB, with a title, a description and a preview", async () => {
    expect((await stat(BUILT)).size).to.be.within(8e6, 12e6);
    const content = (selector: string) => disk.page.locator(selector).first().getAttribute("content");
    expect(await disk.page.title()).to.match(/KV cache/);
    expect(await content("meta[name=description]")).to.match(/KV cache/);
    expect(await content("meta[property='og:image']")).to.match(/preview\.png$/);
  });

  it("generates the same tokens as Node, in both modes", async () => {
    const { model, tokenizer } = await loadCheckpoint(path("../../fixtures/fairy-tales"));
    const ids = [tokenizer.encode("Once upon a time")];
    for (const [fragment, options] of [
      ["", { temperature: 0, seed: 0 }],
      ["&temperature=0.8&seed=7", { temperature: 0.8, seed: 7 }],
    ] as const) {
      await visit(disk.page, `chapter=start&step=12&${SHORT}${fragment}`);
      for (const [mode, useCache] of [
        ["cached", true],
        ["uncached", false],
      ] as const) {
        const all = { maxGenLen: 12, topP: 0.9, ...options, useCache, stopIds: tokenizer.stopIds };
        const tokens = [...ids[0]!];
        for await (const { next } of steps(model, ids, all)) tokens.push(next[0]!.id);
        const expected = tokenizer.decode(tokens.slice(1)).replaceAll("\n", "⏎");
        const shown = await text(disk.page, `.lane[data-mode=${mode}] .token-text`);
        expect(shown.replace("⟨begin⟩", "").trim(), `${mode}${fragment}`).to.equal(expected.trim());
      }
    }
    model.dispose();
  });

  it("shows each sequence of a batch as Node generates it", async () => {
    const { model, tokenizer } = await loadCheckpoint(path("../../fixtures/fairy-tales"));
    await visit(disk.page, "chapter=batch&step=20");
    const ids = LECTURE_PROMPTS.map((prompt) => tokenizer.encode(prompt));
    const options = {
      maxGenLen: 32,
      temperature: 0,
      topP: 0.9,
      seed: 0,
      useCache: true,
      stopIds: tokenizer.stopIds,
    };
    const newest: string[] = [];
    for await (const { iteration, inputIds } of steps(model, ids, options)) {
      if (iteration < 20) continue;
      for (const [id] of inputIds) newest.push(visible(tokenizer.decode([id!])));
      break;
    }
    expect(await disk.page.locator(".batch td.new").allInnerTexts()).to.deep.equal(newest);
    model.dispose();
  });

  it("steps forward and back, and shows the same pictures again", async () => {
    const { page } = disk;
    await visit(page, `chapter=cache&build=4&step=1&${SHORT}`);
    const look = async () =>
      `${await text(page, ".cache table")} ${await page.locator(".cache table").innerHTML()}`;
    const shown: string[] = [];
    for (let step = 1; step <= 5; step++) {
      shown.push(await look());
      await page.keyboard.press("ArrowRight");
      await atStep(page, step + 1);
    }
    expect(new Set(shown).size, "steps that look different").to.equal(5);
    for (let step = 5; step >= 1; step--) {
      await page.keyboard.press("ArrowLeft");
      await atStep(page, step);
      expect(await look(), `step ${step}, again`).to.equal(shown[step - 1]);
    }
  });

  it("counts the positions that were computed again, and shows that they did not change", async () => {
    await visit(disk.page, `chapter=waste&build=1&step=4&${SHORT}`); // 6 + 7 + 8 + 9 positions, 9 of them new
    expect(await disk.page.locator(".facts dd").allInnerTexts()).to.have.length(3);
    const [first, again, change] = await disk.page.locator(".facts dd").allInnerTexts();
    expect([first, again]).to.deep.equal(["9", "21"]);
    expect(Number(change)).to.be.below(1e-3);
    expect(await text(disk.page, "[data-test=number]")).to.equal("70 %");
  });

  it("the default run has no padding step, and its work maps have as many squares as the probe counts keys", async () => {
    const { page } = disk;
    await visit(page, "chapter=start&build=2");
    expect(await text(page, "[data-test=step]")).to.equal("32");
    expect(await page.locator(".lane .work-map").first().getAttribute("aria-label")).to.match(
      /32 steps; the last one read 36 positions from the cache, computed 0 again and 1 for the first time/,
    );
    const squares = (mode: string, kind: string) =>
      page
        .locator(`.lane[data-mode=${mode}] .work-map .${kind}`)
        .getAttribute("d")
        .then((d) => {
          const rows = [...d!.matchAll(/M(\d+) [\d.]+H(\d+)/g)]; // a dashed line for each, one square long or more
          return rows.reduce((sum, [, from, to]) => sum + Number(to) - Number(from), 0);
        });
    const [few, many] = [await countKeys(true), await countKeys(false)];
    expect([few, many]).to.deep.equal([37, (37 * 38) / 2 - (5 * 6) / 2]); // 6 + 7 + … + 37
    expect(await squares("cached", "new")).to.equal(few);
    expect(await squares("cached", "again")).to.equal(0);
    expect(await squares("cached", "read")).to.equal(many - few);
    expect(await squares("uncached", "new")).to.equal(few);
    expect(await squares("uncached", "again")).to.equal(many - few);
    expect(await squares("uncached", "read")).to.equal(0);
    const [saved, spent] = (await page.locator("[data-test=operations]").allInnerTexts()).map((one) =>
      Number(one.replaceAll(",", "")),
    );
    expect(Number.parseFloat(await text(page, "h1 [data-test=number]"))).to.be.closeTo(spent! / saved!, 0.1);
    expect(Number(await text(page, "[data-test=difference]"))).to.be.below(0.01);
  });

  it("plays and pauses with the keyboard, to the end", async () => {
    const { page } = disk;
    await visit(page, `chapter=loop&step=1&${SHORT}`);
    await page.getByLabel("speed", { exact: true }).selectOption("8");
    await page.locator("h1").click();
    await page.keyboard.press(" ");
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await page.getByRole("button", { name: "Play" }).waitFor();
    expect(await text(page, "[data-test=step]")).to.equal("12");
  });

  it("has no controls for steps where the figure has none", async () => {
    const { page } = disk;
    for (const [fragment, enabled] of [
      ["chapter=why&build=1", false],
      ["chapter=loop&step=3", true],
      ["chapter=after&build=2", false],
      ["chapter=after&build=8", true], // the ring
    ] as const) {
      await visit(page, `${fragment}&${SHORT}`);
      expect(await page.getByRole("button", { name: "Play" }).isEnabled(), fragment).to.equal(enabled);
      expect(await page.getByLabel("Step", { exact: true }).isEnabled(), fragment).to.equal(enabled);
    }
  });

  it("one button starts the first chapter", async () => {
    const { page } = disk;
    await visit(page, `chapter=start&step=1&${SHORT}`);
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("button", { name: "Again" }).waitFor();
    expect(await text(page, "[data-test=step]")).to.equal("12");
  });

  it("Next leads through every build of every chapter", async () => {
    const { page } = disk;
    await visit(page, `chapter=start&${SHORT}`);
    const next = page.getByRole("button", { name: "Next", exact: true });
    for (const { id, builds } of CHAPTERS) {
      for (const build of builds.keys()) {
        await page.waitForFunction(
          ([chapter, number]) => {
            const view = new URLSearchParams(location.hash.slice(1));
            return view.get("chapter") === chapter && Number(view.get("build")) === number;
          },
          [id, build] as const,
        );
        if (await next.isEnabled()) await next.click();
      }
    }
    expect(await next.isEnabled(), "at the end").to.equal(false);
    await settled(page);
  });

  it("a changed word changes no earlier key or value", async () => {
    const { page } = disk;
    for (const [build, row] of [
      [1, 9],
      [2, 3],
    ] as const) {
      await visit(page, `chapter=why&build=${build}`);
      await page.locator(".change.new").first().waitFor();
      const rows = await page.locator(".why tbody tr").all();
      for (const [i, one] of rows.entries()) {
        const changed = await one.locator(".change.new").count();
        expect(changed, `build ${build}, word ${i}`).to.equal(i < row ? 0 : i === row ? 5 : 4); // not layer 0
      }
    }
    await page.getByRole("button", { name: "Once" }).click();
    await page.locator("tr:nth-child(1) .change.new").nth(4).waitFor();
    expect(await text(page, "[data-test=number]"), "nothing is before the first word").to.equal("–");
    await page.getByRole("button", { name: "king" }).click();
    await page.locator("tr:nth-child(7) .change.same").nth(4).waitFor();
    await page.locator("tr:nth-child(8) .change.new").nth(4).waitFor();
    expect(await text(page, "[data-test=number]")).to.equal("0.0");
  });

  it("a link restores the step, layer, head, build, code and bug", async () => {
    const { page } = disk;
    await visit(page, `chapter=cache&build=3&step=7&layer=3&head=5&code=weights&${SHORT}`);
    expect(await text(page, "[data-test=step]")).to.equal("7");
    expect(await page.getByLabel("layer", { exact: true }).inputValue()).to.equal("3");
    expect(await page.getByLabel("head", { exact: true }).inputValue()).to.equal("5");
    expect(await text(page, ".code-panel strong")).to.equal("Attention weights");
    await visit(page, `chapter=break&build=1&bug=stale-cache&step=3&${SHORT}`);
    expect(await page.getByLabel("planted bug").inputValue()).to.equal("stale-cache");
    await visit(page, "chapter=memory&build=1&memory=llama-3.2-1b,16,8,64,4096,1,32");
    expect(await text(page, "[data-test=number]")).to.equal("268 MB"); // 2 · 16 · 8 · 64 · 4096 · 4
  });

  it("a changed slider changes the formula, and the number of requests that fit", async () => {
    const { page } = disk;
    await visit(page, "chapter=memory&build=1");
    expect(await text(page, "[data-test=fit-80]")).to.equal("59");
    await page.getByLabel("bits").focus();
    await page.keyboard.press("ArrowLeft"); // from 16 to 8 bits
    await page.locator("[data-test=fit-80]").getByText("119", { exact: true }).waitFor();
    expect(await text(page, "[data-test=number]")).to.equal("537 MB");
  });

  it("shows committed results beside those of this browser", async () => {
    const { page } = disk;
    await visit(page, `chapter=tables&step=5&${SHORT}`);
    const groups = await page.locator("tbody .group").allInnerTexts();
    expect(groups[0]).to.match(/^In your browser fairy-tales, 6 tokens in, 5 of 12 steps; wasm/);
    for (const what of ["bundled model", "SmolLM2-135M", "Llama 3.2 1B"]) {
      const group = groups.find((one) => one.includes(what));
      expect(group, what).to.match(
        /256 tokens in, 32 out, .* cores of .*, Node .*; \d{4}-\d\d-\d\d, commit [0-9a-f]{7}/,
      );
    }
  });

  it("dims the old run while a new one is computed, and shows nothing stale after an error", async () => {
    const { page } = disk;
    await visit(page, `chapter=start&step=3&${SHORT}`);
    const prompt = `${"Once there was a king. ".repeat(100)}`;
    await page.evaluate(
      (long) => void (location.hash = `chapter=start&prompt=${encodeURIComponent(long)}`),
      prompt,
    );
    await page.getByText("Computing…").waitFor();
    expect(
      Number(await page.locator(".views figure").evaluate((one) => getComputedStyle(one).opacity)),
    ).to.be.below(0.5);
    await settled(page);
    await page.evaluate(() => void (location.hash = "chapter=start&maxGenLen=5000"));
    await page.getByRole("alert").waitFor();
    expect(await text(page, "[role=alert]")).to.match(/context of 1024 tokens/);
    expect(await page.locator(".views figure").count()).to.equal(0);
    await visit(page, `chapter=start&step=1&${SHORT}`);
    expect(await page.getByRole("alert").count()).to.equal(0);
  });

  it("generates from the reader's own prompts", async () => {
    const { page } = disk;
    await visit(page, "chapter=traces");
    await page.getByRole("textbox", { name: "Prompt 0" }).fill("The king’s <daughter> & 🦦");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.waitForFunction(() => decodeURIComponent(location.hash).includes("<daughter>"));
    await page.keyboard.press("Escape");
    await page.locator("h1").click();
    await page.keyboard.press("0");
    await page.locator(".token-text").first().getByText("<").first().waitFor();
  });

  for (const { id, caughtBy } of BUGS) {
    it(`shows the planted bug ${id}`, async () => {
      const { page } = disk;
      await visit(
        page,
        `chapter=break&build=1&step=8&bug=${id}&prompt=Once+upon+a+time&prompt=The+king&maxGenLen=12`,
      );
      const off = async (mode: string) =>
        Number(await text(page, `.consequence[data-mode=${mode}] [data-test=off-by]`));
      const both = [await off("cached"), await off("uncached")];
      expect(Math.max(...both)).to.be.above(0.01);
      if (!caughtBy.includes("modes")) expect(Math.min(...both), "both modes are wrong").to.be.above(0.01);
      if (/rotary-off|stale|first-never|swapped/.test(id))
        expect(both[1], "the mode without the cache").to.be.below(0.01);
    });
  }

  it("links every chapter to existing code, whole and not cut off", async () => {
    const { page } = disk;
    const shown = CHAPTERS.flatMap(({ id, builds }) =>
      Array.from(builds.keys(), (build) => [id, build] as const).filter(
        ([, build]) => build === 0 || isQuestion(id, build),
      ),
    );
    for (const [id, build] of shown) {
      await visit(page, `chapter=${id}&build=${build}&step=2&${SHORT}`);
      const links = page.locator(".text .code-link");
      for (let i = 0; i < (await links.count()); i++) {
        await links.nth(i).click();
        await page.locator(".code-panel .line").first().waitFor();
        const cut = await page.locator(".source").evaluate((one) => one.scrollWidth - one.clientWidth);
        expect(cut, `${id}, link ${i}: pixels cut off`).to.be.at.most(0);
        await page.keyboard.press("Escape");
        await page.locator(".code-panel").waitFor({ state: "detached" });
      }
    }
  });

  it("replays a saved trace, shows only its contents, and leaves it for another prompt", async () => {
    const { page } = disk;
    const { Lockstep } = await import("../../lecture/lockstep.js");
    const { traceToJson } = await import("../../lecture/trace-file.js");
    const { randomLlama, randomIds, TINY } = await import("../support.js");
    const model = randomLlama();
    const ids = [randomIds(3, 1)];
    const options = { maxGenLen: 4, temperature: 0, topP: 1, seed: 0 };
    const both = new Lockstep(model, ids, { ...options, stopIds: new Set() }, [1]);
    const pairs = [];
    for (let pair = await both.step(); pair; pair = await both.step()) pairs.push(pair);
    model.dispose();
    const trace = {
      format: "kv-cache-lecture trace 2" as const,
      date: "2026-11-24",
      model: "tiny",
      config: TINY,
      backend: "a test",
      prompts: [{ text: "three", ids: ids[0]! }],
      ...options,
      layers: [1],
      tokenStrings: {},
      steps: pairs,
    };
    const load = (json: string) =>
      page
        .locator("input[type=file]")
        .setInputFiles({ name: "t.json", mimeType: "application/json", buffer: Buffer.from(json) });
    await visit(page, "chapter=traces");
    await load("{}");
    await page.getByText("t.json is not a saved trace: format is missing").waitFor();
    await load(traceToJson(trace));
    await page.getByText("generated on a test").waitFor();
    await page.locator("h1").click();
    await page.keyboard.press("3");
    await page.getByLabel("layer", { exact: true }).waitFor();
    expect(await page.getByLabel("layer", { exact: true }).locator("option").allInnerTexts()).to.deep.equal([
      "1",
    ]);
    await page.keyboard.press("0");
    await page.keyboard.press("End");
    await page.locator("[data-mode=cached] [data-test=range]").getByText("5:6").waitFor();
    await visit(page, "chapter=start&step=1&prompt=The+king");
    await page.getByText("The king").first().waitFor();
    expect(await page.getByText("generated on a test").count()).to.equal(0);
  });

  describe("from the server", () => {
    let server: ViteDevServer;
    before(async () => {
      server = await createServer({ configFile: CONFIG, server: { port: 5199 } });
      await server.listen();
    });
    after(() => server?.close());

    it("works the same", async () => {
      const url = server.resolvedUrls!.local[0]!;
      const { page, errors } = await openPage(built.browser, `${url}#chapter=loop&step=3&${SHORT}`);
      expect(await text(page, "[data-mode=cached] [data-test=range]")).to.equal("7:8");
      expect(await text(page, "[data-mode=uncached] [data-test=range]")).to.equal("0:8");
      expect(errors).to.deep.equal([]);
      await page.close();
    });
  });
});

/** Keys per layer and KV head that the default run computes in Node, counted by the probe. */
async function countKeys(useCache: boolean): Promise<number> {
  const { model, tokenizer } = await loadCheckpoint(path("../../fixtures/fairy-tales"));
  const { nLayers, nKvHeads, headDim } = model.config;
  let numbers = 0;
  const probe = (name: string, _: number | undefined, { size }: { size: number }) => {
    if (name === "attention.key") numbers += size;
  };
  const options = { maxGenLen: 32, temperature: 0, topP: 1, seed: 0, useCache, stopIds: tokenizer.stopIds };
  for await (const _ of steps(model, [tokenizer.encode("Once upon a time")], { ...options, probe }));
  model.dispose();
  return numbers / headDim / nLayers / nKvHeads;
}

/** Waits until the page shows a step. */
async function atStep(page: Page, step: number): Promise<void> {
  await page.locator("[data-test=step]").getByText(String(step), { exact: true }).waitFor();
  await settled(page);
}

const visible = (token: string): string =>
  token
    .replaceAll("\n", "⏎")
    .replaceAll(" ", "·")
    .replace(/^·(?=.)/, "");
