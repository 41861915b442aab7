import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";
import { mustBe } from "../util/json.js";
import { type OpenFile, readBytes, type ReadableFile } from "./readable-file.js";
import { BYTES, isReadable, MAX_HEADER_BYTES, parseHeader, type TensorEntry } from "./safetensors-header.js";

/** A tensor's numbers as they are stored: float32 ones, or bfloat16 ones, two to an element. */
export interface StoredBits {
  readonly type: "float32" | "bfloat16";
  readonly bits: Int32Array;
}

/**
 * A file in the safetensors format (https://github.com/huggingface/safetensors#format), open for reading:
 *
 *     8 bytes   n, the length of the header, an unsigned little-endian integer
 *     n bytes   header: JSON, { "name": { "dtype", "shape", "data_offsets": [begin, end] }, …, "__metadata__" },
 *               offsets counted from the end of the header
 *     the rest  the tensors' bytes, little-endian, without gaps; no alignment is promised
 *
 * A file that breaks the format in any way is rejected with an `InputError` when it is opened, so every entry of `tensors`
 * lies inside the file and has as many bytes as its shape needs. Reading relies on a little-endian machine, which
 * is every one that TensorFlow.js runs on.
 */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    private readonly file: OpenFile,
    /** All tensors of the file by name, in the order of their bytes. */
    readonly tensors: ReadonlyMap<string, TensorEntry>,
    /** Length of the header. */
    readonly headerBytes: number,
  ) {}

  /**
   * Opens a file and checks its header, without reading a tensor.
   *
   * @throws InputError when the file cannot be read or breaks the format
   */
  static async open(file: ReadableFile): Promise<SafetensorsFile> {
    const { path } = file;
    const opened = await file.open();
    try {
      const header = await readHeader(opened, path);
      return new SafetensorsFile(path, opened, parseHeader(header, opened.size, path), header.length);
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /**
   * A tensor's entry in the header.
   *
   * @throws InputError when the file has no such tensor, or its dtype is not read
   */
  entry(name: string): TensorEntry<keyof typeof BYTES> {
    const entry = this.tensors.get(name);
    if (!entry) {
      throw new InputError(
        `${this.path} must hold tensor ${formatValue(name)}, which is not among the ${this.tensors.size} there`,
      );
    }
    if (isReadable(entry)) return entry;
    throw mustBe(`${this.path}: tensor ${formatValue(name)}: dtype`, "F32, F16 or BF16", entry.dtype);
  }

  /**
   * Reads one tensor and widens it to float32. The file's bytes are read into the end of the result and widened in
   * place from its beginning, so no memory is needed beyond the float32 values.
   *
   * @throws InputError when the file has no such tensor, its dtype is not read, or the file cannot be read
   */
  async read(name: string): Promise<Float32Array> {
    const { dtype, begin, end } = this.entry(name);
    const values = this.allocate(name, (end - begin) / BYTES[dtype]);
    const asStored = new Uint8Array(values.buffer, values.byteLength - (end - begin));
    await readBytes(this.file, this.path, asStored, begin);
    if (dtype === "F16") widenFloat16(values.buffer);
    if (dtype === "BF16") widenBfloat16(values.buffer);
    return values;
  }

  /**
   * Reads one tensor as it is stored. Float16 numbers, and an odd number of bfloat16 ones, are widened to float32.
   *
   * @throws InputError when the file has no such tensor, or it cannot be read
   */
  async readBits(name: string): Promise<StoredBits> {
    const { dtype, begin, end } = this.entry(name);
    if (dtype === "F16" || (end - begin) % 4 !== 0) {
      return { type: "float32", bits: new Int32Array((await this.read(name)).buffer) };
    }
    const bits = new Int32Array(this.allocate(name, (end - begin) / 4).buffer);
    await readBytes(this.file, this.path, new Uint8Array(bits.buffer), begin);
    return { type: dtype === "BF16" ? "bfloat16" : "float32", bits };
  }

  /** Closes the file; tensors that were read stay valid. */
  async close(): Promise<void> {
    await this.file.close();
  }

  private allocate(name: string, length: number): Float32Array<ArrayBuffer> {
    try {
      return new Float32Array(length);
    } catch {
      throw new InputError(
        `${this.path}: tensor ${formatValue(name)} needs ${4 * length} bytes as float32, more than can be allocated`,
      );
    }
  }
}

/**
 * Converts the n bfloat16 numbers in the second half of `buffer` to n float32 numbers that fill it: a bfloat16 is the
 * upper half of a float32. When number i is written to bytes 4i … 4i+3, number i+1 is still at 2n+2i+2, which is never
 * before 4i+4.
 */
function widenBfloat16(buffer: ArrayBuffer): void {
  const wide = new Uint32Array(buffer);
  const narrow = new Uint16Array(buffer, buffer.byteLength / 2);
  for (let i = 0; i < wide.length; i++) wide[i] = narrow[i]! << 16;
}

/**
 * The same for float16, which has 5 bits of exponent (bias 15) and 10 of fraction where a float32 has 8 (bias 127) and 23.
 * Multiplying by 2^112 moves the bias, exactly, and makes subnormal numbers normal ones.
 */
function widenFloat16(buffer: ArrayBuffer): void {
  const wide = new Float32Array(buffer);
  const bits = new Uint32Array(buffer);
  const narrow = new Uint16Array(buffer, buffer.byteLength / 2);
  for (let i = 0; i < bits.length; i++) {
    const half = narrow[i]!;
    bits[i] = (half & 0x7fff) << 13;
    wide[i]! *= 2 ** 112;
    if ((half & 0x7c00) === 0x7c00) bits[i]! |= 0x7f800000; // infinity, NaN
    bits[i]! |= (half & 0x8000) << 16; // sign
  }
}

/** Reads the header's bytes, without its length. */
async function readHeader(file: OpenFile, path: string): Promise<Uint8Array> {
  const prefix = new Uint8Array(8);
  await readBytes(file, path, prefix, 0);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  const most = Math.min(MAX_HEADER_BYTES, file.size - 8);
  if (length < 2 || length > most) {
    throw new InputError(
      `${path}: the length of the header must be 2 to ${most} bytes, got ${length} ` +
        "(is this a safetensors file, and not a Git LFS pointer to one?)",
    );
  }
  const bytes = new Uint8Array(length);
  await readBytes(file, path, bytes, 8);
  return bytes;
}
