import { writeFileSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import * as fc from "fast-check";
import type { TensorEntry } from "../../src/checkpoint/safetensors-header.js";
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

  describe("values", () => {
    it("float32 is read bit for bit, NaN's payload included", async () => {
      const bits = [0, 0x80000000, 1, 0x3f800000, 0x7f7fffff, 0xff800000, 0x7fc00001, 0x7f800001, 0xffffffff];
      const bytes = new Uint8Array(Uint32Array.from(bits).buffer);
      expect(
        await readBits(safetensors([{ name: "x", dtype: "F32", shape: [9], bytes }]), "x"),
      ).to.deep.equal(bits);
    });

    it("all 65,536 bfloat16 numbers are the float32 numbers with their bits on top", async () => {
      const all = everyUint16();
      const bits = await readBits(
        safetensors([{ name: "x", dtype: "BF16", shape: [65536], bytes: all }]),
        "x",
      );
      expect(bits).to.deep.equal(Array.from({ length: 65536 }, (_, bits16) => bits16 * 65536));
    });

    it("all 65,536 float16 numbers become the float32 numbers of the same value", async () => {
      const all = everyUint16();
      const bits = await readBits(
        safetensors([{ name: "x", dtype: "F16", shape: [256, 256], bytes: all }]),
        "x",
      );
      expect(bits).to.deep.equal(Array.from({ length: 65536 }, (_, bits16) => float16AsFloat32Bits(bits16)));
    });

    it("whatever byte the data begins at", async () => {
      for (let padding = 0; padding < 8; padding++) {
        const file = safetensors(
          [
            { name: "byte", dtype: "U8", shape: [1], bytes: Uint8Array.of(7) },
            { name: "half", dtype: "F16", shape: [2], bytes: Uint8Array.of(0x00, 0x3c, 0x00, 0xc0) },
            { name: "brain", dtype: "BF16", shape: [2], bytes: Uint8Array.of(0x80, 0x3f, 0x00, 0xc0) },
            { name: "single", dtype: "F32", shape: [1], bytes: Uint8Array.of(0, 0, 0xc0, 0x3f) },
          ],
          {},
          padding,
        );
        await withFile(file, async ({ tensors }) => {
          expect([...tensors.keys()]).to.deep.equal(["byte", "half", "brain", "single"]);
        });
        expect(await withFile(file, (opened) => opened.read("half"))).to.deep.equal(Float32Array.of(1, -2));
        expect(await withFile(file, (opened) => opened.read("brain"))).to.deep.equal(Float32Array.of(1, -2));
        expect(await withFile(file, (opened) => opened.read("single"))).to.deep.equal(Float32Array.of(1.5));
      }
    });

    it("tensors longer than one read, several at a time", async () => {
      const length = 9 * 1024 * 1024 + 3; // 18 MiB of bfloat16, over the 16 MiB of one read
      const stored = Uint16Array.from({ length }, (_, i) => i % 65521);
      const file = safetensors([
        { name: "small", dtype: "U8", shape: [3], bytes: Uint8Array.of(1, 2, 3) },
        { name: "big", dtype: "BF16", shape: [length], bytes: new Uint8Array(stored.buffer) },
      ]);
      const [one, two] = await withFile(file, (opened) =>
        Promise.all([opened.read("big"), opened.read("big")]),
      );
      const bits = new Uint32Array(one.buffer);
      expect(bits.findIndex((value, i) => value !== (i % 65521) * 65536)).to.equal(-1);
      expect(Buffer.compare(Buffer.from(one.buffer), Buffer.from(two.buffer))).to.equal(0);
    });

    // 2 GiB is what a read takes at most and a signed number of 32 bits holds, 4 GiB what an unsigned one does.
    for (const bytes of [2 ** 31, 2 ** 32]) {
      it(`a file larger than ${bytes / 2 ** 30} GiB is read right behind them`, async () => {
        const bigBytes = bytes + 6;
        const header =
          `{"big":{"dtype":"BF16","shape":[${bigBytes / 2}],"data_offsets":[0,${bigBytes}]},` +
          `"last":{"dtype":"BF16","shape":[3],"data_offsets":[${bigBytes},${bigBytes + 6}]}}`;
        const begin = withHeader(header);
        await writeFile(path, begin);
        await truncate(path, begin.length + bigBytes + 6); // sparse: takes no space on the disk
        const handle = await open(path, "r+");
        await handle.write(Uint16Array.of(0x3f80, 0x4000, 0x4040), 0, 6, begin.length + bigBytes);
        await handle.close();

        const file = await SafetensorsFile.open(path);
        expect(await file.read("last")).to.deep.equal(Float32Array.of(1, 2, 3));
        expect(file.tensors.get("big")?.end).to.equal(begin.length + bigBytes);
        await file.close();
        await rm(path);
      });
    }
  });

  describe("what the format allows", () => {
    it("no tensors at all", () =>
      withFile(withHeader("{}"), (file) => expect(file.tensors.size).to.equal(0)));

    it("scalars, empty tensors, metadata, extra fields, tensors in any order of the header", async () => {
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

    it("names that are something else in JavaScript", async () => {
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

    it("every dtype of the format opens, those no Llama comes in are refused by name when read", async () => {
      const bits = {
        F4: 4,
        F6_E2M3: 6,
        F6_E3M2: 6,
        BOOL: 8,
        U8: 8,
        I8: 8,
        F8_E5M2: 8,
        F8_E4M3: 8,
        F8_E8M0: 8,
      };
      const more = { F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, I16: 16, U16: 16, I32: 32, U32: 32, C64: 64, F64: 64 };
      const sizes = Object.entries({ ...bits, ...more, I64: 64, U64: 64 });
      const tensors = sizes.map(([dtype, size]) => ({
        name: dtype,
        dtype,
        shape: [4],
        bytes: new Uint8Array(size / 2),
      }));
      await withFile(safetensors(tensors), async (file) => {
        for (const [dtype] of sizes) {
          expect(await messageOf(file.read(dtype))).to.equal(
            `${path}: tensor "${dtype}" holds ${dtype}, expected F32, F16 or BF16`,
          );
        }
      });
    });
  });

  describe("errors", () => {
    it("no file, a directory, a path through a file", async () => {
      const missing = join(directory, "missing.safetensors");
      expect(await messageOf(SafetensorsFile.open(missing))).to.equal(
        `${missing} is missing, expected a safetensors file`,
      );
      expect(await messageOf(SafetensorsFile.open(directory))).to.equal(
        `${directory} is a directory or a device, expected a safetensors file`,
      );
      await writeFile(path, "");
      const through = join(path, "x");
      expect(await messageOf(SafetensorsFile.open(through))).to.match(
        /x cannot be opened \(ENOTDIR\), expected a /,
      );
      expect(await messageOf(SafetensorsFile.open("a\0b"))).to.match(
        /cannot be opened \(ERR_INVALID_ARG_VALUE\)/,
      );
    });

    const cases: [what: string, bytes: Uint8Array, message: string | RegExp][] = [
      [
        "an empty file",
        new Uint8Array(0),
        "the file has 0 bytes, expected 8 for the length of the header alone",
      ],
      ["7 bytes", new Uint8Array(7), "the file has 7 bytes, expected 8 for the length of the header alone"],
      [
        "a header of no bytes",
        withHeader(""),
        /^the header is 0 bytes long by the first 8 bytes, expected 2 to 100000000/,
      ],
      ["an absurd header", withHeader("{}", undefined, 100_000_001), /^the header is 100000001 bytes long/],
      [
        "the largest header",
        withHeader("{}", undefined, 2n ** 64n - 1n),
        /^the header is 18446744073709552000 bytes/,
      ],
      [
        "a Git LFS pointer",
        new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
        /^the header is \d+ bytes .*\(is this a safetensors file, and not a Git LFS pointer to one\?\)$/,
      ],
      [
        "a header beyond the file",
        withHeader("{}", undefined, 3),
        "the header is 3 bytes long by the first 8 bytes, but only 2 bytes follow",
      ],
      [
        "a header that is not UTF-8",
        withHeader(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
        "the header is not UTF-8",
      ],
      ["a byte order mark", withHeader("\ufeff{}"), `the header begins with "\ufeff", expected "{"`],
      ["a list", withHeader("[1]"), `the header begins with "[", expected "{"`],
      ["a blank in front", withHeader(" {}"), `the header begins with " ", expected "{"`],
      ["no JSON", withHeader("{]"), /^the header is not JSON: ["'].+["']$/],
      ["half of JSON", withHeader('{"x'), /^the header is not JSON: /],
      ["JSON of several lines", withHeader('{"x":\n\n\nno}'), /^the header is not JSON: .*$/],
      [
        "a tensor twice",
        withHeader('{"x":1,"y":{"x":1},"x":2}'),
        'the header has the key "x" twice in one object',
      ],
      ["a tensor twice, spelled differently", withHeader('{"x":1,"\\u0078":2}'), /the key "x" twice/],
      [
        "a field twice",
        entry('"dtype":"F32","dtype":"F32"'),
        'the header has the key "dtype" twice in one object',
      ],
      [
        "deep nesting",
        withHeader(`{"x":${"[".repeat(9e5)}${"]".repeat(9e5)}}`),
        /^the header nests more than 128 levels/,
      ],
      [
        "more values than any model has, which would take gigabytes",
        withHeader(`{"x":[${"[],".repeat(4e6)}[]]}`),
        "the header holds more than 400000 values, expected less",
      ],
      [
        "metadata that is no object",
        withHeader('{"__metadata__":["a"]}'),
        /^__metadata__ is \["a"\], expected an object/,
      ],
      [
        "metadata that is no string",
        withHeader('{"__metadata__":{"a":1}}'),
        '__metadata__ has 1 under "a", expected a string',
      ],
      ["a tensor that is no object", withHeader('{"x":null}'), 'tensor "x" is null, expected an object'],
      ["a tensor that is a list", withHeader('{"x":[1,[2]]}'), 'tensor "x" is [1, […]], expected an object'],
      ["no dtype", entry('"shape":[2],"data_offsets":[0,8]'), 'tensor "x" has no dtype'],
      ["no shape", entry('"dtype":"F32","data_offsets":[0,8]'), 'tensor "x" has no shape'],
      ["no data_offsets", entry('"dtype":"F32","shape":[2]'), 'tensor "x" has no data_offsets'],
      ["fields by inheritance", entry('"__proto__":{"dtype":"F32"},"shape":[2]'), 'tensor "x" has no dtype'],
      [
        "an unknown dtype",
        entry('"dtype":"Q4_0"'),
        /^tensor "x" has dtype "Q4_0", expected one of BOOL, U8, .*, F32, /,
      ],
      [
        "a dtype by inheritance",
        entry('"dtype":"constructor"'),
        /^tensor "x" has dtype "constructor", expected one of/,
      ],
      [
        "a dtype that is an object",
        entry('"dtype":{"F32":1}'),
        /^tensor "x" has dtype an object, expected one of/,
      ],
      [
        "a shape that is no list",
        entry('"dtype":"F32","shape":2'),
        /^tensor "x" has shape 2, expected a list of non-neg/,
      ],
      [
        "a negative size",
        entry('"dtype":"F32","shape":[-2]'),
        /^tensor "x" has shape \[-2\], expected a list of non-/,
      ],
      [
        "half a size",
        entry('"dtype":"F32","shape":[0.5]'),
        /^tensor "x" has shape \[0.5\], expected a list of non-/,
      ],
      [
        "a size in quotes",
        entry('"dtype":"F32","shape":["2"]'),
        /^tensor "x" has shape \["2"\], expected a list of/,
      ],
      [
        "a size beyond 2^53",
        entry('"dtype":"F32","shape":[9007199254740992]'),
        /expected a list of non-negative/,
      ],
      [
        "a product beyond 2^53",
        entry('"dtype":"F32","shape":[94906267,94906267,0],"data_offsets":[0,0]'),
        'tensor "x" has shape [94906267, 94906267, 0], expected less than 2^53 elements',
      ],
      [
        "three offsets",
        entry('"dtype":"F32","shape":[2],"data_offsets":[0,4,8]'),
        /data_offsets \[0, 4, 8\], expected \[b/,
      ],
      [
        "offsets that are no integers",
        entry('"dtype":"F32","shape":[2],"data_offsets":[0,"8"]'),
        /data_offsets \[0, "8"\], /,
      ],
      [
        "a negative offset",
        entry('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'),
        /data_offsets \[-8, 0\], expected/,
      ],
      [
        "begin behind end",
        entry('"dtype":"F32","shape":[2],"data_offsets":[8,0]'),
        /data_offsets \[8, 0\], .*begin <= end/,
      ],
      [
        "too few bytes for the shape",
        entry('"dtype":"F32","shape":[3,1],"data_offsets":[0,8]'),
        'tensor "x" has 8 bytes by its data_offsets [0, 8], expected 12 for F32 of shape [3, 1]',
      ],
      [
        "half a byte",
        entry('"dtype":"F4","shape":[15],"data_offsets":[0,8]'),
        /expected 7.5 for F4 of shape \[15\]/,
      ],
      [
        "two tensors that overlap",
        withHeader(
          '{"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}',
          new Uint8Array(6),
        ),
        'tensor "a" and tensor "b" overlap: one ends at byte 116, the other begins at 115',
      ],
      [
        "a hole between two tensors",
        withHeader(
          '{"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}',
          new Uint8Array(9),
        ),
        '2 bytes between tensor "a" and tensor "b" belong to neither, expected none',
      ],
      [
        "a hole at the beginning",
        entry('"dtype":"F32","shape":[1],"data_offsets":[4,8]'),
        '4 bytes between the header and tensor "x" belong to neither, expected none',
      ],
      [
        "bytes behind the last tensor",
        entry('"dtype":"F32","shape":[1],"data_offsets":[0,4]'),
        '4 bytes follow tensor "x", which should be the last thing in the file',
      ],
      [
        "bytes and no tensor",
        withHeader("{}", new Uint8Array(3)),
        /^3 bytes follow the header, which should be the last/,
      ],
      [
        "a truncated file",
        entry('"dtype":"F32","shape":[25],"data_offsets":[0,100]'),
        "the file is truncated: it has 73 bytes, expected 165, so 92 are missing",
      ],
      [
        "an offset of 2^53 - 8",
        entry('"dtype":"I64","shape":[1125899906842623],"data_offsets":[0,9007199254740984]'),
        /trunc/,
      ],
    ];
    for (const [what, bytes, message] of cases) {
      it(what, async () => {
        const seen = await refusal(bytes);
        if (typeof message === "string") expect(seen).to.equal(message);
        else expect(seen).to.match(message);
        expect(seen).to.not.match(/[\n\0]/);
        expect(seen.length).to.be.below(400);
      });
    }

    it("names and values of any length and content are shown on one short line", async () => {
      const name = `${"\n\u001b[31m".repeat(50)}${"x".repeat(1e6)}`;
      const message = await refusal(withHeader(`{${JSON.stringify(name)}:[${"1,".repeat(1e5)}1]}`));
      expect(message).to.match(/^tensor "\\n\\u001b\[31m.*…" is \[1, 1, .*, …\], expected an object$/);
      expect(message).to.not.include("\n").and.not.include("\u001b");
      expect(message.length).to.be.below(800);
    });

    it("a tensor that is not there", async () => {
      const message = await messageOf(
        withFile(safetensors([bfloat16("x", 1)]), (file) => file.read("toString")),
      );
      expect(message).to.equal(`${path}: no tensor is called "toString" among the 1 there`);
    });

    it("a file that shrinks after it was opened", async () => {
      const bytes = safetensors([bfloat16("x", 1)]);
      const message = await messageOf(
        withFile(bytes, async (file) => {
          await truncate(path, bytes.length - 1);
          await file.read("x");
        }),
      );
      expect(message).to.match(/the file ended at byte \d+ while it was read, expected 1 more$/);
    });

    it("a disk that fails while it is read", async () => {
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

    it("a tensor too large for memory", async function () {
      const size = 2 ** 43; // 8 TiB, on a sparse file
      const begin = withHeader(`{"x":{"dtype":"F16","shape":[${size / 2}],"data_offsets":[0,${size}]}}`);
      await writeFile(path, begin);
      try {
        await truncate(path, begin.length + size);
      } catch {
        this.skip(); // a file system without files that large
      }
      const file = await SafetensorsFile.open(path);
      expect(await messageOf(file.read("x"))).to.equal(
        `${path}: tensor "x" takes ${2 * size} bytes as float32, more than can be allocated`,
      );
      await file.close();
      await rm(path);
    });
  });

  describe("random files", () => {
    it("what was written is read back", () =>
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

    it("edited anywhere, a file is read right or refused", () =>
      fc.assert(
        fc.asyncProperty(storedTensors, edits, async (tensors, changes) => {
          let bytes = Buffer.from(safetensors(tensors));
          for (const { at, remove, insert } of changes) {
            const position = Math.floor(at * bytes.length);
            bytes = Buffer.concat([bytes.subarray(0, position), insert, bytes.subarray(position + remove)]);
          }
          await readsRightOrRefuses(bytes);
        }),
        { numRuns: 400 },
      ));

    it("edited in the header, whose length is kept right, it is too", () =>
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
          await readsRightOrRefuses(withHeader(header, bytes.subarray(dataBegin)));
        }),
        { numRuns: 400 },
      ));

    it("with any JSON for a field, it is too", () => {
      const field = fc.oneof(
        fc.jsonValue(),
        fc.array(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: 0, max: 8 }))),
      );
      const key = fc.constantFrom("dtype", "shape", "data_offsets", "__proto__", "other");
      return fc.assert(
        fc.asyncProperty(fc.dictionary(fc.string(), fc.dictionary(key, field)), async (entries) => {
          await readsRightOrRefuses(withHeader(JSON.stringify(entries), new Uint8Array(8)));
        }),
        { numRuns: 300 },
      );
    });
  });
});

/** Tensors of any name and of the three dtypes that can be read. */
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
  const file = await SafetensorsFile.open(path);
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

/** What a file of these bytes is refused with, without the path in front. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const message = await messageOf(withFile(bytes, () => {}));
  expect(message.startsWith(`${path}: `), message).to.equal(true);
  return message.slice(path.length + 2);
}

/** A file whose only tensor has these fields, with 8 bytes of data. */
function entry(fields: string): Uint8Array {
  return withHeader(`{"x":{${fields}}}`, new Uint8Array(8));
}

/** Opens and reads everything: whatever is accepted must be right, whatever is not must be an InputError. */
async function readsRightOrRefuses(bytes: Uint8Array): Promise<void> {
  try {
    await withFile(bytes, async (file) => {
      for (const [name, { dtype, shape, begin, end }] of file.tensors) {
        if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
          expect(await messageOf(file.read(name))).to.include(dtype);
          continue;
        }
        const values = await file.read(name);
        expect(values.length).to.equal(shape.reduce((product, size) => product * size, 1));
        expectValues(values, dtype, bytes.subarray(begin, end));
      }
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
}

/** Compares with the stored bytes, decoded one by one through a DataView. */
function expectValues(values: Float32Array, dtype: string, stored: Uint8Array): void {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    if (dtype === "F32") expect(bits[i]).to.equal(view.getUint32(4 * i, true));
    else if (dtype === "BF16") expect(bits[i]).to.equal(view.getUint16(2 * i, true) * 65536);
    else expect(values[i]).to.deep.equal(float16(view.getUint16(2 * i, true)));
  }
}

/** A float16 by its definition: (-1)^sign · 2^(exponent - 15) · 1.fraction, without the 1 in the lowest exponent. */
function float16(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = (bits % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction));
}

/** The bits of the float32 that a float16 becomes; a NaN's fraction moves up with the rest. */
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

/** What the InputError says that the promise must be rejected with. */
async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof InputError) return error.message;
  throw error ?? new Error("expected an InputError, nothing was thrown");
}
