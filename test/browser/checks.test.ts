import { createRequire } from "node:module";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { type BuiltPage, builtPage, SHORT } from "./built-page.js";
import { outside, serious, smallText } from "./checks.js";

/** Each check, and a style that must make it complain. */
const BREAKS: readonly [
  name: string,
  check: (page: Page) => Promise<string[]>,
  css: string,
  found: RegExp,
][] = [
  ["a figure below the first screen", outsideAll, ".views { top: 900px }", /figure/],
  [
    "a number beside the screen",
    outsideAll,
    ".head { position: relative; left: 60vw }",
    /data-test="number"/,
  ],
  ["a token that is cut off", outsideAll, ".lanes .token-text { height: 0.5em }", /token/],
  ["text of 20 pixels", (page) => smallText(page, 28), ".slice span { font-size: 20px }", /^20 px: <span/],
  ["faint text", serious, ".lane h2 { color: #bbb !important }", /color-contrast/],
];

describe("The checks of the page's screens", () => {
  let built: BuiltPage;
  before(async () => {
    built = await builtPage();
  });
  after(() => built?.browser.close());

  for (const [name, check, css, found] of BREAKS) {
    it(`find ${name}`, async () => {
      const { page } = await built.open(`chapter=start&step=3&present=1&${SHORT}`, {
        width: 1920,
        height: 1080,
      });
      await page.addScriptTag({ path: createRequire(import.meta.url).resolve("axe-core/axe.min.js") });
      expect(await check(page)).to.deep.equal([]);
      await page.addStyleTag({ content: css });
      expect((await check(page)).join("\n")).to.match(found);
      await page.context().close();
    });
  }
});

function outsideAll(page: Page): Promise<string[]> {
  return outside(page, false);
}
