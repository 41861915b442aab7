import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "./config.js";
import type { Probe } from "./probe.js";

/** What generation needs of a model. `Llama` is one, and a recorded `Llama` another. */
export interface Model {
  readonly config: ModelConfig;
  /** Gets ready for generations of so many rows and positions, where that takes something; called before each. */
  prepare?(batchSize: number, maxSeqLen: number): Promise<void>;
  /** Room for the keys and values of one generation. */
  createCache(batchSize: number, maxSeqLen: number): Cache;
  /** Scores every token that could follow each row, [B, V]; see `Llama.forward`. */
  forward(tokens: readonly (readonly number[])[], cache?: Cache, probe?: Probe): Tensor2D;
  /**
   * The same for greedy decoding, by a model from which it takes time to bring all scores here: [B, 2], each row's best
   * token and the sum of its scores, which is no finite number when a score is none.
   */
  forwardGreedy?(tokens: readonly (readonly number[])[], cache?: Cache, probe?: Probe): Tensor2D;
}

/** Keys and values of one generation, as far as generation looks at them. */
export interface Cache {
  /** Positions stored so far. */
  readonly length: number;
  /** Positions that it has room for. */
  readonly maxSeqLen: number;
  dispose(): void;
}
