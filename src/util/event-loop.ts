/**
 * Resolves after pending timers, signals and page events have been handled; in Node and in a browser.
 *
 * In Node it takes two immediates: the first runs at the end of the current iteration of the event loop, and signals are
 * handled in the next one.
 *
 * @throws the signal's reason if it is aborted
 */
export async function yieldToEventLoop(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === "function") setImmediate(() => setImmediate(resolve));
    else setTimeout(resolve);
  });
  signal?.throwIfAborted();
}
