import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { parseConfig } from "../src/checkpoint/hugging-face-config.js";
import { compareModes, LayerCache, type Llama, loadModel, ROUNDING, SafetensorsFile } from "../src/index.js";
import { Attention, type AttentionWeights } from "../src/model/attention.js";
import { RMSNorm } from "../src/model/rms-norm.js";
import { RotaryEmbedding } from "../src/model/rotary-embedding.js";
import { fixture, onOneEngine } from "./support.js";

/**
 * The classic mistakes, each planted for the time of a test: the two checks that everything else rests on must see
 * them. "modes": cached and uncached generation differ in a token, or in a score by more than rounding. "goldens": the
 * logits are not transformers'. A mistake that both modes share is invisible to the first, which is why there is a
 * second.
 */
interface Bug {
  readonly title: string;
  readonly caughtBy: readonly ("modes" | "goldens")[];
  readonly plant: () => () => void;
}

/** Replaces a method; returns what puts it back. */
function replace<Class extends object, Name extends keyof Class & string>(
  prototype: Class,
  name: Name,
  make: (original: Class[Name]) => Class[Name],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => void (prototype[name] = original);
}

const bugs: readonly Bug[] = [
  {
    title: "rotary offset: every call starts at position 0",
    caughtBy: ["modes"],
    plant: () =>
      replace(
        RotaryEmbedding.prototype,
        "at",
        (at) =>
          function (this: RotaryEmbedding, start, end) {
            return at.call(this, 0, end - start);
          },
      ),
  },
  {
    title: "rotary offset: one position too far",
    caughtBy: ["modes"], // a step that starts at 0 is right relative to itself
    plant: () =>
      replace(
        RotaryEmbedding.prototype,
        "at",
        (at) =>
          function (this: RotaryEmbedding, start, end) {
            return start > 0 ? at.call(this, start + 1, end + 1) : at.call(this, start, end);
          },
      ),
  },
  {
    title: "stale cache: new keys and values are not written",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length > 0 ? [tf.zerosLike(keys), tf.zerosLike(values)] : [keys, values],
      ),
  },
  {
    title: "first keys and values never written",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length === 0 ? [withoutFirst(keys), withoutFirst(values)] : [keys, values],
      ),
  },
  {
    title: "keys and values swapped in the cache",
    caughtBy: ["modes"],
    plant: () => replaceAppend((keys, values) => [values, keys]),
  },
  {
    title: "missing mask: positions see the future",
    caughtBy: ["modes", "goldens"],
    plant: () =>
      replace(
        Attention.prototype,
        "forward",
        (forward) =>
          function (this: Attention, x, rotation, _mask, cache, probe) {
            return forward.call(this, x, rotation, undefined, cache, probe);
          },
      ),
  },
  {
    title: "mask off by one: a position does not see itself",
    caughtBy: ["modes", "goldens"],
    plant: () =>
      replace(
        Attention.prototype,
        "forward",
        (forward) =>
          function (this: Attention, x, rotation, mask, cache, probe) {
            const T = rotation.cos.shape[0];
            const S = mask?.shape[1] ?? 0;
            const strict =
              mask && tf.add<tf.Tensor2D>(mask, tf.mul(tf.slice(tf.eye(S), [S - T, 0], [T, S]), -1e9));
            return forward.call(this, x, rotation, strict, cache, probe);
          },
      ),
  },
  {
    title: "wrong head grouping: query head h reads key/value head h mod K",
    caughtBy: ["goldens"],
    plant: () =>
      replace(
        Attention.prototype,
        "forward",
        (forward) =>
          function (this: Attention, ...call) {
            return forward.apply(regrouped(this), call);
          },
      ),
  },
  {
    title: "no rotary embedding at all",
    caughtBy: ["goldens"],
    plant: () =>
      replace(
        RotaryEmbedding.prototype,
        "at",
        (at) =>
          function (this: RotaryEmbedding, start, end) {
            const { cos, sin } = at.call(this, start, end);
            return { cos: tf.onesLike(cos), sin: tf.zerosLike(sin) };
          },
      ),
  },
  {
    title: "RMSNorm without the root",
    caughtBy: ["goldens"],
    plant: () =>
      replace(
        RMSNorm.prototype,
        "forward",
        () =>
          function (this: RMSNorm, x: tf.Tensor2D): tf.Tensor2D {
            const { weight, eps } = this as unknown as { weight: tf.Tensor1D; eps: number };
            return tf.mul(tf.div(x, tf.add(tf.mean(tf.square(x), -1, true), eps)), weight);
          },
      ),
  },
];

