import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { launchChromium, openPage, type PageOptions, type WatchedPage } from "./chromium.js";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Vite's configuration of the page. */
export const CONFIG = path("../../lecture/page/vite.config.ts");

const directory = mkdtempSync(join(tmpdir(), "page-")); // for this process: test files run in several
process.once("exit", () => rmSync(directory, { recursive: true }));

/** The page as one file, as `npm run lecture:build` writes it. */
export const BUILT = join(directory, "index.html");

/** A short generation, for links: 6 tokens in, 12 out. */
export const SHORT = "prompt=Once+upon+a+time&maxGenLen=12";

let built: Promise<unknown> | undefined; // once for all test files

/** The page as one file, opened from disk with the network off. */
export interface BuiltPage {
  readonly browser: Browser;
  open(fragment: string, options?: PageOptions): Promise<WatchedPage>;
}

/** Builds the page once and starts a browser, which the caller must close. */
export async function builtPage(): Promise<BuiltPage> {
  built ??= build({ configFile: CONFIG, build: { outDir: directory } });
  await built;
  const browser = await launchChromium();
  const url = pathToFileURL(BUILT).href;
  return {
    browser,
    open: (fragment, options) => openPage(browser, `${url}#${fragment}`, { offline: true, ...options }),
  };
}
