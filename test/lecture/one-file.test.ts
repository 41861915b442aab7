import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import * as oneFile from "../../lecture/one-file.js";
import { diskFile } from "../../src/checkpoint/directory.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import { generate, type Llama, loadCheckpoint } from "../../src/index.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { expectClose, fixture, onOneBackend } from "../support.js";
import { expectSameTale, PATH } from "./one-file-command.js";

/** The largest difference allowed between the logits of two implementations in float32. */
const TOLERANCE = 1e-3;

type Plant = (
  weights: ReturnType<typeof oneFile.loadWeights>,
  id: number,
  position: number,
  cache: ReturnType<typeof oneFile.createCache>,
) => Float32Array;

/** Wrong ways to compute the last position of a text whose other positions are in the cache. */
const BUGS: Record<string, Plant> = {
  "the token is computed without the past": (weights, id) => oneFile.forward(weights, [id], 0),
  "the cache of one layer is stale": (weights, id, position, cache) => {
    cache[2] = cache[2]!.map((tensor) => tf.zerosLike(tensor)) as (typeof cache)[number];
    return oneFile.forward(weights, [id], position, cache);
  },
  "keys and values are swapped": (weights, id, position, cache) => {
    for (const layer of cache) layer.reverse();
    return oneFile.forward(weights, [id], position, cache);
  },
};

onOneBackend("lecture/one-file.ts", () => {
  let model: Llama;
  let tokenizer: Tokenizer;
  let weights: ReturnType<typeof oneFile.loadWeights>;
  before(async () => {
    ({ model, tokenizer } = await loadCheckpoint(fixture("fairy-tales")));
    weights = tf.tidy(() => oneFile.loadWeights());
    for (const tensor of Object.values(weights)) tf.keep(tensor);
  });
  after(() => {
    model.dispose();
    tf.dispose(weights);
  });

  /** The one file's next `count` tokens; `check` sees each step as it is taken. */
  function take(prompt: string, count: number, useCache: boolean, check?: (step: Step) => void): number[] {
    const cache = useCache ? oneFile.createCache() : undefined;
    const tokens: number[] = [];
    for (const step of oneFile.generate(weights, oneFile.encode(prompt), cache)) {
      check?.(step);
      tokens.push(step.next);
      if (tokens.length === count) break;
    }
    tf.dispose(cache);
    return tokens;
  }

  for (const useCache of [true, false]) {
    const mode = useCache ? "with the cache" : "without it";

    it(`chooses the tokens of src/ by the same logits, ${mode}`, async () => {
      const [prompt, maxGenLen] = ["Once upon a time", 24];
      const cache = useCache ? model.createCache(1, 64) : undefined;
      const tokens = take(prompt, maxGenLen, useCache, ({ inputIds, logits }) => {
        const expected = model.forward([[...inputIds]], cache);
        expectClose(logits, expected.dataSync(), TOLERANCE, `logits after ${inputIds.length} input ids`);
        expected.dispose();
      });
      cache?.dispose();
      const options = { maxGenLen, temperature: 0, useCache };
      const [completion] = await generate(model, tokenizer, [prompt], options);
      expect(tokens).to.deep.equal(completion!.tokens);
    });
  }

  it("computes one position per decode step with the cache, and the whole prefix without it", () => {
    const lengths = (useCache: boolean) => {
      const seen: number[] = [];
      take("Once", 4, useCache, ({ inputIds }) => seen.push(inputIds.length));
      return seen;
    };
    expect(lengths(true)).to.deep.equal([3, 1, 1, 1]);
    expect(lengths(false)).to.deep.equal([3, 4, 5, 6]);
  });

  it("agrees with transformers' logits", async () => {
    const goldens = JSON.parse(readFileSync(fixture("goldens/goldens.json"), "utf8"));
    const { cases } = goldens.checkpoints["fairy-tales"];
    const { tokens } = cases.find(({ name }: { name: string }) => name === "once");
    const file = await SafetensorsFile.open(diskFile(fixture("goldens/goldens.safetensors")));
    const expected = await file.read("fairy-tales/once/logits");
    await file.close();
    expectClose(oneFile.forward(weights, tokens, 0), expected, 0.01);
  });

  for (const [bug, plant] of Object.entries(BUGS)) {
    it(`differs from src/ by more than rounding with a planted bug: ${bug}`, () => {
      const ids = oneFile.encode("Once upon a time there was a king");
      const expected = model.forward([ids]);
      const cache = oneFile.createCache();
      oneFile.forward(weights, ids.slice(0, -1), 0, cache);
      const logits = plant(weights, ids.at(-1)!, ids.length - 1, cache);
      expect(() => expectClose(logits, expected.dataSync(), TOLERANCE)).to.throw(/largest difference/);
      tf.dispose([cache, expected]);
    });
  }

  it("splits texts into the tokens of src/", () => {
    const texts = [
      "",
      "Once upon a time there was a king, who had 1234567 sheep.",
      "I'm \"well\", we'LL see;  they've\n\n  said so \r\n\tand left...   ",
      "Zwerge, Füchse, 矮人 and 🧚‍♀️ <|end_of_text|>",
    ];
    for (const text of texts) expect(oneFile.encode(text), text).to.deep.equal(tokenizer.encode(text));
  });

  it("frees all tensors but the cache after each step", () => {
    const cache = oneFile.createCache();
    oneFile.forward(weights, [1], 0, cache);
    const { numTensors } = tf.memory();
    oneFile.forward(weights, [2], 1, cache);
    expect(tf.memory().numTensors).to.equal(numTensors);
    tf.dispose(cache);
  });

  it("prints the same tale in both modes on TensorFlow.js's own kernels, up to the stop token", async () => {
    const prompt =
      "The moral of this story, however, is, firstly, that no one, however great he may be, should permit himself " +
      "to jest at any one beneath him, even if he be only a I I can venture it or only; so I'd not only daily to " +
      "procure the cooking for me, or else he will make"; // near the end of the tale
    await expectSameTale(model, tokenizer, prompt, 16);
  });

  it("rejects a position that does not follow the cache", () => {
    const cache = oneFile.createCache();
    oneFile.forward(weights, [1, 2], 0, cache);
    expect(() => oneFile.forward(weights, [3], 0, cache)).to.throw(/shape/);
    tf.dispose(cache);
  });

  it("has at most 220 lines and imports only TensorFlow.js and node:fs", () => {
    const text = readFileSync(PATH, "utf8");
    expect(text.trimEnd().split("\n").length).to.be.at.most(220);
    const imports = new Set(Array.from(text.matchAll(/(?:from|import\()\s*"([^"]+)"/g), ([, name]) => name));
    expect([...imports].toSorted()).to.deep.equal([
      "@tensorflow/tfjs-backend-wasm",
      "@tensorflow/tfjs-core",
      "node:fs",
    ]);
  });
});

type Step = { readonly inputIds: readonly number[]; readonly logits: Float32Array };
