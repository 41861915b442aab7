import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * What can be seen of a forward pass, by name and shape. Those of a layer come once a layer, in this order.
 *
 * | name                 | shape          | what it is                                                       |
 * | -------------------- | -------------- | ---------------------------------------------------------------- |
 * | `embedding`          | [B*T, C]       | the tokens' vectors; the residual stream before the first block  |
 * | `attention.norm`     | [B*T, C]       | what attention reads                                             |
 * | `attention.query`    | [B*H, T, D]    | queries of the fed positions, rotated                            |
 * | `attention.key`      | [B*K, T, D]    | keys computed in this call, rotated                              |
 * | `attention.value`    | [B*K, T, D]    | values computed in this call                                     |
 * | `attention.weights`  | [B*K, H/K*T, S] | how much each query takes of each position; [B, H, T, S] in memory |
 * | `attention.output`   | [B*T, C]       | what attention adds to the residual stream                       |
 * | `feedForward.norm`   | [B*T, C]       | what the feed-forward layer reads                                |
 * | `feedForward.output` | [B*T, C]       | what the feed-forward layer adds to the residual stream          |
 * | `block.output`       | [B*T, C]       | the residual stream after the block                              |
 * | `norm`               | [B, C]         | the last position's residual stream after the final norm         |
 * | `logits`             | [B, V]         | a score for every token that could come next                     |
 */
export type ProbeName =
  | "embedding"
  | `attention.${"norm" | "query" | "key" | "value" | "weights" | "output"}`
  | `feedForward.${"norm" | "output"}`
  | "block.output"
  | "norm"
  | "logits";

/**
 * Sees the model's intermediate results as they are computed. Golden tests, pictures and counters all look through
 * this one window; the model itself prints and records nothing.
 *
 * The tensor is only lent: it is disposed soon after, so read it or `tf.keep(tf.clone(tensor))` it.
 *
 * @param layer the block's index, undefined for what is not in a block
 */
export interface Probe {
  (name: ProbeName, layer: number | undefined, tensor: Tensor): void;
  /** The only names that it wants, where it says so: a recorded model then brings nothing else out of its graph. */
  readonly only?: readonly ProbeName[];
}

/** A probe that already knows its layer; what a block hands to its parts. */
export type LayerProbe = (name: ProbeName, tensor: Tensor) => void;
