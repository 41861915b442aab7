/**
 * Saves the picture of the lecture page that the README shows:
 *
 *     npx tsx test/browser/screenshot.ts
 */
import { fileURLToPath } from "node:url";
import { builtPage } from "./built-page.js";

const { browser, open } = await builtPage();
const { page } = await open("step=24", { width: 1280, height: 720 });
await page.screenshot({ path: fileURLToPath(new URL("../../docs/lecture.png", import.meta.url)) });
await browser.close();
