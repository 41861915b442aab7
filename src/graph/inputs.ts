import type { Feeds } from "./session.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import type { GraphCall } from "./trace-model.js";

/**
 * The numbers that one run of a recorded call needs, by its nodes' names.
 *
 * @param tokens B rows of at most call.T token ids; shorter ones are filled up behind, where the mask hides it
 * @param start  the position of the first
 */
export function feeds(
  { scope, T }: GraphCall,
  tokens: readonly (readonly number[])[],
  start: number,
  rotaryEmbedding: RotaryEmbedding,
): Feeds {
  const B = tokens.length;
  const fed = tokens[0]!.length;
  const ids = new Int32Array(B * T);
  for (const [b, row] of tokens.entries()) ids.set(row, b * T);
  const { cos, sin, shape } = rotaryEmbedding.rows(start, start + T);
  const rotation = new Float32Array(2 * cos.length);
  rotation.set(cos);
  rotation.set(sin, cos.length);
  const inputs: Record<string, Feeds[string]> = {
    ids: { values: ids, shape: [B * T] },
    positions: { values: Int32Array.from({ length: T }, (_, t) => start + t), shape: [T] },
    rotation: { values: rotation, shape: [2 * shape[0], shape[1]] },
  };
  if (T > 1)
    inputs["last"] = { values: Int32Array.from({ length: B }, (_, b) => b * T + fed - 1), shape: [B] };
  return Object.fromEntries(Object.entries(inputs).map(([name, feed]) => [`${scope}/${name}`, feed]));
}
