import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { parseView } from "../lecture/page/view.js";
import { cacheBytes, generationCost } from "../src/cost/cost.js";
import { PRESETS } from "../src/model/presets.js";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

describe("The README", () => {
  const readme = read("README.md");

  it("has at most 150 lines", () => {
    expect(readme.trimEnd().split("\n").length).to.be.at.most(150);
  });

  for (const file of ["src/model/attention.ts", "src/generation/steps.ts"]) {
    it(`quotes ${file} as it is`, () => {
      const source = read(file).replaceAll(/^ +/gm, "");
      const start = readme.indexOf(`In [${file}](${file})`);
      const [, quoted] = /```ts\n(.*?)```/s.exec(readme.slice(start))!;
      const parts = quoted!.split("// …\n");
      expect(start).to.be.above(0);
      expect(quoted).to.match(/cache \? cache\.append\(k, v\) : \[k, v\]|if \(cache\) prevPos = curPos/);
      for (const part of parts) expect(source).to.contain(part);
    });
  }

  it("computes the cache's memory from Llama 3.2 1B's configuration", () => {
    const llama = PRESETS["llama-3.2-1b"]!;
    const { nLayers, nKvHeads, headDim } = llama;
    const numbers = 2 * nLayers * nKvHeads * headDim;
    expect(readme).to.contain(
      `2 · ${nLayers} · ${nKvHeads} · ${headDim} = ${numbers.toLocaleString("en")} numbers`,
    );
    expect(readme).to.contain(`${(2 * numbers) / 2 ** 10} KiB in 16 bits`);
    expect(readme).to.match(new RegExp(`8,192 tokens takes\\s+${(8192 * 2 * numbers) / 2 ** 20} MiB`));
    expect(cacheBytes(llama, 1, 8192)).to.equal(8192 * 4 * numbers); // float32, "twice that"
  });

  it("names all npm scripts, and none that does not exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm (?:run )?([a-z][\w:-]*)/g)].map(([, name]) => name!);
    expect(named.filter((name) => name !== "ci" && !(name in scripts))).to.deep.equal([]);
    // A name counts where it stands in code as a word of its own: `npm run trace`, `test:all`.
    const code = [...readme.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
    const words = new Set([...named, ...code.flatMap((text) => text.split(/\s+/))]);
    expect(Object.keys(scripts).filter((name) => !words.has(name))).to.deep.equal([]);
  });

  it("links only to files that exist", () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);
    expect(links.filter((link) => !existsSync(new URL(`../${link}`, import.meta.url)))).to.deep.equal([]);
  });

  it("has the minutes of the reading guide", () => {
    const guide = read("docs/reading-guide.md");
    const chain = [...readme.matchAll(/`([\w-]+)` (\d+)(?: →|\.)/g)];
    expect(chain).to.have.length(8);
    for (const [, file, minutes] of chain)
      expect(guide).to.match(new RegExp(`/${file}\\.ts\\).* ${minutes} \\|\\n`));
  });
});

describe("README, CONTRIBUTING, SECURITY and docs/", () => {
  const files = (folder: string) =>
    readdirSync(new URL(`../${folder}`, import.meta.url), { recursive: true });

  it("name only options that a command has", () => {
    const sources = files("scripts").map((file) => `scripts/${file}`);
    const commands = [...sources.filter((file) => file.endsWith(".ts")), "lecture/one-file.ts"]
      .map(read)
      .join("");
    const others = new Set(["--base", "--sloppy-imports", "--ignore-scripts"]); // of vite, Deno and npm
    const documents = files("docs")
      .map((file) => `docs/${file}`)
      .filter((file) => file.endsWith(".md"));
    for (const file of ["README.md", "CONTRIBUTING.md", "SECURITY.md", ...documents]) {
      const text = read(file).replaceAll(/<!-- generated: .*?<!-- \/generated -->|npx [^`\n]*/gs, "");
      const options = text.match(/(?<=[`\s])--[a-z][a-z0-9-]+/g) ?? [];
      expect(
        options.filter((option) => !commands.includes(option) && !others.has(option)),
        file,
      ).to.deep.equal([]);
    }
  });
});

describe("Links into the lecture page", () => {
  it("name views that it has, in every document", () => {
    const documents = ["README.md", "docs/hosting.md", "docs/results.md"];
    const links = documents.flatMap((file) => read(file).match(/\bchapter=[a-z][^`"\s]*/g) ?? []);
    expect(links.length).to.be.above(12);
    for (const link of links) {
      const view = parseView(link);
      const named = [...new URLSearchParams(link)].filter(([name]) => /^(?:chapter|build|bug)$/.test(name));
      const known = named.map(([name]) => [name, String(view[name as "chapter" | "build" | "bug"])]);
      expect(known, link).to.deep.equal(named);
    }
  });
});

describe("The reading guide's account of the source document's table", () => {
  const [, account] = /^## The source document's table\n(.*)/ms.exec(read("docs/reading-guide.md"))!;

  it("follows from the table and the cost model", () => {
    const seconds = [...account!.matchAll(/([\d.]+) s\b/g)].map(([, number]) => Number(number));
    const [cached, uncached] = [seconds.slice(0, 3), seconds.slice(3)];
    const costs = [true, false].map((useCache) =>
      generationCost(PRESETS["llama-3.2-1b"]!, 1, 256, 32, useCache),
    );
    const pairs = costs.map(({ kvPairsComputed }) => kvPairsComputed / 16 / 8); // per layer and KV head: positions
    const text = account!.replaceAll(/\s+/g, " ");
    expect(text).to.contain(`${pairs[0]} in all`);
    expect(text).to.contain(
      `= ${pairs[1]!.toLocaleString("en")}, ${(pairs[1]! / pairs[0]!).toFixed(0)} times as many`,
    );
    expect(text).to.contain(`${(costs[1]!.flops / costs[0]!.flops).toFixed(1)} times the FLOPs`);
    expect(text).to.contain(`the ratio is ${(uncached[0]! / cached[0]!).toFixed(1)}.`);
    expect(text).to.contain(`the ratio is ${(uncached[1]! / cached[1]!).toFixed(0)}.`);
    expect(cached[2]! / cached[1]!).to.be.within(3.9, 4.1); // "four times as long"
  });
});
