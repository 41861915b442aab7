import { fileURLToPath } from "node:url";
import { expect } from "chai";
import {
  ENGINES,
  Llama,
  loadEngine,
  type Model,
  type ModelConfig,
  randomWeights,
  RecordedLlama,
} from "../src/index.js";
import { uniform } from "../src/generation/sampling.js";
import { isInstalled } from "../src/engine/tensorflow.js";

/** A file or directory of fixtures/. */
export const fixture = (path: string): string =>
  fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));

/**
 * The engines under test: those that are installed, or the ones listed in the environment variable ENGINES, which
 * then must be there (ENGINES=tensorflow npm test).
 */
export const engines: string[] =
  process.env["ENGINES"]?.split(",") ?? ENGINES.filter((name) => name !== "tensorflow" || isInstalled());

for (const name of engines) {
  if (!(ENGINES as readonly string[]).includes(name) || (name === "tensorflow" && !isInstalled())) {
    throw new Error(
      `ENGINES names "${name}", which is not installed here, expected some of ${ENGINES.join(", ")}`,
    );
  }
}

/** Declares the same tests once for every engine under test; that engine is loaded while they run. */
export function onEveryEngine(title: string, tests: (engine: string) => void): void {
  for (const engine of engines) {
    describe(`${title} (${engine})`, () => {
      before(() => loadEngine(engine));
      tests(engine);
    });
  }
}

/** A model under test: a `Llama`, or one that is recorded. */
export type TestModel = Model & { dispose(): void };

/**
 * Declares the same tests once for every way to execute a model: operation by operation on every engine under test,
 * and recorded, without XLA and with it, where TensorFlow is one of them.
 *
 * @param tests are given what makes a model of that way out of a `Llama`, which then is its to dispose
 */
export function onEveryExecution(
  title: string,
  tests: (executed: (model: Llama) => TestModel, engine: string) => void,
): void {
  onEveryEngine(title, (engine) => tests((model) => model, engine));
  if (!engines.includes("tensorflow")) return;
  for (const [way, xla] of [
    ["recorded", false],
    ["compiled", true],
  ] as const) {
    describe(`${title} (tensorflow, ${way})`, () => {
      before(() => loadEngine("tensorflow"));
      tests((model) => new RecordedLlama(model, { xla }), "tensorflow");
    });
  }
}

/** Where one engine is enough: the first one under test that is not plain JavaScript. */
export const oneEngine: string = engines.find((engine) => engine !== "cpu") ?? "cpu";

/** Declares tests for which one engine is enough. */
export function onOneEngine(title: string, tests: () => void): void {
  describe(title, () => {
    before(() => loadEngine(oneEngine));
    tests();
  });
}

/** A Llama small enough for plain JavaScript, with every architectural feature on. */
export const TINY: ModelConfig = {
  dim: 24,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 8, // H·D = 32, not C
  hiddenDim: 40,
  vocabSize: 61,
  maxSeqLen: 128,
  normEps: 1e-5,
  rope: {
    theta: 10000,
    scaling: { factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 32 },
  },
  tieWordEmbeddings: false,
};

/** A model with reproducible random weights on the engine in use. */
export const randomLlama = (config: ModelConfig = TINY): Llama => new Llama(config, randomWeights(config));

/** Reproducible token ids. */
export const randomIds = (length: number, seed: number, vocabSize = TINY.vocabSize): number[] =>
  Array.from({ length }, (_, i) => Math.floor(uniform(seed, 99, i) * vocabSize));

/** Fails unless every number of the two lists agrees within `tolerance`; reports the largest difference. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "",
): void {
  expect(actual.length, `${what}: length`).to.equal(expected.length);
  let [worst, at] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) [worst, at] = [difference, i]; // also when it is not a number
  }
  expect(worst, `${what}: largest difference, at ${at}`).to.be.at.most(tolerance);
}

/** Fails unless the promise is rejected with an error of the class whose message matches. */
export async function expectRejection(
  promise: Promise<unknown>,
  type: new (...args: never[]) => Error,
  message: RegExp,
): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(type);
  expect((error as Error).message).to.match(message);
}
