import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { loadBackend as loadInBrowser } from "../../src/backend/load-in-browser.js";
import { generate, InputError, loadBackend, loadChatTemplate, loadCheckpoint } from "../../src/index.js";
import { memoryFiles, readChatTemplate, readCheckpoint } from "../../src/index.js";
import { expectRejection, fixture, onOneBackend } from "../support.js";

onOneBackend("A checkpoint in memory", () => {
  const directory = fixture("fairy-tales");
  const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.map(({ name }) => [name, new Uint8Array(readFileSync(join(directory, name)))] as const);

  it("is the same as on disk", async () => {
    const tales = [];
    for (const loading of [loadCheckpoint(directory), readCheckpoint(memoryFiles("tales", new Map(bytes)))]) {
      const { model, tokenizer } = await loading;
      tales.push(
        await generate(model, tokenizer, ["Once upon a time"], { maxGenLen: 20, useCache: true, seed: 1 }),
      );
      model.dispose();
    }
    expect(tales[1]).to.deep.equal(tales[0]);
    const inMemory = memoryFiles("tales", bytes);
    const [fromMemory, fromDisk] = [await readChatTemplate(inMemory), await loadChatTemplate(directory)];
    const messages = [{ role: "user", content: "Hello" }] as const;
    expect(fromMemory.render(messages, true)).to.equal(fromDisk.render(messages, true));
  });

  it("is rejected without a file that it must have, or with a truncated one", async () => {
    const without = bytes.filter(([name]) => name !== "config.json");
    await expectRejection(
      readCheckpoint(memoryFiles("tales", without)),
      InputError,
      /^tales must be a Hugging Face model directory .* but config\.json is missing$/,
    );
    const truncated = bytes.map(
      ([name, all]) => [name, name === "model.safetensors" ? all.subarray(0, -1) : all] as const,
    );
    await expectRejection(
      readCheckpoint(memoryFiles("tales", truncated)),
      InputError,
      /^tales\/model\.safetensors: the file must end at byte .* it is truncated/,
    );
  });
});

describe("loadBackend for browsers", () => {
  it("must be told where WebAssembly's file is, and Node's must not", async () => {
    await expectRejection(loadInBrowser("wasm"), InputError, /^wasmBinary must be the bytes or the URL of /);
    const inNode = loadBackend("wasm", { wasmBinary: "x.wasm" });
    await expectRejection(inNode, InputError, /^wasmBinary must be left out in Node/);
  });

  it("rejects backends that browsers do not have", async () => {
    const message = /^backend must be one of auto, wasm, cpu in a browser, got "tensorflow"$/;
    await expectRejection(loadInBrowser("tensorflow"), InputError, message);
  });
});
