/** Resolves when timers, signals and the page have had their turn; in Node and in a browser. */
export const eventLoop = (): Promise<void> =>
  new Promise((resolve) =>
    typeof setImmediate === "function" ? setImmediate(resolve) : setTimeout(resolve),
  );
