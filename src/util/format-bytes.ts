/** "12.3 MB" or "1.13 GB", in millions and billions of bytes as the source document counts. */
export const formatBytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
