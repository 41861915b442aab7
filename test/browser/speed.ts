/**
 * Measures how fast the page is in Chromium: the first chapter and its first computed step from disk, each change of
 * chapter, and the frames while it plays. CPU times are those of the page's main thread, by Chromium's tracing; they
 * depend less on what else the machine does.
 *
 *     npx tsx test/browser/speed.ts
 */
import { cpus, loadavg } from "node:os";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { CHAPTERS } from "../../lecture/page/chapters.js";
import { BUILT, builtPage } from "./built-page.js";
import { settled, visit } from "./chromium.js";

/** Repetitions of each measurement; the median is printed. */
const TIMES = 5;

/** The part of an event of Chromium's tracing that is used here; times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

/** Runs something while Chromium traces; returns the CPU milliseconds of the page's main thread and of its worker. */
async function traced(browser: Browser, page: Page, run: () => Promise<void>): Promise<[number, number]> {
  await browser.startTracing(page, { categories: ["toplevel"] });
  await run();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  const cpu = (thread: string): number => {
    const sums = traceEvents
      .filter(({ name, args }) => name === "thread_name" && args.name === thread)
      .map(({ pid, tid }) =>
        traceEvents
          .filter((event) => event.pid === pid && event.tid === tid && event.name.endsWith("RunTask"))
          .reduce((sum, { tdur = 0 }) => sum + tdur / 1000, 0),
      );
    return Math.max(0, ...sums); // other pages of the browser do next to nothing
  };
  return [cpu("CrRendererMain"), cpu("DedicatedWorker thread")];
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const ms = (values: readonly number[]): string => `${median(values).toFixed(0)} ms`;

const { browser } = await builtPage();
const url = pathToFileURL(BUILT).href;
const size = { viewport: { width: 1280, height: 720 } };
console.log(
  `${cpus().length} cores of ${cpus()[0]?.model}, ${new Date().toISOString().slice(0, 10)}, Chromium`,
);
console.log(`${browser.version()}; load average ${loadavg()[0]!.toFixed(1)}; median of ${TIMES}`);

const loads: Record<"drawn" | "computed" | "main" | "worker", number[]> = {
  drawn: [],
  computed: [],
  main: [],
  worker: [],
};
for (let i = 0; i < TIMES; i++) {
  const page = await browser.newPage(size);
  await page.addInitScript(() =>
    new MutationObserver((_, observer) => {
      if (!document.querySelector(".views figure")) return;
      observer.disconnect();
      requestAnimationFrame(() => void performance.mark("drawn"));
    }).observe(document, { childList: true, subtree: true }),
  );
  const [main, worker] = await traced(browser, page, async () => {
    await page.goto(`${url}#chapter=start`, { waitUntil: "commit" });
    await settled(page);
  });
  const [drawn, computed] = await page.evaluate(() => [
    performance.getEntriesByName("drawn")[0]!.startTime,
    performance.now(),
  ]);
  loads.drawn.push(drawn!);
  loads.computed.push(computed! - drawn!);
  loads.main.push(main);
  loads.worker.push(worker);
  await page.close();
}
console.log(`first chapter drawn after ${ms(loads.drawn)} (limit 1000)`);
console.log(`first step computed ${ms(loads.computed)} later (limit 2000)`);
console.log(`CPU until then: main thread ${ms(loads.main)}, worker ${ms(loads.worker)}`);

const page = await browser.newPage(size);
await page.goto(`${url}#chapter=start&step=32`);
await settled(page);
for (const { id } of CHAPTERS) {
  if (id === "break" || id === "batch") continue; // they start another run
  const [wall, cpu]: [number[], number[]] = [[], []];
  for (let i = 0; i < TIMES; i++) {
    await visit(page, `chapter=${id === "start" ? "waste" : "start"}&build=1&step=32`);
    const [main] = await traced(browser, page, async () => {
      wall.push(await page.evaluate(goAndDraw, `chapter=${id}&build=1&step=32`));
    });
    cpu.push(main);
  }
  console.log(`chapter ${id}: ${ms(wall)} (limit 100); CPU ${ms(cpu)}`);
}

/** In the page: goes to a link; returns the milliseconds until the frame with it has been drawn. */
async function goAndDraw(hash: string): Promise<number> {
  const start = performance.now();
  location.hash = hash;
  await new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
  await new Promise(requestAnimationFrame);
  const drawn = new MessageChannel(); // its message arrives after the frame's style, layout and paint
  drawn.port2.postMessage("");
  drawn.port1.start();
  await new Promise((resolve) => drawn.port1.addEventListener("message", resolve, { once: true }));
  return performance.now() - start;
}

await visit(page, "chapter=start&step=1");
await page.getByLabel("speed", { exact: true }).selectOption("8");
let times: number[] = [];
const [playing] = await traced(browser, page, async () => {
  await page.getByRole("button", { name: "Start" }).click();
  times = await page.evaluate(async () => {
    const frames: number[] = [];
    while (document.querySelector("[aria-label=Pause]"))
      frames.push(await new Promise(requestAnimationFrame));
    return frames;
  });
});
const gaps = times.slice(1).map((time, i) => time - times[i]!);
const seconds = (times.at(-1)! - times[0]!) / 1000;
const late = gaps.filter((gap) => gap > 1.5 * (1000 / 60)).length;
console.log(
  `playing 8 steps a second: ${(gaps.length / seconds).toFixed(1)} frames a second (limit 60), ${late} of ` +
    `${gaps.length} late, the longest took ${Math.max(...gaps).toFixed(0)} ms; ` +
    `CPU ${((100 * playing) / 1000 / seconds).toFixed(0)} % of one core`,
);
await browser.close();
