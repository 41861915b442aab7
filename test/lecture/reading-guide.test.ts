import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";

describe("The reading guide", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const guide = readme.slice(readme.indexOf("## Reading guide"), readme.indexOf("**The memory.**"));

  for (const folder of ["src/model", "src/generation"]) {
    it(`leads to every file of ${folder}`, () => {
      const files = readdirSync(new URL(`../../${folder}`, import.meta.url));
      expect(files.filter((file) => !guide.includes(`(${folder}/${file})`))).to.deep.equal([]);
    });
  }

  it("takes as long as it says", () => {
    const minutes = [...guide.matchAll(/\| (\d+) \|$/gm)].map(([, number]) => Number(number));
    expect(minutes.length).to.be.above(8);
    expect(minutes.reduce((a, b) => a + b, 0)).to.be.within(80, 100); // an hour and a half
  });
});
