import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { checkpointHash, restoreCache, saveCache } from "../../src/checkpoint/cache-file.js";
import { InputError, type Llama } from "../../src/index.js";
import { KVCache } from "../../src/model/kv-cache.js";
import { temporaryDirectory } from "../../src/util/file-system.js";
import {
  expectClose,
  expectRejection,
  fixture,
  onOneBackend,
  randomIds,
  randomLlama,
  TINY,
} from "../support.js";

const HASH = Uint8Array.from({ length: 32 }, (_, i) => 7 * i);
const IDS = randomIds(21, 1);

onOneBackend("A saved cache", () => {
  let model: Llama;
  let directory: string;
  let file: string;
  before(async () => {
    model = randomLlama();
    directory = temporaryDirectory("cache-file");
    file = join(directory, "cache.bin");
    const cache = new KVCache(TINY, 1, 30);
    model.forward([IDS.slice(0, 20)], cache).dispose();
    await saveCache(file, cache, IDS, HASH);
    cache.dispose();
  });
  after(() => model.dispose());

  it("is restored up to the first token that differs, and computes the same logits", async () => {
    const { numTensors } = tf.memory();
    for (const same of [20, 11, 0]) {
      const prompt = [...IDS.slice(0, same), ...randomIds(4, 9).map((id) => (id + 1) % TINY.vocabSize)];
      if (same < 20) prompt[same] = (IDS[same]! + 1) % TINY.vocabSize;
      const { cache, ids } = await restoreCache(file, TINY, HASH, 40, prompt);
      expect([cache.length, ids]).to.deep.equal([same, IDS.slice(0, same)]);
      const actual = model.forward([prompt.slice(same)], cache);
      const expected = model.forward([prompt]);
      expectClose(actual.dataSync(), expected.dataSync(), 1e-4);
      tf.dispose([actual, expected]);
      cache.dispose();
    }
    expect(tf.memory().numTensors).to.equal(numTensors);
  });

  it("leaves one token of the prompt to compute, and no temporary file", async () => {
    const { cache } = await restoreCache(file, TINY, HASH, 40, IDS.slice(0, 20));
    expect(cache.length).to.equal(19);
    cache.dispose();
    expect(readdirSync(directory)).to.deep.equal(["cache.bin"]);
  });

  it("keeps a note, and is restored as a whole without a prompt", async () => {
    const path = join(temporaryDirectory("cache-note"), "cache.bin");
    const whole = await restoreCache(file, TINY, HASH, 40, undefined);
    expect([whole.cache.length, whole.ids, whole.note]).to.deep.equal([20, IDS.slice(0, 20), ""]);
    await saveCache(path, whole.cache, IDS, HASH, "Grüße 🦊");
    whole.cache.dispose();
    const part = await restoreCache(path, TINY, HASH, 12, undefined);
    expect([part.cache.length, part.note]).to.deep.equal([12, "Grüße 🦊"]);
    part.cache.dispose();
  });

  it("is rejected for another checkpoint, another model, and where it is damaged", async () => {
    const before = tf.memory().numTensors;
    const rejects = (path: string, message: RegExp, hash = HASH, config = TINY) =>
      expectRejection(restoreCache(path, config, hash, 40, IDS), InputError, message);
    await rejects(
      file,
      /must be the cache of this checkpoint/,
      HASH.map((byte) => byte + 1),
    );
    await rejects(file, /keys.0 must have shape \[1,20,8\], got \[2,20,8\]/, HASH, { ...TINY, nKvHeads: 1 });
    await rejects(file, /must hold tensor "kv-cache.v1.keys.2"/, HASH, { ...TINY, nLayers: 3 });
    await rejects(fixture("tiny-untied/model.safetensors"), /must be a KV cache in the format kv-cache.v1/);
    const bytes = readFileSync(file);
    const damaged = join(directory, "damaged.bin");
    writeFileSync(damaged, bytes.subarray(0, bytes.length - 5));
    await rejects(damaged, /damaged.bin/);
    const nan = Buffer.from(bytes);
    nan.writeFloatLE(NaN, nan.length - 4);
    writeFileSync(damaged, nan);
    await rejects(damaged, /values.1 must be finite/);
    expect(tf.memory().numTensors).to.equal(before);
  });

  it("is bound to the bytes of config.json and weights", async () => {
    const [one, other] = [temporaryDirectory("one"), temporaryDirectory("other")];
    for (const copy of [one, other])
      for (const name of ["config.json", "model.safetensors"])
        copyFileSync(fixture(`tiny-untied/${name}`), join(copy, name));
    expect(await checkpointHash(one)).to.deep.equal(await checkpointHash(other));
    const weights = readFileSync(join(other, "model.safetensors"));
    weights[weights.length - 1]! ^= 1;
    writeFileSync(join(other, "model.safetensors"), weights);
    expect(await checkpointHash(one)).not.to.deep.equal(await checkpointHash(other));
  });
});
