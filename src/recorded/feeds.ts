import type { Feeds } from "../engine/record/session.js";
import type { ModelConfig } from "../model/config.js";
import type { RotaryEmbedding } from "../model/rotary-embedding.js";
import type { RecordedCall, Sizes } from "./recording.js";

/**
 * The numbers that one run of a recorded call needs, by its nodes' names.
 *
 * @param tokens B rows of at most call.T token ids; shorter ones are filled up behind, where the mask hides it
 * @param start  the position of the first
 */
export function feeds(
  { scope, T, kvCaching }: RecordedCall,
  tokens: readonly (readonly number[])[],
  start: number,
  { L }: Sizes,
  { nKvHeads: K }: ModelConfig,
  rotaryEmbedding: RotaryEmbedding,
): Feeds {
  const B = tokens.length;
  const fed = tokens[0]!.length;
  const ids = new Int32Array(B * T);
  for (const [b, row] of tokens.entries()) ids.set(row, b * T);
  const { cos, sin, shape } = rotaryEmbedding.rows(start, start + T);
  const inputs: Record<string, Feeds[string]> = {
    ids: { values: ids, shape: [B * T] },
    positions: { values: Float32Array.from({ length: T }, (_, t) => start + t), shape: [T] },
    cos: { values: cos, shape },
    sin: { values: sin, shape },
  };
  if (T > 1)
    inputs["last"] = { values: Int32Array.from({ length: B }, (_, b) => b * T + fed - 1), shape: [B] };
  if (kvCaching) {
    // In the flat view [B*K*L, D] of a cache, position p of row r is row r·L + p.
    const rows = Int32Array.from({ length: B * K * T }, (_, i) => Math.floor(i / T) * L + start + (i % T));
    inputs["rows"] = { values: rows, shape: [B * K * T] };
  }
  return Object.fromEntries(Object.entries(inputs).map(([name, feed]) => [`${scope}/${name}`, feed]));
}
