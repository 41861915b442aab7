import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { encode } from "../../lecture/one-file.js";
import { generate, type Model } from "../../src/index.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";

/** The file under test. */
export const PATH = fileURLToPath(new URL("../../lecture/one-file.ts", import.meta.url));

/** Runs the command in a process of its own. */
export function runOneFile(...args: string[]) {
  return spawnSync(process.execPath, ["--import", "tsx", PATH, ...args], { encoding: "utf8" });
}

/** Expects the command to print, in both modes, the tale of `src/` up to the stop token, and the positions computed. */
export async function expectSameTale(
  model: Model,
  tokenizer: Tokenizer,
  prompt: string,
  maxGenLen: number,
): Promise<void> {
  const [told] = await generate(model, tokenizer, [prompt], { maxGenLen, temperature: 0 });
  const { completion, tokens, stopReason } = told!;
  expect(stopReason).to.equal("stop");
  const cached = runOneFile("--prompt", prompt);
  const uncached = runOneFile("--no-kv-cache", "--prompt", prompt);
  expect([cached.stdout, cached.status]).to.deep.equal([`${prompt}${completion}\n`, 0]);
  expect(uncached.stdout).to.equal(cached.stdout);
  const [T, N] = [encode(prompt).length, tokens.length];
  const positions = { cached: T + N - 1, uncached: N * T + (N * (N - 1)) / 2 };
  expect(cached.stderr).to.match(
    new RegExp(`^${N} tokens in \\S+ s with the KV cache; ${positions.cached} positions computed\n$`),
  );
  expect(uncached.stderr).to.match(
    new RegExp(`^${N} tokens in \\S+ s without the KV cache; ${positions.uncached} positions computed\n$`),
  );
}
