import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import * as fc from "fast-check";
import { InputError, loadCheckpoint, loadBackend } from "../../src/index.js";
import {
  byteDamage,
  damageBytes,
  damageJson,
  damageLines,
  jsonDamage,
  lineDamage,
  overwriting,
} from "./damage.js";
import { expectModel, expectTokenizer } from "./second-reading.js";
import { type Files, SHARD, smallCheckpoint, smallTokenizerModel } from "./small-checkpoint.js";
import { oneBackend } from "../support.js";

// Loads a small checkpoint with random damage in one of its files. More runs of each test, on one backend:
//     FUZZ_RUNS=2000 BACKENDS=wasm npx mocha test/fuzz/fuzz.test.ts
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 150);

type Outcome = "loaded" | "rejected";

describe("A damaged checkpoint loads correctly or is rejected in one sentence", function () {
  this.timeout(0);
  let directory: string;
  let files: Files;

  before(async () => {
    await loadBackend(oneBackend);
    directory = await mkdtemp(join(tmpdir(), "fuzz-"));
    process.once("exit", removeDirectory);
    process.on("SIGINT", exit).on("SIGTERM", exit); // mocha sends both to its child process after Ctrl-C
    files = smallCheckpoint();
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  });
  after(() => {
    process.off("exit", removeDirectory).off("SIGINT", exit).off("SIGTERM", exit);
    removeDirectory();
  });
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  const exit = (): never => process.exit(130);

  /**
   * Loads the directory, which has these files, and computes. The model and tokenizer must be those of a second, simpler
   * reading of the files; otherwise the only acceptable error is an InputError of one short sentence.
   */
  async function loadOrReject(present: Files): Promise<Outcome> {
    const tensors = tf.memory().numTensors;
    try {
      const { model, tokenizer } = await loadCheckpoint(directory);
      try {
        await expectModel(model, present);
        const ids = tokenizer.encode("aab"); // may be rejected, if a byte has no token
        expectTokenizer(tokenizer, present);
        if (ids.length > 0) model.forward([ids]).dispose();
        tokenizer.decode(ids);
      } finally {
        model.dispose();
      }
      return "loaded";
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      expect(error.message).to.not.include("\n");
      expect(error.message.length).to.be.below(700);
      return "rejected";
    } finally {
      expect(tf.memory().numTensors, "tensors left behind").to.equal(tensors);
    }
  }

  /** The same with one file changed or added. */
  async function withFile(name: string, content: string | Uint8Array): Promise<Outcome> {
    try {
      await writeFile(join(directory, name), content);
      return await loadOrReject({ ...files, [name]: Buffer.from(content) });
    } finally {
      if (files[name]) await writeFile(join(directory, name), files[name]);
      else await rm(join(directory, name));
    }
  }

  it("loads without damage", async () => {
    expect(await loadOrReject(files)).to.equal("loaded");
    expect(await withFile("tokenizer.model", smallTokenizerModel())).to.equal("loaded");
  });

  for (const name of [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
  ]) {
    it(`${name}, with any JSON in any place`, async () => {
      const json: unknown = JSON.parse(files[name]!.toString());
      await fc.assert(
        fc.asyncProperty(jsonDamage, async (damage) => void (await withFile(name, damageJson(json, damage)))),
        { numRuns: RUNS },
      );
    });
  }

  it(`${SHARD}, with any JSON in its header`, async () => {
    const bytes = files[SHARD]!;
    const length = Number(bytes.readBigUInt64LE());
    const header: unknown = JSON.parse(bytes.subarray(8, 8 + length).toString());
    await fc.assert(
      fc.asyncProperty(jsonDamage, async (damage) => {
        const text = Buffer.from(damageJson(header, damage));
        const prefix = Buffer.alloc(8);
        prefix.writeBigUInt64LE(BigInt(text.length));
        await withFile(SHARD, Buffer.concat([prefix, text, bytes.subarray(8 + length)]));
      }),
      { numRuns: RUNS },
    );
  });

  for (const [how, damage] of [
    ["changed, removed or inserted", byteDamage],
    ["overwritten", overwriting],
  ] as const) {
    it(`any file, with bytes ${how}`, async () => {
      const outcomes: Outcome[] = [];
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...Object.keys(files)), damage, async (name, damages) => {
          outcomes.push(await withFile(name, damageBytes(files[name]!, damages)));
        }),
        { numRuns: 2 * RUNS },
      );
      // Most of the weights' file is numbers, which load whatever they are: only then is reading them tested.
      if (damage === overwriting) expectSome("loaded", outcomes);
    });
  }

  it("tokenizer.model, with bytes changed, and with tokens and ranks exchanged", async () => {
    const model = smallTokenizerModel();
    const outcomes: Outcome[] = [];
    const damaged = fc.oneof(
      byteDamage.map((damages) => damageBytes(Buffer.from(model), damages)),
      overwriting.map((damages) => damageBytes(Buffer.from(model), damages)),
      lineDamage.map((damages) => damageLines(model, damages)),
    );
    await fc.assert(
      fc.asyncProperty(
        damaged,
        async (content) => void outcomes.push(await withFile("tokenizer.model", content)),
      ),
      { numRuns: 2 * RUNS },
    );
    expectSome("rejected", outcomes);
  });

  /** Fails if nearly every damage had the other outcome, so that this one was not tested. */
  function expectSome(outcome: Outcome, outcomes: readonly Outcome[]): void {
    expect(outcomes.filter((each) => each === outcome).length, outcome).to.be.above(RUNS / 20);
  }
});
