import { setTimeout as sleep } from "node:timers/promises";
import { Dropped } from "./hub-errors.js";

/** Tries in a row that bring nothing. */
const TRIES = 5;

/** How patiently. */
export interface RetryOptions {
  /** Milliseconds before the second try after a lost connection; doubled for each later one. */
  readonly retryDelay?: number;
  readonly signal?: AbortSignal | undefined;
  /** Is told what was lost, before each further try. */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/**
 * Does something again when the connection was lost, until five tries in a row have brought nothing.
 *
 * @param reached how far it is; a try that ends farther than it began has brought something
 * @throws what the last try threw; the signal's reason
 */
export async function retry<Result>(
  attempt: () => Promise<Result>,
  { retryDelay = 2000, signal, onNote }: RetryOptions,
  reached: () => Promise<number> = () => Promise.resolve(0),
): Promise<Result> {
  for (let failures = 0; ;) {
    const before = await reached();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      failures = (await reached()) > before ? 0 : failures + 1;
      if (failures === TRIES) throw error;
      const delay = retryDelay * 2 ** Math.max(0, failures - 1);
      onNote?.(`trying again in ${delay / 1000} s: ${error.message}`);
      await sleep(delay, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}
