/**
 * Measures how fast the page is in Chromium, with its tracing: the first chapter's drawing and first computed step from
 * disk, each change of chapter, and the frames while it plays.
 *
 *     npx tsx test/browser/speed.ts
 */
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/chapters.js";
import { BUILT, builtPage } from "./built-page.js";

/** The part of an event of Chromium's tracing that is used here; times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ts: number;
  readonly dur?: number;
}

/** Runs something while Chromium traces, and returns the events. */
async function traced(browser: Browser, run: () => Promise<void>): Promise<TraceEvent[]> {
  await browser.startTracing(undefined, {
    categories: ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline.frame"],
  });
  await run();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  return traceEvents;
}

const { browser } = await builtPage();
const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });

const opened = performance.now();
await page.goto(`${pathToFileURL(BUILT).href}#chapter=start`, { waitUntil: "commit" });
await page.locator("h1").waitFor();
const drawn = performance.now();
await page.locator('.views[aria-busy="false"]').waitFor();
const computed = performance.now();
console.log(`first chapter drawn after ${(drawn - opened).toFixed(0)} ms (limit 1000)`);
console.log(`first step computed ${(computed - drawn).toFixed(0)} ms later (limit 2000)`);

await page.evaluate(() => void (location.hash = "chapter=start&step=32"));
await page.locator("[data-test=step]").getByText("32").waitFor();
for (const { id } of CHAPTERS) {
  if (id === "break" || id === "batch") continue; // they start another run
  const ms = await page.evaluate(async (hash) => {
    const start = performance.now();
    location.hash = hash;
    await new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame); // drawn in the frame before this one
    return performance.now() - start;
  }, `chapter=${id}&build=1&step=32`);
  console.log(`chapter ${id}: ${ms.toFixed(0)} ms (limit 100)`);
}

await page.evaluate(() => void (location.hash = "chapter=start&step=1"));
await page.getByLabel("speed", { exact: true }).selectOption("8");
const events = await traced(browser, async () => {
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("button", { name: "Again" }).waitFor();
});
const tasks = events.filter(({ name }) => name === "RunTask").map(({ dur = 0 }) => dur / 1000);
const long = tasks.filter((ms) => ms > 1000 / 60);
const frames = events.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts / 1000);
console.log(
  `playing: ${frames.length} frames; ${long.length} tasks longer than a frame of 60 a second, the longest ` +
    `${Math.max(0, ...tasks).toFixed(0)} ms`,
);
await browser.close();
