import type { Tensor } from "@tensorflow/tfjs-core";

/**
 * The activations that a probe receives. Those of a layer come once per layer, in this order.
 *
 * | name                 | shape           | activation                                                       |
 * | -------------------- | --------------- | ---------------------------------------------------------------- |
 * | `embedding`          | [B*T, C]        | the tokens' embeddings: the residual stream before the first block |
 * | `attention.norm`     | [B*T, C]        | input of attention                                               |
 * | `attention.query`    | [B*H, T, D]     | queries, rotated                                                 |
 * | `attention.key`      | [B*K, T, D]     | keys computed in this call, rotated                              |
 * | `attention.value`    | [B*K, T, D]     | values computed in this call                                     |
 * | `attention.weights`  | [B*K, H/K*T, S] | attention weights, [B, H, T, S] in memory                        |
 * | `attention.output`   | [B*T, C]        | added to the residual stream by attention                        |
 * | `feedForward.norm`   | [B*T, C]        | input of the feed-forward network                                |
 * | `feedForward.output` | [B*T, C]        | added to the residual stream by the feed-forward network         |
 * | `block.output`       | [B*T, C]        | the residual stream after the block                              |
 * | `norm`               | [B, C]          | the last position's hidden state after the final norm            |
 * | `logits`             | [B, V]          | logits of the next token                                         |
 */
export type ProbeName =
  | "embedding"
  | {
      [Part in keyof LayerActivations]: `${Part}.${keyof LayerActivations[Part] & string}`;
    }[keyof LayerActivations]
  | "norm"
  | "logits";

/** The activations of one layer, by the part that computes them. */
export interface LayerActivations {
  readonly attention: Record<"norm" | "query" | "key" | "value" | "weights" | "output", Tensor>;
  readonly feedForward: Record<"norm" | "output", Tensor>;
  readonly block: Record<"output", Tensor>;
}

/**
 * Receives a model's activations as they are computed. Golden tests, figures and counters all use this one hook; the
 * model itself prints and stores nothing.
 *
 * The tensor is only lent: it is disposed soon after, so read it or `tf.keep(tf.clone(tensor))` it.
 *
 * @param layer index of the block, undefined outside the blocks
 */
export type Probe = (name: ProbeName, layer: number | undefined, tensor: Tensor) => void;

/** A probe bound to its layer, which a block passes to its parts. */
export type LayerProbe = <Part extends keyof LayerActivations>(
  part: Part,
  tensors: LayerActivations[Part],
) => void;

/** Binds a probe to a layer. */
export const probeOfLayer =
  (probe: Probe, layer: number): LayerProbe =>
  (part, tensors) => {
    for (const [name, tensor] of Object.entries<Tensor>(tensors))
      probe(`${part}.${name}` as ProbeName, layer, tensor);
  };

/** The probe of a chunk: only the last has the prompt's final norm and logits, as a prompt in one chunk has. */
export const probeOfChunk = (probe: Probe | undefined, last: boolean): Probe | undefined =>
  probe && !last
    ? (name, layer, tensor) => name !== "norm" && name !== "logits" && probe(name, layer, tensor)
    : probe;
