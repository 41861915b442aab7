import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { type ChapterId, CHAPTERS } from "../../lecture/page/chapters.js";
import { type BuiltPage, builtPage } from "./built-page.js";
import { visit } from "./chromium.js";

const SHOTS = fileURLToPath(new URL("../../results/lecture", import.meta.url));
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** The appendices' tables and form may be longer than the screen. */
const LONG: ReadonlySet<ChapterId> = new Set(["tables", "traces"]);

describe("The page's screens", () => {
  let built: BuiltPage;
  before(async () => {
    built = await builtPage();
    await mkdir(SHOTS, { recursive: true });
  });
  after(() => built?.browser.close());

  for (const [width, height, dark, axe] of [
    [1920, 1080, false, true],
    [1920, 1080, true, true],
    [1280, 720, false, false],
    [360, 740, false, true],
  ] as const) {
    const name = `${width}x${height}-${dark ? "dark" : "light"}`;
    it(`${name}: figure and number are on the first screen, nothing overflows${axe ? ", axe-core finds nothing serious" : ""}`, async () => {
      const { page, errors } = await built.open("chapter=start&step=20", { width, height, dark });
      await page.addScriptTag({ path: AXE });
      for (const { id, builds } of CHAPTERS) {
        for (const build of builds.keys()) {
          await visit(page, `chapter=${id}&build=${build}${id === "start" ? "&step=20" : ""}`);
          await page.evaluate(() => scrollTo(0, 0));
          const where = `${id}, build ${build}`;
          await page.waitForFunction(() => !document.querySelector(".number")?.textContent?.startsWith("…"));
          if (build === builds.length - 1 || build === 1) {
            await page.screenshot({ path: `${SHOTS}/${id}-${build}-${name}.png` });
          }
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(wide, `${where}: overflow in pixels`).to.be.at.most(0);
          expect(await outside(page, LONG.has(id)), `${where}: outside of the first screen`).to.deep.equal(
            [],
          );
          expect(await page.locator("[data-test=number]").first().innerText(), where).to.match(
            build > 0 || id === "start" || builds.length === 1 ? /\d/ : /^\?$/,
          );
          if (axe && build === builds.length - 1) expect(await serious(page), where).to.deep.equal([]);
        }
      }
      expect(errors).to.deep.equal([]);
      await page.context().close();
    });
  }

  for (const dark of [false, true]) {
    it(`presenter mode, ${dark ? "dark" : "light"}: no text is below 28 pixels at 1920 x 1080, and all of it fits`, async () => {
      const size = { width: 1920, height: 1080, dark };
      const { page, errors } = await built.open("chapter=start&step=20&present=1", size);
      for (const { id, builds } of CHAPTERS) {
        for (const build of builds.keys()) {
          await visit(page, `chapter=${id}&build=${build}&present=1`);
          if (build === builds.length - 1 || build === 1) {
            await page.screenshot({
              path: `${SHOTS}/${id}-${build}-presenter-${dark ? "dark" : "light"}.png`,
            });
          }
          expect(await smallText(page, 28), `${id}, build ${build}`).to.deep.equal([]);
          if (!LONG.has(id)) expect(await outside(page, false), `${id}, build ${build}`).to.deep.equal([]);
          expect(await page.locator(".prose").count()).to.equal(0);
        }
      }
      expect(errors).to.deep.equal([]);
      await page.context().close();
    });
  }

  it("each chapter has at most 80 words beside its figure, and a question before its answer", async () => {
    const { page } = await built.open("chapter=start");
    for (const { id, builds } of CHAPTERS) {
      await visit(page, `chapter=${id}`);
      const words = (await page.locator(".prose p").allInnerTexts()).join(" ").split(/\s+/).filter(Boolean);
      expect(words.length, id).to.be.at.most(80);
      if (builds.length > 1 && id !== "start") {
        expect(await page.locator(".line.question").innerText(), id).to.match(/\?/);
      }
    }
    await page.context().close();
  });
});

/** Parts of the figure and its number that are not inside the window, above the transport. */
function outside(page: Page, long: boolean): Promise<string[]> {
  return page.evaluate((isLong) => {
    const bottom = document.querySelector(".transport")!.getBoundingClientRect().top + 1;
    const parts = isLong ? [] : [...document.querySelectorAll(".views figure, .views figure *")];
    return [...parts, ...document.querySelectorAll(".head *")]
      .filter((element) => element.checkVisibility() && !element.closest(".sr"))
      .filter((element) => !element.closest("math")) // scrolls in a narrow window
      .filter((element) => {
        const box = element.getBoundingClientRect();
        if (box.width === 0 || box.height === 0) return false;
        return box.left < -1 || box.right > innerWidth + 1 || box.top < -1 || box.bottom > bottom;
      })
      .map(
        (element) => `${element.outerHTML.slice(0, 100)} ${JSON.stringify(element.getBoundingClientRect())}`,
      )
      .slice(0, 3);
  }, long);
}

/** Visible text that is smaller than the given number of pixels. */
function smallText(page: Page, pixels: number): Promise<string[]> {
  return page.evaluate((limit) => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found: string[] = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement!;
      if (!node.textContent!.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(".sr, option, title")) continue;
      const size = Number.parseFloat(getComputedStyle(element).fontSize);
      if (size < limit - 0.1) found.push(`${size} px: ${element.outerHTML.slice(0, 80)}`);
    }
    return found.slice(0, 5);
  }, pixels);
}

/** Serious and critical violations that axe-core finds. */
function serious(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run(document);
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
}
