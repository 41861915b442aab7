import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/chapters.js";
import { BUILT, type BuiltPage, builtPage, SHORT } from "./built-page.js";
import { visit } from "./chromium.js";

const SHOTS = fileURLToPath(new URL("../../results/lecture", import.meta.url));

describe("The page under other conditions", () => {
  let built: BuiltPage;
  before(async () => {
    built = await builtPage();
  });
  after(() => built?.browser.close());

  /** Computed style of the first element that matches. */
  const style = (page: Page, selector: string, name: string): Promise<string> =>
    page
      .locator(selector)
      .first()
      .evaluate((element, property) => getComputedStyle(element).getPropertyValue(property), name);

  /** Saves a screenshot of each chapter. */
  const shoot = async (page: Page, name: string): Promise<void> => {
    for (const { id, builds } of CHAPTERS) {
      await visit(page, `chapter=${id}&build=${builds.length - 1}`);
      await page.screenshot({ path: join(SHOTS, `${id}-${name}.png`) });
    }
  };

  it("forced colours: the current chapter, build and token stand out, and the map's kinds differ", async () => {
    const { page } = await built.open(`chapter=start&step=4&${SHORT}`, { forcedColors: "active" });
    expect(await style(page, ".top [aria-current]", "background-color")).not.to.equal(
      await style(page, ".top nav a:not([aria-current])", "background-color"),
    );
    expect(await style(page, ".lane .token.again", "border-bottom-style")).to.equal("double");
    expect(await style(page, ".lane .token.again", "color")).not.to.equal(
      await style(page, ".lane .token.again", "background-color"),
    );
    expect(await style(page, ".lane .token.new", "background-color")).not.to.equal(
      await style(page, ".lane .token.again", "background-color"),
    );
    const colours = await Promise.all(
      ["new", "again", "read"].map((kind) => style(page, `.work-map .${kind}`, "stroke")),
    );
    expect(new Set(colours).size).to.equal(3);
    expect(await style(page, ".lane .token.next", "outline-style")).to.equal("solid");
    await visit(page, `chapter=why&build=1&${SHORT}`);
    expect(await style(page, ".builds [aria-pressed=true]", "outline-style")).to.equal("solid");
    await shoot(page, "forced-colors");
    await page.context().close();
  });

  it("print: the text, the figure and its marks are on paper, the controls are not", async () => {
    const { page } = await built.open(`chapter=waste&build=1&step=6&${SHORT}`);
    await page.emulateMedia({ media: "print" });
    expect(await page.locator(".transport").isVisible()).to.equal(false);
    expect(await page.locator(".prose").isVisible()).to.equal(true);
    expect(await style(page, ".work-map", "print-color-adjust")).to.equal("exact");
    expect(await style(page, ".key.again", "print-color-adjust")).to.equal("exact");
    expect(await style(page, ".top [aria-current]", "border-top-style")).to.equal("solid");
    await shoot(page, "print");
    await page.context().close();
  });

  it("200 % zoom: the controls do not cover the text, and nothing scrolls sideways", async () => {
    const { page } = await built.open(`chapter=cache&build=1&step=6&${SHORT}`, { width: 640, height: 360 });
    expect(await style(page, ".transport", "position")).to.equal("static");
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).to.be.at.most(0);
    await page.context().close();
  });

  it("a host that forbids WebAssembly gets our sentence", async () => {
    const html = await readFile(BUILT, "utf8");
    const policy =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' blob: data:; worker-src blob: data:; connect-src blob:; img-src data:";
    const path = BUILT.replace("index.html", "policy.html");
    await writeFile(
      path,
      html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${policy}">`),
    );
    const page = await built.browser.newPage();
    await page.goto(pathToFileURL(path).href);
    await page.getByRole("alert").waitFor({ timeout: 60_000 });
    expect(await page.getByRole("alert").innerText()).to.match(
      /Content-Security-Policy must allow WebAssembly/,
    );
    await page.close();
  });
});
