import { writeFileSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import * as fc from "fast-check";
import type { TensorEntry } from "../../src/checkpoint/safetensors-header.js";
import { diskFile } from "../../src/checkpoint/directory.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import { InputError } from "../../src/util/errors.js";
import { safetensors, type StoredTensor, withHeader } from "./write-safetensors.js";

let directory: string;
let path: string;

describe("safetensors", () => {
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "safetensors-test-"));
    path = join(directory, "model.safetensors");
  });
  after(() => rm(directory, { recursive: true }));

  describe("reading", () => {
    it("reads float32 bit for bit, NaN payloads included", async () => {
      const bits = [0, 0x80000000, 1, 0x3f800000, 0x7f7fffff, 0xff800000, 0x7fc00001, 0x7f800001, 0xffffffff];
      const bytes = new Uint8Array(Uint32Array.from(bits).buffer);
      expect(
        await readBits(safetensors([{ name: "x", dtype: "F32", shape: [9], bytes }]), "x"),
      ).to.deep.equal(bits);
    });

    it("reads all 65,536 bfloat16 numbers as the upper halves of float32 numbers", async () => {
      const all = everyUint16();
      const bits = await readBits(
        safetensors([{ name: "x", dtype: "BF16", shape: [65536], bytes: all }]),
        "x",
      );
      expect(bits).to.deep.equal(Array.from({ length: 65536 }, (_, bits16) => bits16 * 65536));
    });

    it("reads all 65,536 float16 numbers as float32 numbers of the same value", async () => {
      const all = everyUint16();
      const bits = await readBits(
        safetensors([{ name: "x", dtype: "F16", shape: [256, 256], bytes: all }]),
        "x",
      );
      expect(bits).to.deep.equal(Array.from({ length: 65536 }, (_, bits16) => float16AsFloat32Bits(bits16)));
    });

    it("reads data at any byte offset", async () => {
      for (let padding = 0; padding < 8; padding++) {
        const file = safetensors(
          [
            { name: "half", dtype: "F16", shape: [2], bytes: Uint8Array.of(0x00, 0x3c, 0x00, 0xc0) },
            { name: "brain", dtype: "BF16", shape: [2], bytes: Uint8Array.of(0x80, 0x3f, 0x00, 0xc0) },
            { name: "single", dtype: "F32", shape: [1], bytes: Uint8Array.of(0, 0, 0xc0, 0x3f) },
          ],
          {},
          padding,
        );
        await withFile(file, async ({ tensors }) => {
          expect([...tensors.keys()]).to.deep.equal(["half", "brain", "single"]);
        });
        expect(await withFile(file, (opened) => opened.read("half"))).to.deep.equal(Float32Array.of(1, -2));
        expect(await withFile(file, (opened) => opened.read("brain"))).to.deep.equal(Float32Array.of(1, -2));
        expect(await withFile(file, (opened) => opened.read("single"))).to.deep.equal(Float32Array.of(1.5));
      }
    });

    it("reads tensors longer than one read call, two at the same time", async () => {
      const length = 9 * 1024 * 1024 + 3; // 18 MiB of bfloat16, over the 16 MiB of one read
      const stored = Uint16Array.from({ length }, (_, i) => i % 65521);
      const file = safetensors([
        { name: "small", dtype: "F16", shape: [1], bytes: Uint8Array.of(1, 2) },
        { name: "big", dtype: "BF16", shape: [length], bytes: new Uint8Array(stored.buffer) },
      ]);
      const [one, two] = await withFile(file, (opened) =>
        Promise.all([opened.read("big"), opened.read("big")]),
      );
      const bits = new Uint32Array(one.buffer);
      expect(bits.findIndex((value, i) => value !== (i % 65521) * 65536)).to.equal(-1);
      expect(Buffer.compare(Buffer.from(one.buffer), Buffer.from(two.buffer))).to.equal(0);
    });
  });

  describe("valid files", () => {
    it("may have no tensors", () =>
      withFile(withHeader("{}"), (file) => expect(file.tensors.size).to.equal(0)));

    it("may have scalars, empty tensors, metadata, extra fields, and tensors in any order of the header", async () => {
      const header =
        `{"b":{"data_offsets":[4,6],"shape":[],"dtype":"BF16","note":{"x":[1]}},"__metadata__":{"format":"pt"},` +
        `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
        `"none":{"dtype":"F16","shape":[3,0],"data_offsets":[4,4]}}  `;
      await withFile(withHeader(header, Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0x40)), async (file) => {
        expect([...file.tensors.keys()]).to.deep.equal(["a", "none", "b"]);
        const dataBegin = 8 + header.length;
        const expected: TensorEntry = { dtype: "BF16", shape: [], begin: dataBegin + 4, end: dataBegin + 6 };
        expect(file.tensors.get("b")).to.deep.equal(expected);
        expect(await file.read("a")).to.deep.equal(Float32Array.of(1));
        expect(await file.read("b")).to.deep.equal(Float32Array.of(2));
        expect(await file.read("none")).to.deep.equal(Float32Array.of());
      });
    });

    it("may have tensor names with a meaning in JavaScript", async () => {
      const names = ["__proto__", "constructor", "toString", "7", "", 'a\n\u0000“\\"', "__proto__.dtype"];
      const tensors = names.map((name, i) => bfloat16(name, i + 1));
      await withFile(safetensors(tensors, { ["constructor"]: "x" }), async (file) => {
        expect([...file.tensors.keys()]).to.deep.equal(names);
        for (const [i, name] of names.entries()) {
          expect(await file.read(name)).to.deep.equal(Float32Array.of(i + 1));
        }
      });
      expect(Object.hasOwn(Object.prototype, "dtype")).to.equal(false);
    });
  });

  describe("invalid files", () => {
    it("rejects a missing file, a directory, and a path through a file", async () => {
      const missing = join(directory, "missing.safetensors");
      expect(await messageOf(SafetensorsFile.open(diskFile(missing)))).to.match(
        /missing\.safetensors cannot be read: ENOENT/,
      );
      expect(await messageOf(SafetensorsFile.open(diskFile(directory)))).to.match(
        / cannot be read.*: EISDIR/,
      );
      await writeFile(path, "");
      expect(await messageOf(SafetensorsFile.open(diskFile(join(path, "x"))))).to.match(
        /x cannot be read: (ENOTDIR|ENOENT)/, // the latter on Windows
      );
    });

    const cases: [what: string, bytes: Uint8Array, message: string | RegExp][] = [
      ["an empty file", new Uint8Array(0), "the file ended at byte 0 while it was read, 8 byte(s) early"],
      ["7 bytes", new Uint8Array(7), "the file ended at byte 7 while it was read, 1 byte(s) early"],
      ["an empty header", withHeader(""), /^the length of the header must be 2 to \d+ bytes, got 0/],
      [
        "a header longer than the limit",
        withHeader("{}", undefined, 100_000_001),
        /^the length of the header must be 2 to \d+ bytes, got 100000001/,
      ],
      [
        "the largest header length",
        withHeader("{}", undefined, 2n ** 64n - 1n),
        /^the length of the header must be 2 to \d+ bytes, got 18446744073709552000/,
      ],
      [
        "a Git LFS pointer",
        new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
        /^the length of the header must be .*, got \d+ \(is this a safetensors file, and not a Git LFS pointer to one\?\)$/,
      ],
      [
        "a header longer than the file",
        withHeader("{}", undefined, 3),
        /^the length of the header must be 2 to 2 bytes, got 3/,
      ],
      [
        "a header that is not UTF-8",
        withHeader(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
        "the header must be valid JSON, but it is not UTF-8",
      ],
      ["a byte order mark", withHeader("\ufeff{}"), 'the header must begin with "{"'],
      ["a header that is a list", withHeader("[1]"), 'the header must begin with "{"'],
      ["whitespace before the header", withHeader(" {}"), 'the header must begin with "{"'],
      ["a header that is not JSON", withHeader("{]"), /^the header must be valid JSON: ./],
      ["incomplete JSON", withHeader('{"x'), /^the header must be valid JSON: /],
      ["invalid JSON of several lines", withHeader('{"x":\n\n\nno}'), /^the header must be valid JSON: .*$/],
      [
        "a tensor twice",
        withHeader('{"x":1,"y":{"x":1},"x":2}'),
        'the header must have each key once in an object, got "x" twice',
      ],
      ["a tensor twice, spelled differently", withHeader('{"x":1,"\\u0078":2}'), /got "x" twice/],
      [
        "a field twice",
        entry('"dtype":"F32","dtype":"F32"'),
        'the header must have each key once in an object, got "dtype" twice',
      ],
      [
        "deep nesting",
        withHeader(`{"x":${"[".repeat(9e5)}${"]".repeat(9e5)}}`),
        /^the header must nest at most 128 levels deep/,
      ],
      [
        "more values than any model has, which would need gigabytes",
        withHeader(`{"x":[${"[],".repeat(4e6)}[]]}`),
        "the header must hold at most 400000 values",
      ],
      [
        "metadata that is not an object",
        withHeader('{"__metadata__":["a"]}'),
        /^__metadata__ must be an object of strings, got \["a"\]/,
      ],
      [
        "metadata that is not a string",
        withHeader('{"__metadata__":{"a":1}}'),
        '__metadata__: "a" must be a string, got 1',
      ],
      [
        "a tensor that is not an object",
        withHeader('{"x":null}'),
        'tensor "x" must be a JSON object, got null',
      ],
      [
        "a tensor that is a list",
        withHeader('{"x":[1,[2]]}'),
        'tensor "x" must be a JSON object, got [1, […]]',
      ],
      [
        "a missing dtype",
        entry('"shape":[2],"data_offsets":[0,8]'),
        /^tensor "x": dtype must be F32, F16 or BF16, but it is missing$/,
      ],
      [
        "a missing shape",
        entry('"dtype":"F32","data_offsets":[0,8]'),
        'tensor "x": shape must be a list of non-negative integers, but it is missing',
      ],
      [
        "missing data_offsets",
        entry('"dtype":"F32","shape":[2]'),
        'tensor "x": data_offsets must be two non-negative integers, but it is missing',
      ],
      [
        "fields from __proto__",
        entry('"__proto__":{"dtype":"F32"},"shape":[2]'),
        /^tensor "x": dtype must be F32, F16 or BF16, but it is missing$/,
      ],
      [
        "an unknown dtype",
        entry('"dtype":"Q4_0","shape":[1],"data_offsets":[0,8]'),
        /^tensor "x": dtype must be F32, F16 or BF16, got "Q4_0"$/,
      ],
      [
        "a dtype that every object inherits",
        entry('"dtype":"constructor","shape":[1],"data_offsets":[0,8]'),
        /^tensor "x": dtype must be F32, F16 or BF16, got "constructor"$/,
      ],
      [
        "a dtype that is an object",
        entry('"dtype":{"F32":1}'),
        /^tensor "x": dtype must be F32, F16 or BF16, got an object$/,
      ],
      [
        "a shape that is not a list",
        entry('"dtype":"F32","shape":2'),
        /^tensor "x": shape must be a list of non-negative integers, got 2$/,
      ],
      [
        "a negative size",
        entry('"dtype":"F32","shape":[-2]'),
        /: shape must be a list of non-negative integers, got \[-2\]$/,
      ],
      [
        "a fractional size",
        entry('"dtype":"F32","shape":[0.5]'),
        /: shape must be a list of non-negative integers, got \[0\.5\]$/,
      ],
      [
        "a size in quotes",
        entry('"dtype":"F32","shape":["2"]'),
        /: shape must be a list of non-negative integers, got \["2"\]$/,
      ],
      [
        "a size beyond 2^53",
        entry('"dtype":"F32","shape":[9007199254740992]'),
        /must be a list of non-negative/,
      ],
      [
        "more than 2^53 elements",
        entry('"dtype":"F32","shape":[94906267,94906267,0],"data_offsets":[0,0]'),
        'tensor "x": shape must be less than 2^53 elements, got [94906267, 94906267, 0]',
      ],
      [
        "three offsets",
        entry('"dtype":"F32","shape":[2],"data_offsets":[0,4,8]'),
        /data_offsets must be two non-negative integers, got \[0, 4, 8\]$/,
      ],
      [
        "offsets that are not integers",
        entry('"dtype":"F32","shape":[2],"data_offsets":[0,"8"]'),
        /data_offsets must be two non-negative integers, got \[0, "8"\]$/,
      ],
      [
        "a negative offset",
        entry('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'),
        /data_offsets must be two non-negative integers, got \[-8, 0\]$/,
      ],
      [
        "data that begins after its end",
        entry('"dtype":"F32","shape":[2],"data_offsets":[8,0]'),
        /data_offsets must be 8 bytes apart for F32 of shape \[2\], got \[8, 0\]$/,
      ],
      [
        "too few bytes for the shape",
        entry('"dtype":"F32","shape":[3,1],"data_offsets":[0,8]'),
        'tensor "x": data_offsets must be 12 bytes apart for F32 of shape [3, 1], got [0, 8]',
      ],
      [
        "a dtype that no Llama has",
        entry('"dtype":"I64","shape":[1],"data_offsets":[0,8]'),
        /dtype must be F32, F16 or BF16, got "I64"$/,
      ],
      [
        "data of a dtype that is not read, which begins after its end",
        entry('"dtype":"I64","shape":[1],"data_offsets":[8,0]'),
        'tensor "x": data_offsets must be in order, got [8, 0]',
      ],
      [
        "two tensors that overlap",
        withHeader(
          '{"b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
          new Uint8Array(6),
        ),
        'tensor "b" must begin at byte 119, where tensor "a" ends, got 117: they overlap',
      ],
      [
        "unused bytes between two tensors",
        withHeader(
          '{"b":{"dtype":"F16","shape":[2],"data_offsets":[5,9]},"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}',
          new Uint8Array(9),
        ),
        'tensor "b" must begin at byte 117, where tensor "a" ends, got 120: 3 bytes between them are unused',
      ],
      [
        "unused bytes after the header",
        entry('"dtype":"F32","shape":[1],"data_offsets":[4,8]'),
        'tensor "x" must begin at byte 62, where the header ends, got 66: 4 bytes between them are unused',
      ],
      [
        "bytes after the last tensor",
        entry('"dtype":"F32","shape":[1],"data_offsets":[0,4]'),
        'the file must end at byte 66, where tensor "x" ends, got 70 bytes',
      ],
      [
        "data without tensors",
        withHeader("{}", new Uint8Array(3)),
        /^the file must end at byte 10, where the header ends, got 13 bytes$/,
      ],
      [
        "a truncated file",
        entry('"dtype":"F32","shape":[25],"data_offsets":[0,100]'),
        'the file must end at byte 165, where tensor "x" ends, got 73 bytes; it is truncated, download it again',
      ],
      [
        "an offset of 2^53 - 8",
        entry('"dtype":"F32","shape":[2251799813685246],"data_offsets":[0,9007199254740984]'),
        /^the file must end at byte 9\d+, where tensor "x" ends, got \d+ bytes; it is truncated, download it again$/,
      ],
    ];
    for (const [what, bytes, message] of cases) {
      it(`rejects ${what}`, async () => {
        const seen = await errorFor(bytes);
        if (typeof message === "string") expect(seen).to.equal(message);
        else expect(seen).to.match(message);
        expect(seen).to.not.match(/[\n\0]/);
        expect(seen.length).to.be.below(400);
      });
    }

    it("shows names and values of any length and content on one short line", async () => {
      const name = `${"\n\u001b[31m".repeat(50)}${"x".repeat(1e6)}`;
      const message = await errorFor(withHeader(`{${JSON.stringify(name)}:[${"1,".repeat(1e5)}1]}`));
      expect(message).to.match(/^tensor "\\n\\u001b\[31m.*…" must be a JSON object, got \[1, 1, .*, …\]$/);
      expect(message).to.not.include("\n").and.not.include("\u001b");
      expect(message.length).to.be.below(800);
    });

    it("rejects the name of a missing tensor", async () => {
      const message = await messageOf(
        withFile(safetensors([bfloat16("x", 1)]), (file) => file.read("toString")),
      );
      expect(message).to.equal(`${path} must hold tensor "toString", which is not among the 1 there`);
    });

    it("reports a file that shrinks after it was opened", async () => {
      const bytes = safetensors([bfloat16("x", 1)]);
      const message = await messageOf(
        withFile(bytes, async (file) => {
          await truncate(path, bytes.length - 1);
          await file.read("x");
        }),
      );
      expect(message).to.match(/the file ended at byte \d+ while it was read, 1 byte\(s\) early$/);
    });

    it("reports a disk that fails while it is read", async () => {
      await writeFile(path, "");
      const handle = await open(path);
      const prototype = Object.getPrototypeOf(handle) as Pick<FileHandle, "read">;
      await handle.close();
      const { read } = prototype;
      try {
        const message = await messageOf(
          withFile(safetensors([bfloat16("x", 1)]), async (file) => {
            prototype.read = () => Promise.reject(new Error("EIO: i/o error, read"));
            await file.read("x");
          }),
        );
        expect(message).to.match(/model\.safetensors cannot be read at byte \d+: EIO: i\/o error, read$/);
      } finally {
        prototype.read = read;
      }
    });

    it("reports a tensor too large for memory", async function () {
      const size = 2 ** 43; // 8 TiB, on a sparse file
      const begin = withHeader(`{"x":{"dtype":"F16","shape":[${size / 2}],"data_offsets":[0,${size}]}}`);
      await writeFile(path, begin);
      try {
        await truncate(path, begin.length + size);
      } catch {
        this.skip(); // a file system without files that large
      }
      const file = await SafetensorsFile.open(diskFile(path));
      expect(await messageOf(file.read("x"))).to.equal(
        `${path}: tensor "x" needs ${2 * size} bytes as float32, more than can be allocated`,
      );
      await file.close();
      await rm(path);
    });
  });

  describe("random files", () => {
    it("are read back as written", () =>
      fc.assert(
        fc.asyncProperty(storedTensors, fc.integer({ min: 0, max: 9 }), async (tensors, padding) => {
          const bytes = safetensors(tensors, { format: "pt" }, padding);
          await withFile(bytes, async (file) => {
            expect([...file.tensors.keys()].toSorted()).to.deep.equal(
              tensors.map(({ name }) => name).toSorted(),
            );
            for (const { name, dtype, shape, bytes: stored } of tensors) {
              expect(file.tensors.get(name)).to.include({ dtype }).and.to.have.property("shape").eql(shape);
              expectValues(await file.read(name), dtype, stored);
            }
          });
        }),
        { numRuns: 200 },
      ));

    const edits = fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        remove: fc.integer({ min: 0, max: 2 }),
        insert: fc.oneof(
          fc.uint8Array({ maxLength: 2 }),
          fc.constantFrom(...'{}[],:"\\0123456789-.eE ').map((char) => Uint8Array.of(char.charCodeAt(0))),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    );

    it("are read correctly or rejected after edits anywhere", () =>
      fc.assert(
        fc.asyncProperty(storedTensors, edits, async (tensors, changes) => {
          let bytes = Buffer.from(safetensors(tensors));
          for (const { at, remove, insert } of changes) {
            const position = Math.floor(at * bytes.length);
            bytes = Buffer.concat([bytes.subarray(0, position), insert, bytes.subarray(position + remove)]);
          }
          await readsCorrectlyOrRejects(bytes);
        }),
        { numRuns: 400 },
      ));

    it("are read correctly or rejected after edits in the header", () =>
      fc.assert(
        fc.asyncProperty(storedTensors, edits, async (tensors, changes) => {
          const bytes = Buffer.from(safetensors(tensors));
          const dataBegin = 8 + Number(bytes.readBigUInt64LE());
          let header = bytes.subarray(8, dataBegin);
          for (const { at, remove, insert } of changes) {
            const position = Math.floor(at * header.length);
            header = Buffer.concat([
              header.subarray(0, position),
              insert,
              header.subarray(position + remove),
            ]);
          }
          await readsCorrectlyOrRejects(withHeader(header, bytes.subarray(dataBegin)));
        }),
        { numRuns: 400 },
      ));

    it("are read correctly or rejected with any JSON for a field", () => {
      const field = fc.oneof(
        fc.jsonValue(),
        fc.array(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: 0, max: 8 }))),
      );
      const key = fc.constantFrom("dtype", "shape", "data_offsets", "__proto__", "other");
      return fc.assert(
        fc.asyncProperty(fc.dictionary(fc.string(), fc.dictionary(key, field)), async (entries) => {
          await readsCorrectlyOrRejects(withHeader(JSON.stringify(entries), new Uint8Array(8)));
        }),
        { numRuns: 300 },
      );
    });
  });
});

/** Tensors with any names, of the three dtypes that can be read. */
const storedTensors: fc.Arbitrary<StoredTensor[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.oneof(
        fc.string({ unit: "binary" }).filter((name) => name !== "__metadata__"),
        fc.constantFrom("__proto__", "constructor", "1", "0"),
      ),
      dtype: fc.constantFrom("F32", "F16", "BF16"),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    })
    .chain(({ name, dtype, shape }) => {
      const length = shape.reduce((product, size) => product * size, 1) * (dtype === "F32" ? 4 : 2);
      return fc
        .uint8Array({ minLength: length, maxLength: length })
        .map((bytes) => ({ name, dtype, shape, bytes }));
    }),
  { selector: ({ name }) => name, maxLength: 5 },
);

/** Opens a file of these bytes, uses it and closes it. */
async function withFile<T>(bytes: Uint8Array, use: (file: SafetensorsFile) => T): Promise<Awaited<T>> {
  writeFileSync(path, bytes);
  const file = await SafetensorsFile.open(diskFile(path));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function readBits(bytes: Uint8Array, name: string): Promise<number[]> {
  const values = await withFile(bytes, (file) => file.read(name));
  return [...new Uint32Array(values.buffer)];
}

/** The error for a file of these bytes when its tensors are read, without the path. */
async function errorFor(bytes: Uint8Array): Promise<string> {
  const readAll = async (file: SafetensorsFile) => {
    for (const name of file.tensors.keys()) await file.read(name);
  };
  const message = await messageOf(withFile(bytes, readAll));
  expect(message.startsWith(`${path}: `), message).to.equal(true);
  return message.slice(path.length + 2);
}

/** A file whose only tensor has these fields, with 8 bytes of data. */
function entry(fields: string): Uint8Array {
  return withHeader(`{"x":{${fields}}}`, new Uint8Array(8));
}

/** Opens and reads everything: the values must be right, or the error an InputError. */
async function readsCorrectlyOrRejects(bytes: Uint8Array): Promise<void> {
  try {
    await withFile(bytes, async (file) => {
      for (const [name, { dtype, shape, begin, end }] of file.tensors) {
        const values = await file.read(name);
        expect(values.length).to.equal(shape.reduce((product, size) => product * size, 1));
        expectValues(values, dtype, bytes.subarray(begin, end));
      }
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
}

/** Compares values with the stored bytes, decoded one by one through a DataView. */
function expectValues(values: Float32Array, dtype: string, stored: Uint8Array): void {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    if (dtype === "F32") expect(bits[i]).to.equal(view.getUint32(4 * i, true));
    else if (dtype === "BF16") expect(bits[i]).to.equal(view.getUint16(2 * i, true) * 65536);
    else expect(values[i]).to.deep.equal(float16(view.getUint16(2 * i, true)));
  }
}

/** A float16 by definition: (-1)^sign · 2^(exponent - 15) · 1.fraction, without the 1 in the lowest exponent. */
function float16(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = (bits % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction));
}

/** The bits of a float16 as float32; a NaN's fraction moves up with the rest. */
function float16AsFloat32Bits(bits: number): number {
  const value = float16(bits);
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  if (!Number.isNaN(value)) return view.getUint32(0);
  return (bits >= 0x8000 ? 2 ** 31 : 0) + 0x7f800000 + (bits % 1024) * 2 ** 13;
}

function everyUint16(): Uint8Array {
  return new Uint8Array(Uint16Array.from({ length: 65536 }, (_, bits) => bits).buffer);
}

/** A tensor of one small number, whose lower half as a float32 is zero. */
function bfloat16(name: string, value: number): StoredTensor {
  const bytes = new Uint8Array(Float32Array.of(value).buffer, 2);
  return { name, dtype: "BF16", shape: [1], bytes };
}

/** The message of the InputError that the promise must reject with. */
async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof InputError) return error.message;
  throw error ?? new Error("expected an InputError, nothing was thrown");
}
