import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** `import url from "./file?packed"`: the gzipped file as a data URL, so that the page needs no server. */
const packed: Plugin = {
  name: "packed",
  enforce: "pre",
  async load(id) {
    const [path, query] = id.split("?");
    if (query !== "packed") return undefined;
    const bytes = gzipSync(await readFile(path!), { level: 9 });
    return `export default "data:application/gzip;base64,${bytes.toString("base64")}"`;
  },
};

/** Moves the page's script, which has the model in it, behind the body: the body is drawn while the script is read. */
const scriptLast: Plugin = {
  name: "script-last",
  enforce: "post",
  generateBundle(_, bundle) {
    const page = bundle["index.html"];
    if (page?.type !== "asset") return;
    const html = String(page.source);
    const start = html.indexOf('<script type="module"');
    const end = html.indexOf("</script>", start) + "</script>".length;
    const body = html.lastIndexOf("</body>");
    page.source = html.slice(0, start) + html.slice(end, body) + html.slice(start, end) + html.slice(body);
  },
};

export default defineConfig({
  root: here("."),
  cacheDir: here("../../node_modules/.vite"),
  base: "./",
  plugins: [packed, viteSingleFile(), scriptLast],
  worker: {
    format: "iife",
    plugins: () => [packed],
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  resolve: {
    alias: {
      "node:fs/promises": here("memory-files.ts"),
      "node:path": here("node-stand-ins.ts"),
      "node:util": here("node-stand-ins.ts"),
    },
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
