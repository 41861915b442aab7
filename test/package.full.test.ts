import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "chai";
import { build, createLogger, preview } from "vite";
import * as browserApi from "../src/browser.js";
import * as api from "../src/index.js";
import { launchChromium } from "./browser/chromium.js";
import { fixture } from "./support.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const execute = promisify(execFile);
const [node, browser] = Array.from(
  readFileSync(join(root, "docs/library.md"), "utf8").matchAll(/```ts\n(.*?)```/gs),
  ([, code]) => code!,
) as [string, string];

/** Compiler options of a program that consists of the two snippets. */
const TYPESCRIPT = {
  compilerOptions: {
    target: "es2023",
    lib: ["es2023", "dom"],
    module: "esnext",
    moduleResolution: "bundler",
    types: [],
    strict: true,
    noEmit: true,
  },
  files: ["node.ts", "browser.ts", "url.d.ts"],
};

describe("The package, packed and installed in an empty project", () => {
  const project = mkdtempSync(join(tmpdir(), "package-"));
  const model = join(project, "public", "fairy-tales");
  const write = (name: string, text: string) => writeFileSync(join(project, name), text);
  let archive: string;
  let expected: string;

  before(async () => {
    const packing = ["pack", "--ignore-scripts=false", "--silent", "--pack-destination", project];
    const { stdout } = await execute("npm", packing, { cwd: root });
    archive = join(project, stdout.trim().split("\n").at(-1)!);
    write("package.json", JSON.stringify({ private: true, type: "module" }));
    await execute("npm", ["install", "--no-audit", "--no-fund", archive], { cwd: project });
    cpSync(fixture("fairy-tales"), model, { recursive: true });

    await api.loadBackend("wasm");
    const { model: llama, tokenizer } = await api.loadCheckpoint(fixture("fairy-tales"));
    const options = { maxGenLen: 100, useCache: true };
    const [tale] = await api.generate(llama, tokenizer, ["Once upon a time"], options);
    expected = tale!.completion;
    llama.dispose();
  });
  after(() => rmSync(project, { recursive: true }));

  it("has the built library and no model, in less than a megabyte", () => {
    const installed = join(project, "node_modules", "kv-cache-lecture");
    expect(readdirSync(installed)).to.have.members(["LICENSE", "README.md", "dist", "package.json"]);
    expect(statSync(archive).size).to.be.below(1e6);
  });

  it("brings neither tfjs-node-gpu nor what the commands need", () => {
    const scopes = join(project, "node_modules", "@tensorflow");
    expect(readdirSync(scopes)).to.not.include("tfjs-node-gpu");
    for (const name of ["commander", "tsx", "vite"])
      expect(readdirSync(join(project, "node_modules"))).to.not.include(name);
  });

  it("generates in Node, without tsx", async () => {
    write("tale.mjs", node.replace('"fairy-tales"', JSON.stringify(model)));
    const { NODE_OPTIONS: _, ...env } = process.env;
    const { stdout } = await execute(process.execPath, ["tale.mjs"], { cwd: project, env });
    expect(stdout).to.equal(`${expected}\n`);
  });

  it("has types that need neither Node's nor TensorFlow's, in a strict program", async () => {
    write("node.ts", node);
    write("browser.ts", browser);
    write("url.d.ts", 'declare module "*?url" { const url: string; export default url; }');
    write("tsconfig.json", JSON.stringify(TYPESCRIPT));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = await execute(process.execPath, [tsc, "--project", project]).catch(
      (error: { stdout: string }) => error,
    );
    // TensorFlow.js's own types of WebGPU clash with TypeScript's: only ours and the program's count.
    const errors = stdout.split("\n").filter((line) => line !== "" && !/node_modules\/@/.test(line));
    expect(errors).to.deep.equal([]);
  });

  it("generates in a page that Vite builds, in Chromium", async () => {
    write("page.js", browser);
    write("index.html", '<body><script type="module" src="page.js"></script></body>');
    const warnings: string[] = [];
    const customLogger = { ...createLogger("silent"), warn: (line: string) => void warnings.push(line) };
    await build({ root: project, configFile: false, customLogger });
    expect(warnings.filter((line) => line.includes("node:"))).to.deep.equal([]); // a module that browsers lack
    const server = await preview({ root: project, configFile: false, preview: { port: 0 } });
    const chromium = await launchChromium();
    try {
      const page = await chromium.newPage();
      await page.goto(server.resolvedUrls!.local[0]!);
      await page.waitForFunction(() => document.body.innerText.length > 0, undefined, { timeout: 300_000 });
      expect(await page.evaluate(() => document.body.textContent)).to.equal(expected);
    } finally {
      await chromium.close();
      await server.close();
    }
  });

  it("has no name in browsers that it does not have in Node", () => {
    expect(Object.keys(api)).to.include.members(Object.keys(browserApi));
  });
});
