/**
 * Resolves when timers, signals and the page have had their turn; in Node and in a browser.
 *
 * Two immediates, not one: Node runs the first at the end of the turn that is under way, and looks for signals only in
 * the next.
 */
export const eventLoop = (): Promise<void> =>
  new Promise((resolve) =>
    typeof setImmediate === "function" ? setImmediate(() => setImmediate(resolve)) : setTimeout(resolve),
  );
