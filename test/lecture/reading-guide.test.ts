import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

describe("The reading guide", () => {
  const guide = read("docs/reading-guide.md");

  for (const folder of ["src/model", "src/generation"]) {
    it(`links to every file of ${folder}`, () => {
      const name = folder.replace("src/", "");
      const linked = guide.match(/\]\(\.\.\/src\/[\w/-]+\.ts\)/g)?.join(" ") ?? "";
      const files = readdirSync(new URL(`../../${folder}`, import.meta.url));
      expect(files.filter((file) => !linked.includes(`src/${name}/${file})`))).to.deep.equal([]);
    });
  }

  it("takes as long as it says", () => {
    const minutes = [...guide.matchAll(/\| (\d+) +\|$/gm)].map(([, number]) => Number(number));
    const stated = Number(/allow (\d+) minutes/.exec(guide)?.[1]);
    expect(minutes.reduce((a, b) => a + b, 0)).to.be.closeTo(stated, 5);
  });

  it("states the length of lecture/one-file.ts, which is at most 220 lines", () => {
    const lines = read("lecture/one-file.ts").trimEnd().split("\n").length;
    expect(lines).to.be.at.most(220);
    for (const text of [guide, read("README.md")]) expect(text).to.match(new RegExp(`\\b${lines}\\s+lines`));
  });
});

describe("The README", () => {
  const readme = read("README.md");

  it("quotes attention.ts as it is", () => {
    const source = read("src/model/attention.ts").replaceAll(/^ +/gm, "");
    const quoted = /In \[src\/model\/attention\.ts\][^`]*```ts\n(.*?)```/s.exec(readme)?.[1];
    expect(quoted).to.match(/cache \? cache\.append\(k, v\) : \[k, v\]/);
    expect(source).to.contain(quoted);
  });

  it("names only commands that exist, and all of them", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = new Set([...readme.matchAll(/npm (?:run )?([a-z][\w:-]*)/g)].map(([, name]) => name!));
    named.delete("ci");
    expect([...named].filter((name) => !(name in scripts))).to.deep.equal([]);
    expect(Object.keys(scripts).filter((name) => !readme.includes(name))).to.deep.equal([]);
  });

  it("links only to files that exist", () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);
    expect(links.filter((link) => !existsSync(new URL(`../../${link}`, import.meta.url)))).to.deep.equal([]);
  });
});
