import { existsSync, readFileSync } from "node:fs";
import { expect } from "chai";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

describe("The README", () => {
  const readme = read("README.md");

  it("has at most 150 lines", () => {
    expect(readme.trimEnd().split("\n").length).to.be.at.most(150);
  });

  it("quotes attention.ts as it is", () => {
    const source = read("src/model/attention.ts").replaceAll(/^ +/gm, "");
    const quoted = /In \[src\/model\/attention\.ts\][^`]*```ts\n(.*?)```/s.exec(readme)?.[1];
    expect(quoted).to.match(/cache \? cache\.append\(k, v\) : \[k, v\]/);
    expect(source).to.contain(quoted);
  });

  it("names all npm scripts, and none that does not exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm (?:run )?([a-z][\w:-]*)/g)].map(([, name]) => name!);
    expect(named.filter((name) => name !== "ci" && !(name in scripts))).to.deep.equal([]);
    // A name counts where it stands in code as a word of its own: `npm run trace`, `test:all`.
    const code = [...readme.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
    const words = new Set(code.flatMap((text) => text.split(/\s+/)));
    expect(Object.keys(scripts).filter((name) => !words.has(name))).to.deep.equal([]);
  });

  it("links only to files that exist", () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);
    expect(links.filter((link) => !existsSync(new URL(`../${link}`, import.meta.url)))).to.deep.equal([]);
  });
});
