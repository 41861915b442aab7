import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { build } from "vite";
import { main } from "./cli.js";
import { megabytes } from "./terminal.js";

const CONFIG = fileURLToPath(new URL("../lecture/page/vite.config.ts", import.meta.url));
const PAGE = fileURLToPath(new URL("../lecture/dist/index.html", import.meta.url));

const program = new Command("npm run lecture:build --")
  .description("Writes the lecture's page, model and all, as one HTML file that opens from disk.")
  .configureHelp({ helpWidth: 80 });

await main(program, async () => {
  await build({ configFile: CONFIG });
  console.log(`lecture/dist/index.html, ${megabytes((await stat(PAGE)).size)}`);
});
