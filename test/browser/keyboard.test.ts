import { expect } from "chai";
import type { Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/view.js";
import { type BuiltPage, builtPage, SHORT } from "./built-page.js";
import { settled, visit, type WatchedPage } from "./chromium.js";

/** The focused element, as a reader sees it. */
interface Stop {
  readonly name: string;
  /** It has an outline at least 2 pixels wide. */
  readonly marked: boolean;
  /** Some part of it is inside the window and not covered. */
  readonly visible: boolean;
}

describe("The page with the keyboard alone", () => {
  let built: BuiltPage;
  let watched: WatchedPage;
  let page: Page;

  before(async () => {
    built = await builtPage();
    watched = await built.open(`chapter=tokens&step=3&${SHORT}`);
    ({ page } = watched);
  });
  after(() => built?.browser.close());
  afterEach(() => expect(watched.errors, "errors of the page").to.deep.equal([]));

  const focusOn = (selector: string) => page.locator(selector).first().focus();
  const focused = () => page.evaluate(() => (document.activeElement as HTMLElement).innerText);
  const has = (text: string | RegExp) => page.getByText(text).first().waitFor();

  for (const { id } of CHAPTERS) {
    it(`${id}: Tab reaches every control, and the focus is always visible`, async () => {
      for (const [width, height, code] of [
        [1280, 800, "none"],
        [360, 740, "chapter"],
      ] as const) {
        await page.setViewportSize({ width, height });
        const bug = id === "break" ? "&bug=stale-cache" : "";
        await visit(page, `chapter=${id}&step=3&code=${code}${bug}&${SHORT}`);
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        const { stops, missed } = await walk(page);
        expect(
          stops.filter(({ marked }) => !marked),
          `${width} px: focus without an outline`,
        ).to.deep.equal([]);
        expect(
          stops.filter(({ visible }) => !visible),
          `${width} px: focus that is covered`,
        ).to.deep.equal([]);
        expect(missed, `${width} px: controls that Tab does not reach`).to.deep.equal([]);
        expect(stops.length).to.be.above(20);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    });
  }

  it("every listed key works", async () => {
    await visit(page, "chapter=with&step=2&code=none");
    for (const [key, name, value] of [
      ["ArrowRight", "step", "3"],
      ["ArrowLeft", "step", "2"],
      ["Home", "step", "1"],
      ["s", "sequence", "1"],
      ["Shift+S", "sequence", null],
      ["h", "head", "1"],
      ["Shift+H", "head", null],
      ["l", "layer", "1"],
      ["Shift+L", "layer", null],
      ["m", "mode", "cached"],
      ["m", "mode", "uncached"],
      ["m", "mode", null],
      ["c", "code", "chapter"],
      ["c", "code", "none"],
      ["5", "chapter", "loop"],
      ["8", "chapter", "break"],
    ] as const) {
      await page.keyboard.press(key);
      await page.waitForFunction(
        ([asked, expected]) => new URLSearchParams(location.hash.slice(1)).get(asked!) === expected,
        [name, value] as const,
      );
    }
    await page.keyboard.press("End");
    await page.waitForFunction(() => Number(new URLSearchParams(location.hash.slice(1)).get("step")) > 1);
  });

  it("a new chapter starts at its top", async () => {
    await visit(page, `chapter=with&step=2&code=none&${SHORT}`);
    await page.getByRole("link", { name: "The loop →" }).focus();
    expect(await page.evaluate(() => scrollY)).to.be.above(0);
    await page.keyboard.press("Enter");
    await page.locator("h1:focus").getByText("The loop").waitFor();
    expect(await page.evaluate(() => scrollY)).to.equal(0);
  });

  it("the code panel opens, scrolls, closes, and returns the focus", async () => {
    await visit(page, `chapter=with&step=3&code=none&${SHORT}`);
    await focusOn(".panel .code-link");
    const before = await focused();
    await page.keyboard.press("Enter");
    await page.locator(".code-panel .source:focus").waitFor();
    const top = () => page.evaluate(() => document.querySelector(".source")!.scrollTop);
    const at = await top();
    await page.keyboard.press("PageUp");
    await page.waitForFunction((y) => document.querySelector(".source")!.scrollTop < y, at);
    await page.keyboard.press("Escape");
    await page.locator(".code-panel").waitFor({ state: "detached" });
    expect(await focused()).to.equal(before);
    await page.keyboard.press("c");
    await page.locator(".code-panel .source:focus").waitFor();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter"); // the close button
    await page.locator(".code-panel").waitFor({ state: "detached" });
    expect(await focused()).to.equal(before);
  });

  it("arrow keys select a position in a picture", async () => {
    await visit(page, `chapter=with&step=4&${SHORT}`);
    await focusOn("[role=slider]");
    for (const [key, position] of [
      ["ArrowUp", 7],
      ["Home", 0],
      ["ArrowDown", 1],
      ["PageDown", 8],
      ["PageUp", 0],
      ["End", 8],
    ] as const) {
      await page.keyboard.press(key);
      await page.locator(`[role=slider][aria-valuenow="${position}"]`).first().waitFor();
      expect(await page.locator(".inspector").first().innerText()).to.match(
        new RegExp(`^position ${position} `),
      );
    }
    expect(await page.locator("[data-test=step]").innerText()).to.equal("4");
  });

  it("a bug is planted and removed", async () => {
    await visit(page, `chapter=break&step=1&${SHORT}`);
    await focusOn("input[type=radio]:checked");
    await page.keyboard.press("ArrowDown");
    await has("logits are wrong");
    await settled(page);
    expect(await page.evaluate(() => location.href)).to.contain("bug=rotary-offset");
    await page.keyboard.press("ArrowDown");
    await has("Prefill fills the cache, but decode steps do not write to it");
    expect(await page.evaluate(() => location.href)).to.contain("bug=stale-cache");
    await page.keyboard.press("1");
    await has("Planted bug: stale cache");
    await focusOn(".problem button");
    await page.keyboard.press("Enter");
    await page.locator(".problem").waitFor({ state: "detached" });
    await settled(page);
    expect(await page.evaluate(() => location.href)).not.to.contain("bug=");
  });

  it("prompts can be written, survive other updates, and are generated", async () => {
    await visit(page, `chapter=tokens&step=1&${SHORT}`);
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = false)));
    await focusOn(".setup summary");
    await page.keyboard.press("Enter");
    await focusOn("#prompt-0");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("The queen");
    await page.getByRole("button", { name: "Add a prompt" }).focus();
    await page.keyboard.press("Enter");
    await focusOn("#prompt-1");
    await page.keyboard.type("A wolf 1 c");
    await page.locator("input[type=number]").first().focus();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("5");
    await focusOn("h1"); // not a control, so the page handles the next key
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#prompt-0").inputValue()).to.equal("The queen");
    await page.getByRole("button", { name: "Generate" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll(".token-sequence").length === 2);
    await settled(page);
    expect(decodeURIComponent(await page.evaluate(() => location.href)))
      .to.contain("prompt=The+queen&prompt=A+wolf+1+c")
      .and.contain("maxGenLen=5");
  });

  it("a saved trace can be loaded", async () => {
    const dialog = page.waitForEvent("filechooser"); // early, so that the browser opens no dialog of its own
    await visit(page, "chapter=tokens&step=1");
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    await focusOn("input[type=file]");
    await page.keyboard.press("Enter");
    await (
      await dialog
    ).setFiles({ name: "t.json", mimeType: "application/json", buffer: Buffer.from("[]") });
    await has("t.json is not a saved trace");
    await page.getByRole("button", { name: "Dismiss" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor({ state: "detached" });
  });

  it("selects, sliders and the curve's buttons work", async () => {
    await visit(page, `chapter=bill&step=2&${SHORT}`);
    const sliders = page.locator(".bill input[type=range]");
    await sliders.nth(0).focus();
    await page.keyboard.press("ArrowRight");
    await page.locator(".formula").getByText("17", { exact: true }).waitFor();
    await page.locator(".bill select").focus();
    await page.keyboard.press("ArrowDown");
    await page.locator(".formula").getByText("28", { exact: true }).waitFor();
    expect(decodeURIComponent(await page.evaluate(() => location.href))).to.contain(
      "bill=llama-3.2-3b,17,256,32",
    );
    await visit(page, `chapter=loop&step=2&${SHORT}`);
    await page.getByRole("button", { name: "operations", exact: true }).focus();
    await page.keyboard.press(" ");
    await page.locator(".segments [aria-pressed=true]").getByText("operations").waitFor();
    expect(await page.evaluate(() => location.href)).to.contain("curve=flops");
    await page.getByLabel("Step", { exact: true }).focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("[data-test=step]").getByText("3", { exact: true }).waitFor();
  });
});

/** Presses Tab until the focus has visited every stop; also returns the controls that it missed. */
async function walk(page: Page): Promise<{ stops: Stop[]; missed: string[] }> {
  await page.evaluate(() => {
    (document.activeElement as HTMLElement | null)?.blur();
    document.querySelectorAll("[data-visited]").forEach((element) => element.removeAttribute("data-visited"));
  });
  const stops: Stop[] = [];
  for (let press = 0; press < 200; press++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(look);
    if (stop === "visited") break;
    if (stop) stops.push(stop);
  }
  const missed = await page.evaluate(() =>
    [
      ...document.querySelectorAll<HTMLElement>(
        'a[href], button, input, select, textarea, summary, [tabindex="0"]',
      ),
    ]
      .filter(
        (element) => !element.matches(":disabled, [type=radio]:not(:checked)") && element.checkVisibility(),
      )
      .filter((element) => !element.hasAttribute("data-visited"))
      .map((element) => element.outerHTML.slice(0, 120)),
  );
  return { stops, missed };
}

/** In the page: the focused element; "visited" if it was visited before, undefined if nothing has the focus. */
function look(): Stop | "visited" | undefined {
  const element = document.activeElement as HTMLElement;
  if (element === document.body) return undefined;
  if (element.hasAttribute("data-visited")) return "visited";
  element.setAttribute("data-visited", "");
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const box = element.getClientRects()[0]!;
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  // Probe points all over the element. A helper function would not exist in the page.
  const shares = [0.05, 0.25, 0.5, 0.75, 0.95];
  const hits = shares.flatMap((x) =>
    shares.map((y) => document.elementFromPoint(left + (right - left) * x, top + (bottom - top) * y)),
  );
  return {
    name: element.outerHTML.slice(0, 120),
    marked: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
    visible:
      right > left &&
      bottom > top &&
      hits.some((hit) => hit && (element.contains(hit) || hit.contains(element))),
  };
}
