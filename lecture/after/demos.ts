import { batching } from "./batching.js";
import { rounding } from "./bits.js";
import { sharedBlocks } from "./blocks.js";
import { chunkedPrefill } from "./chunks.js";
import { guessing } from "./guesses.js";
import { ring, windowLoss } from "./ring.js";
import type { Subject } from "./subject.js";

/**
 * The computations behind the figures of the chapter "After the cache", which the page's worker runs on the bundled model.
 * The second argument of each is an index into its list in settings.ts.
 */
export const DEMOS = {
  batching,
  chunkedPrefill,
  guessing,
  ring,
  rounding,
  sharedBlocks,
  windowLoss,
} as const;

/** Name of a demonstration. */
export type DemoId = keyof typeof DEMOS;

/** Result of a demonstration. */
export type DemoResult<Id extends DemoId> = Awaited<ReturnType<(typeof DEMOS)[Id]>>;

/** Runs a demonstration by its name. */
export const runDemo = <Id extends DemoId>(
  id: Id,
  subject: Subject,
  choice: number,
): Promise<DemoResult<Id>> => DEMOS[id](subject, choice) as Promise<DemoResult<Id>>;
