import type { ModelConfig } from "../model/config.js";

/** The sizes that decide how many numbers of a position a model's attention keeps. */
export type CachedSizes = Pick<ModelConfig, "nLayers" | "nHeads" | "nKvHeads" | "headDim">;

/**
 * Numbers of one position in the cache of all layers, by the kind of attention:
 *
 *     multi-head (MHA)     2 · layers · H · D      a key and a value for each query head
 *     grouped-query (GQA)  2 · layers · K · D      H/K query heads share them (Ainslie et al. 2023)
 *     multi-query (MQA)    2 · layers · D          all share one (Shazeer 2019)
 */
export const cachedNumbers = ({ nLayers, nHeads, nKvHeads, headDim }: CachedSizes) => ({
  MHA: 2 * nLayers * nHeads * headDim,
  GQA: 2 * nLayers * nKvHeads * headDim,
  MQA: 2 * nLayers * headDim,
});

/**
 * The same for multi-head latent attention (MLA, DeepSeek-AI 2024, "DeepSeek-V2"): a compressed vector, from which the
 * keys and values of all heads are computed again, and one rotated key that all heads share.
 *
 * @param latentDim `kv_lora_rank` of config.json
 * @param ropeDim   `qk_rope_head_dim`
 */
export const latentNumbers = (nLayers: number, latentDim: number, ropeDim: number): number =>
  nLayers * (latentDim + ropeDim);

/** Published models, as in their config.json; bytes of one position in 16 bits, as they are usually served. */
export const PUBLISHED: readonly {
  readonly name: string;
  readonly attention: string;
  readonly bytes: number;
}[] = [
  published("Llama 2 7B", "MHA", { nLayers: 32, nHeads: 32, nKvHeads: 32, headDim: 128 }),
  published("Llama 3.2 1B", "GQA", { nLayers: 16, nHeads: 32, nKvHeads: 8, headDim: 64 }),
  published("Llama 3.1 8B", "GQA", { nLayers: 32, nHeads: 32, nKvHeads: 8, headDim: 128 }),
  published("Llama 3.1 70B", "GQA", { nLayers: 80, nHeads: 64, nKvHeads: 8, headDim: 128 }),
  published("Falcon 7B", "MQA", { nLayers: 32, nHeads: 71, nKvHeads: 1, headDim: 64 }),
  { name: "DeepSeek V3", attention: "MLA", bytes: 2 * latentNumbers(61, 512, 64) },
];

function published(name: string, attention: "MHA" | "GQA" | "MQA", sizes: CachedSizes) {
  return { name, attention, bytes: 2 * cachedNumbers(sizes)[attention] };
}
