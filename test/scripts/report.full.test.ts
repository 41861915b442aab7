import { expect } from "chai";
import { run } from "./run-command.js";

describe("docs/results.md", () => {
  it("is up to date with fixtures/results, and so are the README's table and the plots", async () => {
    expect(await run("bench", ["--study", "report", "--check"])).to.include({ code: 0, stderr: "" });
  });
});
