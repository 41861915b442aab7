import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { CheckpointFiles } from "../../src/checkpoint/checkpoint-files.js";
import { memoryFiles } from "../../src/checkpoint/memory-files.js";
import { readAhead } from "../../src/checkpoint/read-ahead.js";
import { readConfig } from "../../src/checkpoint/read-checkpoint.js";
import { readModel } from "../../src/checkpoint/read-model.js";
import { InputError } from "../../src/index.js";
import { yieldToEventLoop } from "../../src/util/event-loop.js";
import { expectRejection, fixture, onOneBackend } from "../support.js";

describe("Reading ahead", () => {
  /** Parts of these sizes; `events` receives when a read begins and ends. */
  const partsOf = (sizes: readonly number[], events: string[], failing = Infinity) =>
    sizes.map((bytes, n) => ({
      bytes,
      read: async () => {
        events.push(`read ${n}`);
        await yieldToEventLoop();
        if (n > failing) for (let i = 0; i < 10; i++) await yieldToEventLoop();
        events.push(`${n} is read`);
        if (n === failing) throw new InputError(`part ${n} cannot be read`);
        return n;
      },
    }));

  it("begins the next read before the caller has finished with a part", async () => {
    const events: string[] = [];
    for await (const n of readAhead(partsOf([1, 1, 1], events), 1)) {
      events.push(`use ${n}`);
      await yieldToEventLoop();
      events.push(`${n} is used`);
    }
    for (const n of [0, 1]) {
      expect(events.indexOf(`read ${n + 1}`), `read ${n + 1}`).to.be.lessThan(events.indexOf(`use ${n}`));
      expect(events.indexOf(`${n + 1} is read`)).to.be.lessThan(events.indexOf(`${n} is used`));
    }
  });

  it("gives the parts in their order, whichever is read first", async () => {
    const parts = [3, 1, 2].map((turns, n) => ({
      bytes: 1,
      read: async () => {
        for (let i = 0; i < turns; i++) await yieldToEventLoop();
        return n;
      },
    }));
    const seen: number[] = [];
    for await (const n of readAhead(parts)) seen.push(n);
    expect(seen).to.deep.equal([0, 1, 2]);
  });

  it("holds at most the part that the caller works on and the given bytes behind it, or one larger part", async () => {
    const sizes = [9, 1, 4, 5, 2, 12, 3, 3, 3, 1];
    let [held, used] = [0, 0];
    const parts = sizes.map((bytes, n) => ({
      bytes,
      read: async () => {
        held += bytes;
        expect(held - sizes[used]!, `at part ${n}`).to.be.at.most(Math.max(10, bytes));
        await yieldToEventLoop();
        return bytes;
      },
    }));
    for await (const bytes of readAhead(parts, 10)) {
      await yieldToEventLoop();
      held -= bytes;
      used++;
    }
    expect([held, used]).to.deep.equal([0, sizes.length]);
  });

  it("throws a failed read once, at its turn, after all reads have ended", async () => {
    const events: string[] = [];
    const used: number[] = [];
    const run = async () => {
      for await (const n of readAhead(partsOf([1, 1, 1, 1, 1], events, 2))) {
        await yieldToEventLoop(); // part 2 has failed when part 0 is used
        used.push(n);
      }
    };
    await expectRejection(run(), InputError, /^part 2 cannot be read$/);
    expect(used).to.deep.equal([0, 1]);
    expect(events).to.include("4 is read");
  });
});

onOneBackend("A model that is read ahead", () => {
  const directory = fixture("fairy-tales");
  const names = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  const inMemory = memoryFiles(
    "tales",
    names.map(({ name }) => [name, new Uint8Array(readFileSync(join(directory, name)))]),
  );

  /** The checkpoint's files; `read` wraps the reads of the weights, which `seen` counts. */
  function withReads(wrap: (read: () => Promise<number>) => Promise<number>) {
    const file = inMemory.get("model.safetensors");
    const seen = { open: 0, reads: 0, ended: 0, cutOff: 0 };
    const replaced = {
      path: file.path,
      open: async () => {
        const opened = await file.open();
        seen.open++;
        return {
          ...opened,
          read: async (into: Uint8Array, position: number) => {
            seen.reads++;
            try {
              return await wrap(() => opened.read(into, position));
            } finally {
              seen.ended++;
            }
          },
          close: async () => {
            seen.open--;
            seen.cutOff += seen.reads - seen.ended;
          },
        };
      },
    };
    const files = new Map([
      ["config.json", inMemory.get("config.json")],
      ["model.safetensors", replaced],
    ]);
    return { seen, files: new CheckpointFiles("tales", files) };
  }

  it("has begun to read the tensors behind each one before the backend has that", async () => {
    const { files, seen } = withReads((read) => read());
    const { config } = await readConfig(files);
    const readsAt: number[] = [];
    const model = await readModel(config, files, { onProgress: () => readsAt.push(seen.reads) });
    const before = 2; // the header's length, and the header
    for (const [n, reads] of readsAt.slice(0, -1).entries()) {
      expect(reads - before, `when tensor ${n} is loaded`).to.be.greaterThan(n + 1);
    }
    expect(seen).to.include({ open: 0, cutOff: 0 });
    model.dispose();
  });

  it("is rejected with the failed read's error, keeps no tensor, and closes the file after the last read", async () => {
    const before = tf.memory().numTensors;
    const { files, seen } = withReads(async (read) => {
      const n = seen.reads;
      await yieldToEventLoop();
      if (n === 9 || n === 11) throw new Error("EIO: i/o error");
      for (let i = 0; i < (n > 11 ? 100 : 0); i++) await yieldToEventLoop();
      return read();
    });
    const { config } = await readConfig(files);
    const message = /^tales\/model\.safetensors cannot be read at byte \d+: EIO: i\/o error$/;
    await expectRejection(readModel(config, files), InputError, message);
    expect(seen.reads).to.be.greaterThan(11);
    expect(seen).to.include({ open: 0, cutOff: 0 });
    expect(tf.memory().numTensors).to.equal(before);
  });
});
