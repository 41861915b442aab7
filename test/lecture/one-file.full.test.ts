import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import * as oneFile from "../../lecture/one-file.js";
import { generate, type Llama, loadCheckpoint } from "../../src/index.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { fixture, onOneBackend } from "../support.js";

const PATH = fileURLToPath(new URL("../../lecture/one-file.ts", import.meta.url));

onOneBackend("npm run one-file", () => {
  let model: Llama;
  let tokenizer: Tokenizer;
  before(async () => ({ model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"))));
  after(() => model.dispose());

  it("prints the same tale in both modes on TensorFlow.js's own kernels, up to the stop token", async () => {
    const prompt =
      "The moral of this story, however, is, firstly, that no one, however great he may be, should permit himself " +
      "to jest at any one beneath him, even if he be only";
    const [{ completion, tokens, stopReason }] = (await generate(model, tokenizer, [prompt], {
      maxGenLen: 180,
      temperature: 0,
    })) as [Completion];
    expect(stopReason).to.equal("stop");
    const cached = run("--prompt", prompt);
    const uncached = run("--no-kv-cache", "--prompt", prompt);
    expect([cached.stdout, cached.status]).to.deep.equal([`${prompt}${completion}\n`, 0]);
    expect(uncached.stdout).to.equal(cached.stdout);
    const [T, N] = [oneFile.encode(prompt).length, tokens.length];
    const positions = { cached: T + N - 1, uncached: N * T + (N * (N - 1)) / 2 };
    expect(cached.stderr).to.match(
      new RegExp(`^${N} tokens in \\S+ s with the KV cache; ${positions.cached} positions computed\n$`),
    );
    expect(uncached.stderr).to.match(
      new RegExp(`^${N} tokens in \\S+ s without the KV cache; ${positions.uncached} positions computed\n$`),
    );
  });

  it("rejects unknown options and a missing prompt in one sentence", () => {
    for (const option of ["--no-kv-cash", "--prompt"]) {
      const error = `error: options must be [--no-kv-cache] [--prompt TEXT], got ${option}\n`;
      expect(run(option)).to.include({ status: 1, stdout: "", stderr: error });
    }
  });
});

type Completion = Awaited<ReturnType<typeof generate>>[number];

/** The command in a process of its own. */
function run(...args: string[]) {
  return spawnSync(process.execPath, ["--import", "tsx", PATH, ...args], { encoding: "utf8" });
}
