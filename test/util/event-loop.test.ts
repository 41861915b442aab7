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

  it("takes no timer in a browser, where nested timers wait 4 ms", async () => {
    const { setImmediate: immediate, setTimeout: timeout } = globalThis;
    const timers: unknown[] = [];
    try {
      Object.assign(globalThis, {
        setImmediate: undefined,
        setTimeout: (...args: Parameters<typeof timeout>) => {
          timers.push(args);
          return timeout(...args);
        },
      });
      await yieldToEventLoop();
    } finally {
      Object.assign(globalThis, { setImmediate: immediate, setTimeout: timeout });
    }
    expect(timers).to.deep.equal([]);
  });
});
