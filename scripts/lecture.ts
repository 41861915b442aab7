import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { createServer } from "vite";
import { InputError } from "../src/index.js";
import { main, integer } from "./cli.js";

const CONFIG = fileURLToPath(new URL("../lecture/page/vite.config.ts", import.meta.url));

const program = new Command("npm run lecture --")
  .description("Serve the lecture page on this machine until Ctrl-C.")
  .option("--port <n>", "port number; the next free one if it is taken", integer(1, 65_535), 5173);

await main<{ port: number }>(program, async ({ port }, signal) => {
  const server = await createServer({ configFile: CONFIG, server: { port } });
  try {
    await server.listen();
  } catch (error) {
    await server.close(); // otherwise it keeps watching files
    throw new InputError(`cannot serve the page: ${(error as Error).message}; try another --port`);
  }
  console.log(`The lecture is at ${server.resolvedUrls?.local[0]} (Ctrl-C stops the server)`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await server.close();
});
