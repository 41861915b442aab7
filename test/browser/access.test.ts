import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/view.js";
import { type BuiltPage, builtPage } from "./built-page.js";
import { visit } from "./chromium.js";

const SHOTS = fileURLToPath(new URL("../../results/lecture", import.meta.url));
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

describe("Accessibility of the page", () => {
  let built: BuiltPage;
  before(async () => {
    built = await builtPage();
    await mkdir(SHOTS, { recursive: true });
  });
  after(() => built?.browser.close());

  for (const [width, height, dark] of [
    [360, 740, false],
    [360, 740, true],
    [1280, 800, false],
    [1600, 900, false],
    [1600, 900, true],
  ] as const) {
    const colours = dark ? "dark" : "light";
    it(`${width} px, ${colours}: nothing overflows, and axe-core finds nothing serious`, async () => {
      const { page, errors } = await built.open("step=8", { width, height, dark });
      await page.addScriptTag({ path: AXE });
      for (const { id } of CHAPTERS) {
        await visit(page, `chapter=${id}&step=8${id === "break" ? "&bug=rotary-offset" : ""}`);
        await page.evaluate(() => scrollTo(0, 0));
        const tall = await page.evaluate(() => document.documentElement.scrollHeight);
        await page.setViewportSize({ width, height: tall }); // the whole page, the transport at its end
        await page.screenshot({ path: `${SHOTS}/${id}-${width}-${colours}.png` });
        await page.setViewportSize({ width, height });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        expect(wide, `${id}: overflow in pixels`).to.be.at.most(0);
        expect(await serious(page), id).to.deep.equal([]);
      }
      expect(errors).to.deep.equal([]);
      await page.context().close();
    });
  }
});

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
