import { expect } from "chai";
import type { Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/chapters.js";
import { type BuiltPage, builtPage, SHORT } from "./built-page.js";
import { settled, visit } from "./chromium.js";

/** Limit for the cumulative layout shift. Browsers call 0.1 good. */
const STILL = 0.01;

describe("Stability of the page", () => {
  let built: BuiltPage;
  before(async () => {
    built = await builtPage();
  });
  after(() => built?.browser.close());

  for (const width of [360, 1280]) {
    it(`${width} px: nothing moves while it loads or steps`, async () => {
      const { page } = await built.open("chapter=start&step=1", { width });
      await page.evaluate(watchShifts);
      expect(await shifts(page), "while it loads").to.deep.equal([]);
      for (const { id } of CHAPTERS) {
        await visit(page, `chapter=${id}&build=1&step=3${id === "break" ? "&bug=rotary-off-by-one" : ""}`);
        await shifts(page); // a new chapter may change the layout
        const last = id === "break" ? 7 : 9; // a run with a bug ends soon after its first wrong token
        for (let step = 4; step <= last; step++) {
          await page.keyboard.press("ArrowRight");
          await page.locator("[data-test=step]").getByText(String(step), { exact: true }).waitFor();
          await settled(page);
        }
        expect(await shifts(page), `${id}, stepping`).to.deep.equal([]);
      }
      await page.context().close();
    });
  }

  it("nothing is animated for readers who prefer reduced motion", async () => {
    const animated = (page: Page) =>
      page.evaluate(() => [
        ...new Set(
          [...document.querySelectorAll("*")]
            .filter((element) => {
              const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(element);
              return (
                /[1-9]/.test(transitionDuration) || animationName !== "none" || scrollBehavior === "smooth"
              );
            })
            .map((element) => getComputedStyle(element).animationName),
        ),
      ]);
    const { page } = await built.open(`chapter=start&step=2&${SHORT}`);
    for (const { id } of CHAPTERS) {
      await visit(page, `chapter=${id}&build=1&step=3&${SHORT}`);
      expect(await animated(page), id).to.deep.equal([]);
    }
    await page.emulateMedia({ reducedMotion: "no-preference" });
    for (const [fragment, name] of [
      ["chapter=cache&build=1&step=4", "slide"],
      ["chapter=cache&build=2&step=4", "sweep"],
      ["chapter=loop&build=1&step=4", "flash-even"],
      ["chapter=loop&build=1&step=5", "flash"], // another name, so that each step restarts it
      ["chapter=start&step=4", "appear"],
    ] as const) {
      await visit(page, `${fragment}&${SHORT}`);
      expect(await animated(page), `${fragment}, for others`).to.include(name);
    }
    await page.context().close();
  });
});

/** In the page: collects layout shifts from the start. */
function watchShifts(): void {
  const layoutShifts: string[] = [];
  Object.assign(globalThis, { layoutShifts });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & {
      value: number;
      sources: { node: Element | null }[];
    })[]) {
      const moved = entry.sources.filter(({ node }) => !node?.closest(".strip > *")); // text that scrolls
      const names = moved.map(({ node }) => node?.outerHTML.slice(0, 80)).join(" | ");
      if (moved.length > 0) layoutShifts.push(`${entry.value} ${names}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** The layout shifts since the last call, if they add up to more than `STILL`. */
async function shifts(page: Page): Promise<string[]> {
  const layoutShifts = await page.evaluate(async () => {
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    return (globalThis as unknown as { layoutShifts: string[] }).layoutShifts.splice(0);
  });
  const sum = layoutShifts.reduce((total, one) => total + Number.parseFloat(one), 0);
  return sum > STILL ? layoutShifts : [];
}
