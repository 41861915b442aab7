import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { launchChromium, openPage, type WatchedPage } from "./chromium.js";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Vite's configuration of the page. */
export const CONFIG = path("../page/vite.config.ts");

/** What `npm run lecture:build` writes. */
export const BUILT = path("../dist/index.html");

/** A short generation, for links: 6 tokens in, 12 out. */
export const SHORT = "prompt=Once+upon+a+time&maxGenLen=12";

let built: Promise<unknown> | undefined; // once for all files of tests

/** The page as one file, opened from disk with the network off. */
export interface BuiltPage {
  readonly browser: Browser;
  open(fragment: string, options?: Parameters<typeof openPage>[2]): Promise<WatchedPage>;
}

/** Builds the page, unless that is done, and starts a browser; whoever asked closes it. */
export async function builtPage(): Promise<BuiltPage> {
  built ??= build({ configFile: CONFIG });
  await built;
  const browser = await launchChromium();
  const url = pathToFileURL(BUILT).href;
  return {
    browser,
    open: (fragment, options) => openPage(browser, `${url}#${fragment}`, { offline: true, ...options }),
  };
}
