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

// A small checkpoint with one of its files damaged either loads, and then is what a second, plainer reading of the same
// files gives, and computes; or it is refused in one sentence. `FUZZ_RUNS=2000 npx mocha test/fuzz/fuzz.test.ts` tries more of them;
// `BACKENDS=wasm` before it says on which backend.
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 150);

type Outcome = "loaded" | "refused";

describe("A damaged checkpoint loads right or is refused in one sentence", function () {
  this.timeout(0);
  let directory: string;
  let files: Files;

  before(async () => {
    await loadBackend(oneBackend);
    directory = await mkdtemp(join(tmpdir(), "fuzz-"));
    files = smallCheckpoint();
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  });
  after(() => rm(directory, { recursive: true }));

  /** Loads the directory, which holds these files, and computes; only an InputError of one short sentence is a way out. */
  async function loadsOrRefuses(present: Files): Promise<Outcome> {
    const tensors = tf.memory().numTensors;
    const started = performance.now();
    try {
      const { model, tokenizer } = await loadCheckpoint(directory);
      try {
        await expectModel(model, present);
        const ids = tokenizer.encode("aab"); // may be refused still, for want of a byte
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
      return "refused";
    } finally {
      expect(tf.memory().numTensors, "tensors left behind").to.equal(tensors);
      expect(performance.now() - started, "milliseconds").to.be.below(20_000);
    }
  }

  /** The same with one file changed, or one more. */
  async function withFile(name: string, content: string | Uint8Array): Promise<Outcome> {
    try {
      await writeFile(join(directory, name), content);
      return await loadsOrRefuses({ ...files, [name]: Buffer.from(content) });
    } finally {
      if (files[name]) await writeFile(join(directory, name), files[name]);
      else await rm(join(directory, name));
    }
  }

  it("loads as it is", async () => {
    expect(await loadsOrRefuses(files)).to.equal("loaded");
    expect(await withFile("tokenizer.model", smallTokenizerModel())).to.equal("loaded");
  });

  for (const name of [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
  ]) {
    it(`${name}, with anything in the place of anything`, async () => {
      const json: unknown = JSON.parse(files[name]!.toString());
      await fc.assert(
        fc.asyncProperty(jsonDamage, async (damage) => void (await withFile(name, damageJson(json, damage)))),
        { numRuns: RUNS },
      );
    });
  }

  it(`${SHARD}, with anything in its header`, async () => {
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
    ["changed, taken out or put in", byteDamage],
    ["written over", overwriting],
  ] as const) {
    it(`any file, with bytes ${how}`, async () => {
      const outcomes: Outcome[] = [];
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...Object.keys(files)), damage, async (name, damages) => {
          outcomes.push(await withFile(name, damageBytes(files[name]!, damages)));
        }),
        { numRuns: 2 * RUNS },
      );
      // Most of the weights' file is numbers, and any numbers load; else a fault in reading them would not be seen.
      if (damage === overwriting) expectSome("loaded", outcomes);
    });
  }

  it("tokenizer.model, with bytes changed, and with tokens and ranks that stand elsewhere", async () => {
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
    expectSome("refused", outcomes);
  });

  /** Where every damage had the same outcome, the other one was not tested. */
  function expectSome(outcome: Outcome, outcomes: readonly Outcome[]): void {
    expect(outcomes.filter((each) => each === outcome).length, outcome).to.be.above(RUNS / 20);
  }
});
