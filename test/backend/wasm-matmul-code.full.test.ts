import { expect } from "chai";
import { run } from "../scripts/run-command.js";

describe("wasm-matmul-code.ts", () => {
  it("is assembled from wasm-matmul.wat as it is", async () => {
    expect(await run("assemble-wasm", ["--check"])).to.include({ code: 0, stderr: "" });
  });
});
