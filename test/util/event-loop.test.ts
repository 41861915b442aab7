import { readFile } from "node:fs";
import { expect } from "chai";
import { yieldToEventLoop } from "../../src/util/event-loop.js";
import { itOnPosix } from "../support.js";

describe("yieldToEventLoop", () => {
  itOnPosix("delivers signals that arrived before it, in every phase of the event loop", async () => {
    for (const begin of [
      (next: () => void) => readFile(import.meta.filename, next), // the poll phase, in which most callbacks run
      (next: () => void) => setImmediate(next),
      (next: () => void) => setTimeout(next),
    ]) {
      let delivered = false;
      process.once("SIGUSR2", () => (delivered = true));
      await new Promise<void>((resolve) => begin(resolve));
      process.kill(process.pid, "SIGUSR2");
      await yieldToEventLoop();
      expect(delivered).to.equal(true);
    }
  });
});
