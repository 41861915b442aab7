/**
 * Resolves when timers, signals and the page have had their turn; in Node and in a browser.
 *
 * Two immediates, not one: Node runs the first at the end of the turn that is under way, and looks for signals only in
 * the next.
 *
 * @param signal aborted by whoever wants an end of what waits here
 * @throws the signal's reason
 */
export async function eventLoop(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === "function") setImmediate(() => setImmediate(resolve));
    else setTimeout(resolve);
  });
  signal?.throwIfAborted();
}
