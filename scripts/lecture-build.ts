import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { build, type Rolldown } from "vite";
import { formatBytes } from "../src/util/format.js";
import { main } from "./cli.js";
import { writeWhole } from "./write-file.js";

const CONFIG = fileURLToPath(new URL("../lecture/page/vite.config.ts", import.meta.url));
const PAGE = fileURLToPath(new URL("../lecture/dist/index.html", import.meta.url));

const program = new Command("npm run lecture:build --").description(
  "Builds the lecture's page, including the model, as one HTML file that opens from disk.",
);

await main(program, async (_, signal) => {
  // Vite would empty the directory first; this way the previous page remains until the new one is complete.
  const { output } = (await build({
    configFile: CONFIG,
    build: { write: false },
  })) as Rolldown.RolldownOutput;
  signal.throwIfAborted();
  const page = output.find(({ fileName }) => fileName === "index.html") as Rolldown.OutputAsset;
  const html = String(page.source);
  await mkdir(dirname(PAGE), { recursive: true });
  await writeWhole(PAGE, html);
  console.log(`lecture/dist/index.html, ${formatBytes(Buffer.byteLength(html))}`);
});