function replaceAppend(
  change: (keys: tf.Tensor3D, values: tf.Tensor3D, length: number) => [tf.Tensor3D, tf.Tensor3D],
): () => void {
  return replace(
    LayerCache.prototype,
    "append",
    (append) =>
      function (this: LayerCache, keys, values) {
        return append.apply(this, change(keys, values, this.length));
      },
  );
}

function withoutFirst(rows: tf.Tensor3D): tf.Tensor3D {
  const [R, T, D] = rows.shape;
  return tf.concat([tf.zeros<tf.Rank.R3>([R, 1, D]), tf.slice(rows, [0, 1, 0], [R, T - 1, D])], 1);
}

/** The same attention with its query heads dealt out to the key/value heads like cards. */
function regrouped(attention: Attention): Attention {
  const { config, weights } = attention as unknown as {
    config: { nHeads: number; nKvHeads: number; headDim: number };
    weights: AttentionWeights;
  };
  const { nHeads: H, nKvHeads: K, headDim: D } = config;
  const order = Array.from({ length: H }, (_, i) => (i % (H / K)) * K + Math.floor(i / (H / K)));
  const channels = tf.tensor1d(
    order.flatMap((h) => Array.from({ length: D }, (_, d) => h * D + d)),
    "int32",
  );
  const wq = tf.gather(weights.wq, channels, 1);
  const wo = tf.gather(weights.wo, channels, 0);
  return new Attention(config, { ...weights, wq, wo });
}

onOneEngine("Planted bugs", () => {
  let model: Llama;
  let tokens: number[];
  let golden: Float32Array;

  before(async () => {
    const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
    model = await loadModel(
      parseConfig(read("fairy-tales/config.json"), "config.json"),
      fixture("fairy-tales/model.safetensors"),
    );
    const { cases } = read("goldens/goldens.json").checkpoints["fairy-tales"];
    tokens = cases.find(({ name }: { name: string }) => name === "once").tokens;
    const file = await SafetensorsFile.open(fixture("goldens/goldens.safetensors"));
    golden = await file.read("fairy-tales/once/logits");
    await file.close();
  });

  after(() => model.dispose());

  async function catches(): Promise<string[]> {
    const caught: string[] = [];
    const options = { temperature: 0, topP: 1, seed: 0, maxGenLen: 24, stopIds: new Set<number>() };
    const prompts = [tokens, tokens.slice(0, 3)];
    const { difference, maxLogitDifference } = await compareModes(model, prompts, options);
    if (difference || maxLogitDifference > ROUNDING) caught.push("modes");
    const logits = model.forward([tokens]);
    const worst = Math.max(...logits.dataSync().map((value, i) => Math.abs(value - golden[i]!)));
    logits.dispose();
    if (!(worst < 0.01)) caught.push("goldens");
    return caught;
  }

  it("without a bug, neither check complains", async () => {
    expect(await catches()).to.deep.equal([]);
  });

  for (const { title, caughtBy, plant } of bugs) {
    it(`${title}: caught by ${caughtBy.join(" and ")}`, async () => {
      const restore = plant();
      try {
        expect(await catches()).to.deep.equal(caughtBy);
      } finally {
        restore();
      }
    });
  }
});
