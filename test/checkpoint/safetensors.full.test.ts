import { mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { diskFile } from "../../src/checkpoint/directory.js";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.js";
import { withHeader } from "./write-safetensors.js";

describe("safetensors", () => {
  let directory: string;
  let path: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "safetensors-test-"));
    path = join(directory, "model.safetensors");
  });
  after(() => rm(directory, { recursive: true }));

  // 2 GiB is the limit of a read call and of a signed 32-bit number, 4 GiB that of an unsigned one.
  for (const bytes of [2 ** 31, 2 ** 32]) {
    it(`reads a tensor behind the first ${bytes / 2 ** 30} GiB of a file`, async () => {
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

      const file = await SafetensorsFile.open(diskFile(path));
      expect(await file.read("last")).to.deep.equal(Float32Array.of(1, 2, 3));
      expect(file.tensors.get("big")?.end).to.equal(begin.length + bigBytes);
      await file.close();
      await rm(path);
    });
  }
});
