import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Starts the system's Chromium, or the one that the environment variable CHROMIUM names. */
export function launchChromium(): Promise<Browser> {
  const path = process.env["CHROMIUM"] ?? PATHS.find((one) => existsSync(one));
  if (!path || !existsSync(path)) {
    throw new Error(
      `no Chromium at ${path ?? PATHS.join(" or ")}: install it (Debian: apt-get install chromium) ` +
        "or set the environment variable CHROMIUM to its path",
    );
  }
  // Chromium's sandbox does not work for root, for example in a container; the page is our own.
  return chromium.launch({ executablePath: path, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** A page and its errors. */
export interface WatchedPage {
  readonly page: Page;
  /** Console errors and warnings, exceptions, and requests that leave this machine. */
  readonly errors: string[];
}

/** Window and settings of a page. */
export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly offline?: boolean;
  readonly forcedColors?: "none" | "active";
}

/** Opens a page and collects its errors. */
export async function openPage(
  browser: Browser,
  url: string,
  options: PageOptions = {},
): Promise<WatchedPage> {
  const { width = 1280, height = 800, dark = false, offline = false, forcedColors = "none" } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    forcedColors,
    offline,
  });
  context.setDefaultTimeout(300_000); // for slow machines
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "localhost") errors.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  await settled(page);
  return { page, errors };
}

/** Waits until the page shows the requested step. */
export async function settled(page: Page): Promise<void> {
  await page.waitForSelector('.views[aria-busy="false"]');
}

/** Changes the URL fragment, as a link would, and waits until the page shows that view. */
export async function visit(page: Page, fragment: string): Promise<void> {
  await page.evaluate(async (hash) => {
    const changed = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
    const before = location.hash;
    location.hash = hash;
    if (location.hash !== before) await changed;
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  }, fragment);
  await settled(page);
}
