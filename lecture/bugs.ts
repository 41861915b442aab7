import * as tf from "@tensorflow/tfjs-core";
import { Attention, type AttentionWeights } from "../src/model/attention.js";
import { LayerCache } from "../src/model/kv-cache.js";
import { RMSNorm } from "../src/model/rms-norm.js";
import { RotaryEmbedding } from "../src/model/rotary-embedding.js";

/**
 * A planted bug: a classic mistake in caching code. Tests plant one at a time and assert which check detects it; the
 * lecture's page lets the reader plant it. Planting replaces one method; there is no second copy of the model.
 */
export interface Bug {
  /** Id in links and tests. */
  readonly id: string;
  /** The mistake in one line. */
  readonly title: string;
  /** Its consequences, for the page. */
  readonly story: string;
  /**
   * The checks that detect it. "modes": cached and uncached generation differ in a token, or in a logit by more than
   * rounding error. "goldens": the logits differ from those of transformers. Only the goldens detect a bug that both
   * modes share.
   */
  readonly caughtBy: readonly ("modes" | "goldens")[];
  /** Plants the bug in every model of the process; returns a function that removes it. */
  readonly plant: () => () => void;
}

/** All planted bugs, the best known first. */
export const BUGS: readonly Bug[] = [
  {
    id: "rotary-offset",
    title: "RoPE offset: every call starts at position 0",
    story:
      "A decode step rotates its token as if it were at position 0. Its query meets keys at the wrong distances, and its own key is cached with the wrong rotation. Without the cache every call does start at 0, so only the cached mode breaks.",
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
      "Prefill fills the cache, but decode steps do not write to it: keys and values of generated tokens stay zero. The model does not see the tokens that it has generated.",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length > 0 ? [tf.zerosLike(keys), tf.zerosLike(values)] : [keys, values],
      ),
  },
  {
    id: "missing-mask",
    title: "missing mask: positions attend to the future",
    story:
      "If a call has several positions, each attends to those after it. With the cache only prefill is affected; without it, every step is.",
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
      "The first position of every sequence is missing from the cache. Much of the attention goes to this position (it is an attention sink), so all later outputs change.",
    caughtBy: ["modes"],
    plant: () =>
      replaceAppend((keys, values, length) =>
        length === 0 ? [withoutFirst(keys), withoutFirst(values)] : [keys, values],
      ),
  },
  {
    id: "head-grouping",
    title: "wrong head grouping: query head h uses KV head h mod K",
    story:
      "Adjacent query heads should share a KV head; here they are interleaved. Both modes are wrong in the same way and agree with each other: only an independent reference detects it.",
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
    title: "RoPE offset: one position too far",
    story:
      "Every distance between a new token and the cached ones is one too large. The generated tokens often stay the same while the logits change: only a comparison of logits detects it.",
    caughtBy: ["modes"], // a call that starts at position 0 is not affected
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
      "Queries are multiplied with values, and the keys are averaged instead of the values. Both have the same shape, so there is no error.",
    caughtBy: ["modes"],
    plant: () => replaceAppend((keys, values) => [values, keys]),
  },
  {
    id: "mask-off-by-one",
    title: "mask off by one: a position does not attend to itself",
    story:
      "The mask also hides the diagonal: a position does not attend to itself in a call with several positions, but does in a decode step, which has no mask.",
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
    title: "no RoPE at all",
    story:
      "Queries and keys are not rotated, so attention ignores the order of past tokens. Both modes agree on the same wrong text.",
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
    title: "RMSNorm without the square root",
    story:
      "Vectors are divided by their mean square instead of its square root. Both modes agree, and both are wrong.",
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

/** Changes the keys and values that are appended to a cache of the given length. */
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

/** Replaces the first position of keys or values, [B*K, T, D], by zeros. */
function withoutFirst(x: tf.Tensor3D): tf.Tensor3D {
  const [BK, T, D] = x.shape;
  return tf.concat([tf.zeros<tf.Rank.R3>([BK, 1, D]), tf.slice(x, [0, 1, 0], [BK, T - 1, D])], 1);
}

/** The same attention with query head h assigned to KV head h mod K. */
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

/** Replaces a method; returns a function that restores it. */
export function replace<Class extends object, Name extends keyof Class & string>(
  prototype: Class,
  name: Name,
  make: (original: Class[Name]) => Class[Name],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => void (prototype[name] = original);
}
