/**
 * Draws lecture/page/public/preview.png, the picture of links to the page, from its first chapter:
 *
 *     npx tsx test/browser/preview.ts
 */
import { fileURLToPath } from "node:url";
import { builtPage } from "./built-page.js";

const { browser, open } = await builtPage();
const { page } = await open("chapter=start&build=2&present=1", { width: 1200, height: 630 });
await page.addStyleTag({
  content: ":root.presenting { font-size: 17px; --bottom: 0px } .transport { display: none !important }",
});
await page.screenshot({
  path: fileURLToPath(new URL("../../lecture/page/public/preview.png", import.meta.url)),
});
await browser.close();
