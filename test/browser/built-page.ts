import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { launchChromium, openPage, type WatchedPage } from "./chromium.js";

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Vite's configuration of the page. */
export const CONFIG = path("../../lecture/page/vite.config.ts");

/** The file that `npm run lecture:build` writes. */
export const BUILT = path("../../lecture/dist/index.html");

/** A short generation, for links: 6 tokens in, 12 out. */
export const SHORT = "prompt=Once+upon+a+time&maxGenLen=12";

let built: Promise<unknown> | undefined; // once for all test files

/** The page as one file, opened from disk with the network off. */
export interface BuiltPage {
  readonly browser: Browser;
  open(fragment: string, options?: Parameters<typeof openPage>[2]): Promise<WatchedPage>;
}

/** Builds the page once and starts a browser, which the caller must close. */
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
