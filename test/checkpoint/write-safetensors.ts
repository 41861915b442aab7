/** A tensor to write; its bytes need not fit its dtype and shape. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The bytes of a file with these tensors in order. `padding` spaces follow the header and shift the data. */
export function safetensors(
  tensors: readonly StoredTensor[],
  metadata?: Readonly<Record<string, string>>,
  padding = 0,
): Uint8Array {
  let end = 0;
  const fields = tensors.map(({ name, dtype, shape, bytes }) => {
    const begin = end;
    end += bytes.length;
    // As text, because an object literal would lose a tensor called "__proto__".
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`;
  });
  if (metadata) fields.unshift(`"__metadata__":${JSON.stringify(metadata)}`);
  const data = concat(tensors.map(({ bytes }) => bytes));
  return withHeader(`{${fields.join(",")}}${" ".repeat(padding)}`, data);
}

/** The bytes of a file with any header, valid or not; `length` is what the first 8 bytes state. */
export function withHeader(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
  length?: number | bigint,
): Uint8Array {
  const headerBytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(length ?? headerBytes.length), true);
  return concat([prefix, headerBytes, data]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
