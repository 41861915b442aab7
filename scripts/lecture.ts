import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { createServer } from "vite";
import { CHAPTERS } from "../lecture/page/chapters.js";
import { InputError } from "../src/index.js";
import { main, integer } from "./cli.js";

const CONFIG = fileURLToPath(new URL("../lecture/page/vite.config.ts", import.meta.url));

const program = new Command("npm run lecture --")
  .description("Serve the lecture page on this machine until Ctrl-C.")
  .option("--port <n>", "port number; the next free one if it is taken", integer(1, 65_535), 5173)
  .option("--view <link>", "view of the page to print the address of, for example chapter=waste&build=2", "");

await main<{ port: number; view: string }>(program, async ({ port, view }, signal) => {
  const fragment = view && fragmentOf(view);
  const server = await createServer({ configFile: CONFIG, server: { port } });
  try {
    await server.listen();
  } catch (error) {
    await server.close(); // otherwise it keeps watching files
    throw new InputError(`cannot serve the page: ${(error as Error).message}; try another --port`);
  }
  console.log(`The lecture is at ${server.resolvedUrls?.local[0]}${fragment} (Ctrl-C stops the server)`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await server.close();
});

/** The fragment of a link to a view. Throws InputError if the page has no such chapter. */
function fragmentOf(view: string): string {
  const chapter = new URLSearchParams(view).get("chapter");
  if (CHAPTERS.some(({ id }) => id === chapter)) return `#${view}`;
  const ids = CHAPTERS.map(({ id }) => id).join(", ");
  throw new InputError(
    `--view must be chapter=NAME with one of ${ids}, got "${view}"; docs/hosting.md has examples`,
  );
}
