import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError } from "./hub.js";

/** Attempts in a row without progress before `retry` gives up. */
const MAX_ATTEMPTS = 5;

/** Options for `retry`. */
export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Milliseconds before the second attempt; doubled for each later one. 2000 by default. */
  readonly retryDelay?: number;
  /** Called with one sentence before each further attempt. */
  readonly onNote?: (sentence: string) => void;
}

/**
 * Repeats a request while it fails with a ConnectionError.
 *
 * @param progress a number that grows as an attempt makes progress, such as the bytes received
 * @throws the last attempt's error; the signal's reason
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  { signal, retryDelay = 2000, onNote }: RetryOptions,
  progress: () => number = () => 0,
): Promise<T> {
  for (let failures = 0; ;) {
    const before = progress();
    try {
      return await attempt();
    } catch (error) {
      failures = progress() > before ? 1 : failures + 1;
      if (!(error instanceof ConnectionError) || failures === MAX_ATTEMPTS) throw error;
      const delay = retryDelay * 2 ** (failures - 1);
      onNote?.(`trying again in ${delay / 1000} s: ${error.message}`);
      await sleep(delay, undefined, { signal });
    }
  }
}
