import { InputError } from "../util/errors.js";

/** A file that can be opened: on disk (directory.ts) or in memory (memory-files.ts). */
export interface ReadableFile {
  /** Its name in errors. */
  readonly path: string;
  /** Opens it for reading. Throws InputError when it cannot be opened. */
  open(): Promise<OpenFile>;
}

/** An open file. */
export interface OpenFile {
  /** In bytes. */
  readonly size: number;
  /** Reads bytes from a position on, at most as many as `into` has; returns their number, 0 at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Releases the file. */
  close(): Promise<void>;
}

/** Bytes per read call; Node allows at most 2^31 - 1. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/**
 * Fills `bytes` from a position of an open file on.
 *
 * @param path of the file, for errors
 * @throws InputError when the file cannot be read or ends before
 */
export async function readBytes(
  file: OpenFile,
  path: string,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const chunk = bytes.subarray(done, done + CHUNK_BYTES);
    const bytesRead = await file.read(chunk, position + done).catch((error: Error) => {
      // A failing disk, or a file on a network that is gone.
      throw new InputError(`${path} cannot be read at byte ${position + done}: ${error.message}`);
    });
    if (bytesRead === 0) {
      throw new InputError(
        `${path}: the file ended at byte ${position + done} while it was read, ${bytes.length - done} byte(s) early`,
      );
    }
    done += bytesRead;
  }
}
