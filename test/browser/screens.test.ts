import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { type ChapterId, CHAPTERS, isQuestion, topicOf } from "../../lecture/page/chapters.js";
import { type BuiltPage, builtPage } from "./built-page.js";
import { outside, serious, smallText } from "./checks.js";
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
          await computed(page);
          if (build === builds.length - 1 || build === 1 || topicOf(id, build).part > 1) {
            await page.screenshot({ path: `${SHOTS}/${id}-${build}-${name}.png` });
          }
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(wide, `${where}: overflow in pixels`).to.be.at.most(0);
          expect(await outside(page, LONG.has(id)), `${where}: outside of the first screen`).to.deep.equal(
            [],
          );
          expect(await page.locator("[data-test=number]").first().innerText(), where).to.match(
            isQuestion(id, build) && id !== "start" ? /^\?$/ : /\d/,
          );
          if (axe && (build === builds.length - 1 || topicOf(id, build).part > 1))
            expect(await serious(page), where).to.deep.equal([]);
        }
      }
      expect(errors).to.deep.equal([]);
      await page.context().close();
    });
  }

  for (const [width, height, dark, smallest] of [
    [1920, 1080, false, 28],
    [1920, 1080, true, 28],
    [1280, 720, false, 16],
    [1024, 768, false, 0.016 * 768], // an old projector
  ] as const) {
    const name = `presenter-${width === 1920 ? "" : `${width}x${height}-`}${dark ? "dark" : "light"}`;
    it(`${name}: no text is below ${smallest} pixels, and all of it fits`, async () => {
      const size = { width, height, dark };
      const { page, errors } = await built.open("chapter=start&step=20&present=1", size);
      for (const { id, builds } of CHAPTERS) {
        for (const build of builds.keys()) {
          await visit(page, `chapter=${id}&build=${build}&present=1`);
          await computed(page);
          if (build === builds.length - 1 || build === 1 || topicOf(id, build).part > 1) {
            await page.screenshot({ path: `${SHOTS}/${id}-${build}-${name}.png` });
          }
          expect(await smallText(page, smallest), `${id}, build ${build}`).to.deep.equal([]);
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
      for (const build of builds.keys()) {
        await visit(page, `chapter=${id}&build=${build}`);
        const where = `${id}, build ${build}`;
        const words = (await page.locator(".prose p").allInnerTexts()).join(" ").split(/\s+/).filter(Boolean);
        expect(words.length, where).to.be.at.most(80);
        if (isQuestion(id, build) && id !== "start") {
          expect(await page.locator(".line.question").innerText(), where).to.match(/\?/);
        }
      }
    }
    await page.context().close();
  });
});

/** Waits until the figure and its number are computed. */
async function computed(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const shown = document.querySelectorAll(".number, [data-chapter=after] .views figure");
    return [...shown].every(({ textContent }) => !textContent.includes("…"));
  });
}
