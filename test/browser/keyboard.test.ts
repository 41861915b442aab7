import { expect } from "chai";
import type { Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/chapters.js";
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
    watched = await built.open(`chapter=start&step=3&${SHORT}`);
    ({ page } = watched);
  });
  after(() => built?.browser.close());
  afterEach(() => expect(watched.errors, "errors of the page").to.deep.equal([]));

  const focusOn = (selector: string) => page.locator(selector).first().focus();
  const has = (text: string | RegExp) => page.getByText(text).first().waitFor();

  for (const { id } of CHAPTERS) {
    it(`${id}: Tab reaches every control, and the focus is always visible`, async () => {
      for (const [width, height, code] of [
        [1280, 800, ""],
        [360, 740, "&code=append"],
      ] as const) {
        await page.setViewportSize({ width, height });
        await visit(page, `chapter=${id}&step=3&build=1${code}&${SHORT}`);
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
        expect(stops.length).to.be.above(15);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    });
  }

  /** Waits until the address has a value; null if it must not have one. */
  const waitFor = (name: string, value: string | null) =>
    page.waitForFunction(
      ([asked, expected]) => new URLSearchParams(location.hash.slice(1)).get(asked!) === expected,
      [name, value] as const,
    );

  it("every listed key works", async () => {
    await visit(page, `chapter=cache&step=2&${SHORT}&prompt=The+king`);
    for (const [key, name, value] of [
      ["ArrowRight", "step", "3"],
      ["ArrowLeft", "step", "2"],
      ["Home", "step", "1"],
      ["End", "step", "15"], // the prompts have 6 and 3 tokens
      ["s", "sequence", "1"],
      ["Shift+S", "sequence", null],
      ["h", "head", "1"],
      ["Shift+H", "head", null],
      ["l", "layer", "1"],
      ["Shift+L", "layer", null],
      ["c", "code", "append"],
      ["c", "code", null],
      ["p", "present", "1"],
      ["p", "present", null],
      ["4", "chapter", "loop"],
      ["7", "chapter", "break"],
      ["8", "chapter", "after"],
      ["0", "chapter", "start"],
    ] as const) {
      await page.keyboard.press(key);
      await waitFor(name, value);
    }
    await page.keyboard.press("t");
    await page.locator(":root[data-theme=light]").waitFor();
    await page.keyboard.press("t");
    await page.keyboard.press("t");
    await page.keyboard.press("?");
    await page.locator("dialog[open]").getByText("presenter mode").first().waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement !== null);
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement === null);
  });

  it("a clicker's keys step through builds, then chapters, and back", async () => {
    await visit(page, `chapter=waste&present=1&${SHORT}`);
    for (const [key, chapter, build] of [
      ["PageDown", "waste", "1"],
      ["PageDown", "waste", "2"],
      ["PageDown", "why", null],
      ["PageUp", "waste", "2"],
      ["PageUp", "waste", "1"],
    ] as const) {
      await page.keyboard.press(key);
      await waitFor("chapter", chapter);
      await waitFor("build", build);
    }
    await page.keyboard.press("b");
    await page.locator(":root.black").waitFor();
    await page.keyboard.press("PageDown"); // only ends the black screen, as any key does
    await page.locator(":root:not(.black)").waitFor();
    await waitFor("build", "1");
    await page.getByLabel("Step", { exact: true }).focus(); // a slider has its own PageDown
    await page.keyboard.press("PageDown");
    await waitFor("build", "2");
    await page.keyboard.press("F5"); // a clicker's start
    await page.waitForFunction(() => document.fullscreenElement !== null);
    await page.keyboard.press("F5");
    await page.waitForFunction(() => document.fullscreenElement === null);
    await waitFor("build", "2");
    await page.locator("h1").click();
    await page.keyboard.press("p");
  });

  it("the lecturer's notes open in a window that follows and takes the same keys", async () => {
    await visit(page, `chapter=waste&present=1&${SHORT}`);
    const popup = page.waitForEvent("popup");
    await page.keyboard.press("n");
    const notes = await popup;
    await notes.getByRole("heading", { name: "1 The waste: question" }).waitFor();
    await notes.getByText("Let them answer before you go on").waitFor();
    await notes.getByText("Next: answer").waitFor();
    await notes.keyboard.press("PageDown");
    await notes.getByRole("heading", { name: "1 The waste: answer" }).waitFor();
    await waitFor("build", "1");
    await notes.close();
    await page.keyboard.press("p");
  });

  it("Back returns chapter by chapter", async () => {
    await visit(page, `chapter=start&step=2&${SHORT}`);
    const order = ["waste", "loop", "memory"];
    for (const [i, key] of ["1", "4", "6"].entries()) {
      await page.keyboard.press(key);
      await waitFor("chapter", order[i]!);
      await page.keyboard.press("ArrowLeft"); // a step is no entry of its own
    }
    await page.getByRole("link", { name: "Break it" }).first().click();
    await waitFor("chapter", "break");
    for (const chapter of [...order.toReversed(), "start"]) {
      await page.goBack();
      await waitFor("chapter", chapter);
      await page.locator(`.page[data-chapter=${chapter}]`).waitFor();
    }
    await page.goForward();
    await waitFor("chapter", "waste");
  });

  it("a new chapter starts at its top", async () => {
    await visit(page, `chapter=waste&step=2&${SHORT}`);
    await page.locator(".around a").last().focus();
    expect(await page.evaluate(() => scrollY)).to.be.above(0);
    await page.keyboard.press("Enter");
    await page.locator("h1:focus").getByText("Why keys").waitFor();
    expect(await page.evaluate(() => scrollY)).to.equal(0);
  });

  it("the code takes the focus, and Escape closes it", async () => {
    await visit(page, `chapter=loop&step=2&${SHORT}`);
    await focusOn(".code-link");
    await page.keyboard.press("Enter");
    await page.locator(".code-panel button:focus").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".code-panel").waitFor({ state: "detached" });
  });

  it("a prediction is made before the answer, judged with it, and gone with another bug", async () => {
    await visit(page, `chapter=break&bug=rotary-offset&${SHORT}`);
    for (const [group, name] of [
      ["Prediction: With the KV cache", "goes wrong"],
      ["Prediction: Without the cache", "stays right"],
    ] as const) {
      await page.getByRole("group", { name: group }).getByRole("button", { name }).focus();
      await page.keyboard.press("Enter");
    }
    await waitFor("vote", "wr");
    await page.getByRole("button", { name: "Show" }).focus();
    await page.keyboard.press("Enter");
    await has("Only the mode with the cache. You predicted that.");
    await page.getByRole("combobox", { name: "planted bug" }).selectOption("head-grouping");
    await has(/^Both\. [^.]*\.$/);
    await waitFor("vote", null);
  });

  it("a bug is planted and removed", async () => {
    await visit(page, `chapter=break&build=1&step=4&${SHORT}`);
    await focusOn(".bug select");
    await page.keyboard.press("ArrowDown");
    await waitFor("bug", "stale-cache");
    await has("Prefill fills the cache, but decode steps do not write to it");
    await settled(page);
    await page.keyboard.press("Home");
    await waitFor("bug", "");
    await has("both modes agree with the correct model");
  });

  it("prompts can be written, survive other updates, and are generated", async () => {
    await visit(page, `chapter=traces&step=1&${SHORT}`);
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
    await page.waitForFunction(() => location.hash.includes("A+wolf+1+c"));
    await settled(page);
    expect(await page.evaluate(() => location.hash))
      .to.contain("prompt=The+queen&prompt=A+wolf+1+c")
      .and.contain("maxGenLen=5");
  });

  it("a saved trace can be loaded", async () => {
    const dialog = page.waitForEvent("filechooser"); // early, so that the browser opens no dialog of its own
    await visit(page, "chapter=traces&step=1");
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
