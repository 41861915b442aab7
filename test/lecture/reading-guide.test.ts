import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";

describe("The reading guide", () => {
  const guide = readFileSync(new URL("../../docs/reading-guide.md", import.meta.url), "utf8");

  for (const folder of ["src/model", "src/generation"]) {
    it(`links to every file of ${folder}`, () => {
      const files = readdirSync(new URL(`../../${folder}`, import.meta.url));
      expect(files.filter((file) => !guide.includes(`(../${folder}/${file})`))).to.deep.equal([]);
    });
  }

  it("states the sum of its minutes and the length of one-file.ts", () => {
    const minutes = [...guide.matchAll(/\| (\d+) \|$/gm)].map(([, number]) => Number(number));
    const [stated] = /(?<=allow )\d+(?= minutes)/.exec(guide)!;
    expect(minutes.length).to.be.above(8);
    expect(minutes.reduce((a, b) => a + b, 0)).to.be.within(Number(stated) - 5, Number(stated) + 5);
    const oneFile = readFileSync(new URL("../../lecture/one-file.ts", import.meta.url), "utf8");
    expect(guide).to.contain(`${oneFile.trimEnd().split("\n").length} lines`);
  });
});
