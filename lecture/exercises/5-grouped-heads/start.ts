import type { Tensor3D } from "@tensorflow/tfjs-core";
import { yourTurn } from "../exercise.js";

/** The key/value head that query head h reads, of H query heads and K key/value heads. */
export function kvHeadOf(h: number, H: number, K: number): number {
  yourTurn(`which of ${K} key/value heads query head ${h} of ${H} reads`);
}

/** Queries [B*H, T, D] as the rows of their key/value heads, [B*K, H/K*T, D]. */
export function group(queries: Tensor3D, H: number, K: number): Tensor3D {
  yourTurn(`queries [${queries.shape}] of ${H} heads for ${K} key/value heads`);
}
