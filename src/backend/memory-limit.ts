/** The most memory that tensors may take on a backend. */
export interface MemoryLimit {
  /** Bytes of all tensors together. */
  readonly bytes: number;
  /** The origin of the limit, as it follows the number in an error message. */
  readonly source: string;
  /** Elements of one tensor, if they are limited more than by memory. */
  readonly elements?: number;
}

/** The limits by backend name. No entry: unknown, as in a browser; nothing is rejected then. */
export const memoryLimits = new Map<string, MemoryLimit | undefined>([
  // The heap ends at 4 GiB; the last half GiB is for what no prediction covers: fragmentation, kernels' own buffers.
  ["wasm", { bytes: 3.5 * 2 ** 30, source: "(of the 4 GiB that WebAssembly's heap can grow to)" }],
]);
