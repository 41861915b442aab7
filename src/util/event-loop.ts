/**
 * Resolves after pending signals, messages and page events have been handled; in Node and in a browser.
 *
 * In Node it takes two immediates: the first runs at the end of the current iteration of the event loop, and signals are
 * handled in the next one. In a browser it takes a message, because browsers delay nested timers by 4 ms each.
 *
 * @throws the signal's reason if it is aborted
 */
export async function yieldToEventLoop(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === "function") setImmediate(() => setImmediate(resolve));
    else afterMessage(resolve);
  });
  signal?.throwIfAborted();
}

function afterMessage(callback: () => void): void {
  const { port1, port2 } = new MessageChannel();
  const receive = () => {
    port1.close();
    callback();
  };
  port1.addEventListener("message", receive, { once: true });
  port1.start();
  port2.postMessage(undefined);
}
