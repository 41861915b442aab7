import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts the system's Chromium: nothing is downloaded. CHROMIUM names another one. */
export function launchChromium(): Promise<Browser> {
  const path = process.env["CHROMIUM"] ?? PATHS.find((one) => existsSync(one));
  if (!path || !existsSync(path)) {
    throw new Error(
      `Chromium is not at ${path ?? PATHS.join(" or ")}: install it (Debian: apt-get install chromium), ` +
        "or name it in the environment variable CHROMIUM",
    );
  }
  // A browser that root starts, as in a container, needs its sandbox off; the page is our own.
  return chromium.launch({ executablePath: path, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** A page, and all that went wrong in it. */
export interface WatchedPage {
  readonly page: Page;
  /** Console errors and warnings, exceptions, and requests that leave this machine. */
  readonly complaints: string[];
}

/** Opens a page and writes down what it complains of. */
export async function openPage(
  browser: Browser,
  url: string,
  options: { width?: number; height?: number; dark?: boolean; offline?: boolean } = {},
): Promise<WatchedPage> {
  const { width = 1280, height = 800, dark = false, offline = false } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    offline,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()))
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "localhost") complaints.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  await settled(page);
  return { page, complaints };
}

/** Waits until the step that the page was asked for is there. */
export async function settled(page: Page): Promise<void> {
  await page.waitForSelector('.views[aria-busy="false"]', { timeout: 60_000 });
}

/** Changes the link's fragment, as a slide's link would, and waits for what it names. */
export async function visit(page: Page, fragment: string): Promise<void> {
  await page.evaluate(async (hash) => {
    const heard = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
    const before = location.hash;
    location.hash = hash;
    if (location.hash !== before) await heard;
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  }, fragment);
  await settled(page);
}
