import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { LECTURE_PROMPTS } from "../../scripts/lecture-prompts.js";
import { loadCheckpoint, loadBackend, steps } from "../../src/index.js";
import { BUGS } from "../../lecture/bugs.js";
import { CHAPTERS } from "../../lecture/page/view.js";
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
    disk = await built.open("chapter=tokens&step=1");
  });
  after(() => built?.browser.close());
  afterEach(() => expect(disk.errors, "errors of the page").to.deep.equal([]));

  it("is one file under 12 MB", async () => {
    expect((await stat(BUILT)).size).to.be.within(8e6, 12e6);
  });

  it("generates the same tokens as Node, in both modes", async () => {
    const { model, tokenizer } = await loadCheckpoint(path("../../fixtures/fairy-tales"));
    const prompts = LECTURE_PROMPTS.map((prompt) => tokenizer.encode(prompt));
    const cases = [
      { fragment: "step=20", prompts, options: { maxGenLen: 32, temperature: 0, topP: 0.9, seed: 0 } },
      {
        fragment: `step=12&${SHORT}&temperature=0.8&seed=7`,
        prompts: [tokenizer.encode("Once upon a time")],
        options: { maxGenLen: 12, temperature: 0.8, topP: 0.9, seed: 7 },
      },
    ];
    for (const { fragment, prompts: ids, options } of cases) {
      await visit(disk.page, `chapter=loop&${fragment}`);
      for (const [mode, useCache] of [
        ["cached", true],
        ["uncached", false],
      ] as const) {
        const last = Number(/step=(\d+)/.exec(fragment)![1]);
        const expected: string[] = [];
        for await (const step of steps(model, ids, { ...options, useCache, stopIds: tokenizer.stopIds })) {
          expected.push(step.next.map(({ id }) => visible(tokenizer.decode([id]))).join(" "));
          if (step.iteration === last) break;
        }
        const shown = await disk.page.locator(`.inputs[data-mode=${mode}] .next .token`).allInnerTexts();
        expect(shown.join(" "), `${mode}, ${fragment}`).to.equal(expected.at(-1));
      }
    }
    model.dispose();
  });

  it("steps forward and back, and shows the same pictures again", async () => {
    const { page } = disk;
    await visit(page, `chapter=with&step=1&${SHORT}`);
    const shown: string[] = [];
    const look = async () =>
      `${await text(page, "[data-mode=cached] h3 small")} ${await text(page, "[data-mode=uncached] h3 small")} ` +
      `${await text(page, "[data-mode=cached] .inspector")} ${await picture(page, "cached")} ${await picture(page, "uncached")}`;
    for (let step = 1; step <= 5; step++) {
      shown.push(await look());
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(
        (n) => document.querySelector("[data-test=step]")?.textContent === String(n),
        step + 1,
      );
      await settled(page);
    }
    expect(new Set(shown).size, "steps that look different").to.equal(5);
    for (let step = 5; step >= 1; step--) {
      await page.keyboard.press("ArrowLeft");
      await page.waitForFunction(
        (n) => document.querySelector("[data-test=step]")?.textContent === String(n),
        step,
      );
      expect(await look(), `step ${step}, again`).to.equal(shown[step - 1]);
    }
  });

  it("counts computed, reused and recomputed positions", async () => {
    await visit(disk.page, `chapter=with&step=4&${SHORT}`); // prompt of 6 tokens: the input of step 4 is 8:9
    const count = async (mode: string, state: string) =>
      Number(await text(disk.page, `[data-mode=${mode}] [data-test=${state}]`));
    expect([await count("cached", "computed"), await count("cached", "reused")]).to.deep.equal([1, 8]);
    expect([await count("uncached", "computed"), await count("uncached", "recomputed")]).to.deep.equal([
      1, 8,
    ]);
    expect(await text(disk.page, "[data-mode=uncached] .note")).to.match(/Recomputed without a change/);
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
    expect(Number(await text(page, "[data-test=difference]"))).to.be.below(0.01);
  });

  it("a link restores the step, layer, head and mode", async () => {
    await visit(disk.page, "chapter=with&step=12&layer=3&head=5&sequence=2&mode=cached");
    const { page } = disk;
    expect(await text(page, "[data-test=step]")).to.equal("12");
    expect(await page.getByLabel("layer", { exact: true }).inputValue()).to.equal("3");
    expect(await page.getByLabel("head", { exact: true }).inputValue()).to.equal("5");
    expect(await page.locator(".panel").count()).to.equal(1);
    expect(new URL(await page.evaluate(() => location.href)).hash)
      .to.contain("layer=3")
      .and.contain("mode=cached");
  });

  it("a link restores the code, the curve, the bill and the bug", async () => {
    const { page } = disk;
    const bill = "bill=llama-3.2-3b,1,4096,512";
    await visit(
      page,
      `chapter=break&step=7&bug=stale-cache&sequence=1&layer=2&mode=uncached&code=weights&curve=kv&${bill}`,
    );
    expect(await page.getByRole("radio", { checked: true }).getAttribute("value")).to.equal("stale-cache");
    expect(await text(page, ".code-panel strong")).to.equal("Attention weights");
    expect(await page.getByLabel("modes", { exact: true }).inputValue()).to.equal("uncached");
    await page.keyboard.press("5");
    await page.waitForFunction(
      () => document.querySelector(".code-panel strong")?.textContent === "prevPos and curPos",
    );
    expect(await text(page, ".segments [aria-pressed=true]")).to.equal("K/V entries computed");
    await page.keyboard.press("6");
    await page.locator("[data-test=cache-bytes]").waitFor();
    expect(await text(page, "[data-test=cache-bytes]")).to.equal("1.06 GB"); // 2 · 28 · 8 · 128 · 4608 · 4
    const { hash } = new URL(await page.evaluate(() => location.href));
    await visit(page, "chapter=tokens&step=1&code=none");
    expect(await page.locator(".code-panel").count()).to.equal(0);
    await visit(page, hash);
    expect(await text(page, "[data-test=cache-bytes]")).to.equal("1.06 GB");
    expect(await text(page, ".code-panel strong")).to.equal("Bytes of the cache");
  });

  it("shows committed results beside those of this browser", async () => {
    const { page } = disk;
    await visit(page, `chapter=table&step=5&code=none&${SHORT}`);
    const groups = await page.locator("tbody .group").allInnerTexts();
    expect(groups[0]).to.match(/^In your browser fairy-tales, 6 tokens in, 5 of 12 steps; wasm/);
    for (const what of ["bundled model", "SmolLM2-135M", "Llama 3.2 1B"]) {
      const group = groups.find((one) => one.includes(what));
      expect(group, what).to.match(
        /256 tokens in, 32 out, .* cores of .*, Node .*; \d{4}-\d\d-\d\d, commit [0-9a-f]{7}/,
      );
    }
    await page.getByRole("button", { name: "Run the table’s first case" }).click();
    const here = page.locator("tbody.here");
    await here.getByText(/256 tokens in, \d+ of 32 steps/).waitFor();
    await page.waitForFunction(() => {
      const ratio = document.querySelector("tbody.here td:nth-of-type(4)")?.textContent ?? "";
      return Number.parseFloat(ratio) > 3; // operations from the fourth step on: 256 + 257 + … to 259
    });
    await visit(page, `chapter=table&step=1&${SHORT}`); // does not wait for the other steps
  });

  it("generates from the reader's own prompts", async () => {
    const { page } = disk;
    await visit(page, "chapter=tokens&step=1");
    await page.getByText("Your own prompts, options, saved traces").click();
    await page.getByRole("button", { name: "one tale" }).click();
    await page.waitForFunction(() => document.querySelectorAll("textarea").length === 1);
    await page.getByRole("textbox", { name: "Prompt 0" }).fill("The king’s <daughter> & 🦦");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.waitForFunction(() => document.querySelector(".token-sequence")?.textContent?.includes("<"));
    await settled(page);
    expect(await page.locator(".token-sequence").count()).to.equal(1);
    expect(decodeURIComponent(new URL(await page.evaluate(() => location.href)).hash)).to.contain(
      "<daughter>",
    );
  });

  it("explains an invalid request in one sentence", async () => {
    const { page } = disk;
    await visit(page, "chapter=tokens&step=1&maxGenLen=12");
    await page.evaluate(() => void (location.hash = "chapter=tokens&maxGenLen=5000"));
    await page.getByRole("alert").waitFor();
    expect(await text(page, "[role=alert]")).to.match(/context of 1024 tokens/);
    await visit(page, "chapter=tokens&step=1");
  });

  for (const { id, caughtBy } of BUGS) {
    it(`shows the planted bug ${id}`, async () => {
      const { page } = disk;
      await visit(
        page,
        `chapter=break&step=8&bug=${id}&prompt=Once+upon+a+time&prompt=The+king&maxGenLen=12`,
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

  it("links every element to existing code", async () => {
    const { page } = disk;
    for (const { id } of CHAPTERS) {
      await visit(page, `chapter=${id}&step=2&${SHORT}`);
      const links = page.locator("main .code-link");
      expect(await links.count(), id).to.be.above(0);
      for (let i = 0; i < (await links.count()); i++) {
        if ((await links.nth(i).getAttribute("aria-pressed")) === "false") await links.nth(i).click();
        await page.locator("main .code-link").nth(i).and(page.locator("[aria-pressed=true]")).waitFor();
        expect(await page.locator(".line.marked").count(), `${id}, link ${i}`).to.be.above(0);
      }
    }
    await page.keyboard.press("Escape");
    await page.locator(".code-panel").waitFor({ state: "detached" });
  });

  it("replays a saved trace, and shows only its contents", async () => {
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
    await visit(page, "chapter=tokens&step=1");
    const load = async (json: string) => {
      if (!(await page.locator("input[type=file]").isVisible()))
        await page.getByText("Your own prompts, options").click();
      await page
        .locator("input[type=file]")
        .setInputFiles({ name: "t.json", mimeType: "application/json", buffer: Buffer.from(json) });
    };
    await load("{}");
    await page.getByText("t.json is not a saved trace: format is missing").waitFor();
    await load(traceToJson(trace));
    await page.getByText("generated on a test").waitFor();
    expect(await page.getByLabel("layer", { exact: true }).locator("option").allInnerTexts()).to.deep.equal([
      "1",
    ]);
    await visit(page, "chapter=with&step=4");
    expect(await text(page, "[data-mode=cached] h3 small")).to.equal("input 5:6");
    await visit(page, "chapter=tokens&step=1");
    await page.getByRole("button", { name: "Return to the bundled model" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".token-sequence").length > 0);
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

const visible = (token: string): string => token.replaceAll("\n", "⏎").replaceAll(" ", "·");

/** The picture as a data URL, to compare its pixels. */
const picture = (page: Page, mode: string): Promise<string> =>
  page.evaluate(
    (name) => document.querySelector<HTMLCanvasElement>(`[data-mode=${name}] canvas`)!.toDataURL(),
    mode,
  );
