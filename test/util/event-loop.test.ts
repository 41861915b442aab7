import { readFile } from "node:fs";
import { expect } from "chai";
import { yieldToEventLoop } from "../../src/util/event-loop.js";

describe("The event loop's turn", () => {
  it("lets signals through that came while JavaScript was busy, wherever in the loop that was", async function () {
    if (process.platform === "win32") this.skip();
    for (const begin of [
      (next: () => void) => readFile(import.meta.filename, next), // where most of Node's callbacks are called
      (next: () => void) => setImmediate(next),
      (next: () => void) => setTimeout(next),
    ]) {
      let seen = false;
      process.once("SIGUSR2", () => (seen = true));
      await new Promise<void>((resolve) => begin(resolve));
      process.kill(process.pid, "SIGUSR2");
      await yieldToEventLoop();
      expect(seen).to.equal(true);
    }
  });
});
