import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FakeHub } from "./fake-hub.js";
import { startDownload } from "./start-download.js";

const REPO = "someone/Tiny-Llama";

describe("npm run download", () => {
  it("downloads a checkpoint and prints the command that uses it", async () => {
    const weights = Buffer.alloc(1_000_000, "weights");
    const files = new Map([
      ["config.json", Buffer.from("{}")],
      ["model.safetensors", weights],
    ]);
    const directory = await mkdtemp(join(tmpdir(), "download-"));
    const hub = new FakeHub(REPO, files);
    const { code, stdout, stderr } = await startDownload(REPO, directory, await hub.start(), "hf_sometoken")
      .end;
    expect(stdout).to.equal(
      `2 files, 1.0 MB, are in ${directory}\nnpm run generate -- --checkpoint ${directory}\n`,
    );
    expect(stderr).to.equal("model.safetensors\nconfig.json\n");
    expect(hub.requests[0]!.token).to.equal("Bearer hf_sometoken");
    expect(await readFile(join(directory, "model.safetensors"))).to.deep.equal(weights);
    expect(code).to.equal(0);
    await hub.stop();
    await rm(directory, { recursive: true });
  });
});
