import * as tf from "@tensorflow/tfjs-core";
import { Attention, type AttentionWeights } from "../src/model/attention.js";
import { LayerCache } from "../src/model/kv-cache.js";
import { RMSNorm } from "../src/model/rms-norm.js";
import { RotaryEmbedding } from "../src/model/rotary-embedding.js";

/**
 * A classic mistake. The tests plant one at a time and see which check notices; the lecture's page lets the reader
 * plant it and watch. It is planted by replacing one method, never by a copy of the model.
 */
export interface Bug {
  /** Names it in links and tests. */
  readonly id: string;
  /** What is wrong, in a line. */
  readonly title: string;
  /** What comes of it, for the page. */
  readonly story: string;
  /**
   * The checks that see it. "modes": cached and uncached generation differ in a token, or in a score by more than
   * rounding. "goldens": the logits are not transformers'. A mistake that both modes share is invisible to the first,
   * which is why there is a second.
   */
  readonly caughtBy: readonly ("modes" | "goldens")[];
  /** Plants it in every model of the process; returns what takes it out again. */
  readonly plant: () => () => void;
}

/** The bugs, the best known ones first. */
export const BUGS: readonly Bug[] = [
  {
    id: "rotary-offset",
    title: "rotary offset: every call starts at position 0",
    story:
      "The step of one token is rotated as if it stood at position 0. Its query looks for keys at the wrong distances, and its own key is stored turned the wrong way for good. Without a cache every call does start at 0, so only the cached mode breaks.",
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
    id: "stale-cache",
    title: "stale cache: new keys and values are not written",
    story:
      "The prompt is in the cache, what is generated never gets there: the rows of later positions stay zero. The model forgets what it has just said.",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length > 0 ? [tf.zerosLike(keys), tf.zerosLike(values)] : [keys, values],
      ),
  },
  {
    id: "missing-mask",
    title: "missing mask: positions see the future",
    story:
      "When several positions are fed at once, each sees those after it. With the cache only the prompt is damaged, without it every step is.",
    caughtBy: ["modes", "goldens"],
    plant: () =>
      replace(
        Attention.prototype,
        "forward",
        (forward) =>
          function (this: Attention, x, positions, cache, probe) {
            return forward.call(this, x, { ...positions, mask: undefined }, cache, probe);
          },
      ),
  },
  {
    id: "first-never-written",
    title: "first keys and values never written",
    story:
      "The first position of every row is missing from the cache. It is where attention rests when it has nothing to look at, so everything shifts.",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length === 0 ? [withoutFirst(keys), withoutFirst(values)] : [keys, values],
      ),
  },
  {
    id: "head-grouping",
    title: "wrong head grouping: query head h reads key/value head h mod K",
    story:
      "Neighbouring query heads share a key/value head; here they are dealt out like cards. Both modes are wrong in the same way and agree with each other: only an independent reference sees it.",
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
    id: "rotary-off-by-one",
    title: "rotary offset: one position too far",
    story:
      "Every distance between a new token and the cached ones is one too large. The text often survives, the scores do not: this is the bug that only a comparison of scores sees.",
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
    id: "swapped",
    title: "keys and values swapped in the cache",
    story:
      "Queries are compared with values, and keys are mixed in their place. Both have the same shape, so nothing complains.",
    caughtBy: ["modes"],
    plant: () => replaceAppend((keys, values) => [values, keys]),
  },
  {
    id: "mask-off-by-one",
    title: "mask off by one: a position does not see itself",
    story:
      "The diagonal of the mask is hidden too: a position does not see itself when it is fed among others, and does when it is fed alone.",
    caughtBy: ["modes", "goldens"],
    plant: () =>
      replace(
        Attention.prototype,
        "forward",
        (forward) =>
          function (this: Attention, x, positions, cache, probe) {
            const { T, mask } = positions;
            const S = mask?.shape[1] ?? 0;
            const strict =
              mask && tf.add<tf.Tensor2D>(mask, tf.mul(tf.slice(tf.eye(S), [S - T, 0], [T, S]), -1e9));
            return forward.call(this, x, { ...positions, mask: strict }, cache, probe);
          },
      ),
  },
  {
    id: "no-rotary",
    title: "no rotary embedding at all",
    story:
      "No position is turned, so the model sees a bag of words with a mask. Both modes agree on the same nonsense.",
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
    id: "norm-without-root",
    title: "RMSNorm without the root",
    story:
      "The vectors are divided by their mean square instead of its root. Both modes agree, and both are wrong.",
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
