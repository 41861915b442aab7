const GIB = 2 ** 30;

/** The most memory that tensors may take on a backend. */
export interface MemoryLimit {
  /** Bytes of all tensors together. */
  readonly bytes: number;
  /** The origin of the limit, as it follows the number in an error message. */
  readonly source: string;
}

/** By backend name. No entry: unknown, as in a browser; nothing is rejected then. */
const limits = new Map<string, MemoryLimit>([
  // The heap ends at 4 GiB; the last half GiB is for what no prediction covers: fragmentation, kernels' own buffers.
  ["wasm", { bytes: 3.5 * GIB, source: "(of the 4 GiB that WebAssembly's heap can grow to)" }],
]);

/** The memory limit of a backend; undefined where it is unknown. */
export const memoryLimit = (backendName: string): MemoryLimit | undefined => limits.get(backendName);

/** Sets the memory limit of a backend; undefined removes it. Returns the previous one. */
export function setMemoryLimit(backendName: string, limit: MemoryLimit | undefined): MemoryLimit | undefined {
  const previous = limits.get(backendName);
  if (limit) limits.set(backendName, limit);
  else limits.delete(backendName);
  return previous;
}
