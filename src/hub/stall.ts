import { Dropped } from "./hub-errors.js";

/**
 * Waits for what a server sends, but not for ever: a connection that died without a word looks like a slow one.
 *
 * @param server how errors call it
 * @param limit  in milliseconds
 * @throws Dropped when it takes longer; what `sent` throws
 */
export async function inTime<Sent>(sent: Promise<Sent>, server: string, limit: number): Promise<Sent> {
  let timer: NodeJS.Timeout | undefined;
  const stall = new Promise<never>((_, reject) => {
    const sentence = `the connection was lost (${server} has sent nothing for ${limit / 1000} s)`;
    timer = setTimeout(() => reject(new Dropped(sentence)), limit);
  });
  try {
    return await Promise.race([sent, stall]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The same bytes, each chunk `inTime`. What counts is the time that the server is waited for, not the time that the
 * reader takes before it asks for more: a slow disk is no stall.
 */
export function bodyInTime(
  body: ReadableStream<Uint8Array>,
  server: string,
  limit: number,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await inTime(reader.read(), server, limit);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        reader.cancel().catch(() => undefined); // closes the connection, which else would keep the process
        throw error;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
