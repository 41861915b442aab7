import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

let building = false;

/** Elements of the built page with its packed files. */
const elements: string[] = [];

/** `import read from "./file?packed"`: a function that returns the file, gzipped, in base64. */
const packed: Plugin = {
  name: "packed",
  enforce: "pre",
  configResolved: ({ command }) => void (building = command === "build"),
  async load(id) {
    const [path, query] = id.split("?");
    if (query !== "packed") return undefined;
    const text = gzipSync(await readFile(path!), { level: 9 }).toString("base64");
    if (!building) return `export default () => "${text}"`;
    const name = `packed-${relative(here("../.."), path!).replaceAll(/[\\/]/g, "-")}`;
    elements.push(`<script type="text/plain" id="${name}">${text}</script>`);
    return `export default () => document.getElementById("${name}").text`;
  },
};

/**
 * Puts the page's script behind the body, and the packed files behind the script, in elements that are not code: the first
 * screen is drawn, and the script starts, while the files are still read.
 */
const filesLast: Plugin = {
  name: "files-last",
  enforce: "post",
  generateBundle(_, bundle) {
    const page = bundle["index.html"];
    if (page?.type !== "asset") return;
    const html = String(page.source);
    const start = html.indexOf('<script type="module"');
    const end = html.indexOf("</script>", start) + "</script>".length;
    const body = html.lastIndexOf("</body>");
    const script = html.slice(start, end).replace("<script", "<script async"); // else it waits for the files
    page.source = [html.slice(0, start), html.slice(end, body), script, ...elements, html.slice(body)].join(
      "",
    );
  },
};

export default defineConfig({
  root: here("."),
  cacheDir: here("../../node_modules/.vite"),
  base: "./",
  plugins: [packed, viteSingleFile(), filesLast],
  worker: {
    format: "iife",
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // The dependency scan does not use the `oxc` options above.
  optimizeDeps: { rolldownOptions: { transform: { jsx: { runtime: "automatic", importSource: "preact" } } } },
  server: { fs: { allow: [here("../..")] } },
  build: {
    rolldownOptions: { checks: { bundlerTimings: false } }, // compressing the model is slow
    outDir: here("../dist"),
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 20_000,
  },
  logLevel: "warn",
});
