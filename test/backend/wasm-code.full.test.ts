import { expect } from "chai";
import { run } from "../scripts/run-command.js";

describe("The WebAssembly code", () => {
  it("is assembled from the .wat files as they are", async () => {
    expect(await run("assemble-wasm", ["--check"])).to.include({ code: 0, stderr: "" });
  });
});
