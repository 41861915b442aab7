import type { Tensor3D } from "@tensorflow/tfjs-core";
import { yourTurn } from "../exercise.js";

/** The key/value head that query head h reads, of H query heads and K key/value heads. */
export function kvHeadOf(h: number, H: number, K: number): number {
  yourTurn(
    `${H} query heads share ${K} key/value heads, neighbours together. How many share one? Which does head ${h} read?`,
  );
}

/** Queries [B*H, T, D] as the rows of their key/value heads, [B*K, H/K*T, D]. */
export function group(queries: Tensor3D, H: number, K: number): Tensor3D {
  yourTurn(`queries [${queries.shape}] of ${H} heads for ${K} key/value heads`);
}
