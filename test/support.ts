import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { BACKENDS } from "../src/backend/backend.js";
import { Llama, loadBackend, type Model, type ModelConfig, GraphLlama, steps } from "../src/index.js";
import { randomWeights } from "../src/model/random-weights.js";
import type { StepOptions } from "../src/generation/options.js";
import type { Step } from "../src/generation/steps.js";
import { uniform } from "../src/generation/sampling.js";
import { isInstalled } from "../src/backend/tensorflow.js";

/** A file or directory of fixtures/. */
export const fixture = (path: string): string =>
  fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));

const installed: readonly string[] = BACKENDS.filter((name) => name !== "tensorflow" || isInstalled());
const requested = process.env["BACKENDS"] ?? "wasm";

/**
 * The backends under test: wasm, which every clone has, or those listed in the environment variable BACKENDS
 * ("tensorflow,wasm"; "all" for every installed one).
 */
export const backends: readonly string[] = requested === "all" ? installed : requested.split(",");

for (const name of backends) {
  if (!installed.includes(name)) {
    throw new Error(`BACKENDS must name some of ${installed.join(", ")}, which are installed, got "${name}"`);
  }
}

/** Declares a test that needs a shell, signals, links or special files; on Windows it is counted as skipped. */
export const itOnPosix = (title: string, test: Mocha.AsyncFunc | Mocha.Func): unknown =>
  process.platform === "win32" ? it.skip(title, test as Mocha.Func) : it(title, test as Mocha.Func);

/** Declares the same tests for every backend under test, which is loaded while they run. */
export function onEveryBackend(title: string, tests: (backend: string) => void): void {
  for (const backend of backends) {
    describe(`${title} (${backend})`, () => {
      before(() => loadBackend(backend));
      tests(backend);
    });
  }
}

/** A model under test: a `Llama` or a `GraphLlama`. */
export type TestModel = Model & { dispose(): void };

/**
 * Declares the same tests for every execution of a model: eager on every backend under test, and if TensorFlow is one of
 * them, graph and XLA-compiled.
 *
 * @param tests receives a function that makes the model under test from a `Llama`; disposing it disposes the `Llama`
 */
export function onEveryExecution(
  title: string,
  tests: (executed: (model: Llama) => TestModel, backend: string) => void,
): void {
  onEveryBackend(title, (backend) => tests((model) => model, backend));
  if (!backends.includes("tensorflow")) return;
  for (const execution of ["graph", "xla"]) {
    describe(`${title} (tensorflow, ${execution})`, () => {
      before(() => loadBackend("tensorflow"));
      tests((model) => new GraphLlama(model, { xla: execution === "xla" }), "tensorflow");
    });
  }
}

/** Options of greedy decoding with the cache and without stop tokens. */
export const greedy = (maxGenLen: number): StepOptions => ({
  temperature: 0,
  topP: 1,
  seed: 0,
  maxGenLen,
  useCache: true,
  stopIds: new Set(),
});

/** All steps of a generation: greedy, of 40 tokens and with the cache, unless the options say otherwise. */
export async function stepsOf(
  model: Model,
  prompts: number[][],
  options: Partial<StepOptions> = {},
): Promise<Step[]> {
  const all: Step[] = [];
  for await (const step of steps(model, prompts, { ...greedy(40), ...options })) all.push(step);
  return all;
}

/** The backend of tests for which one is enough: the first one under test that is not plain JavaScript. */
export const oneBackend: string = backends.find((backend) => backend !== "cpu") ?? "cpu";

/** Declares tests for which one backend is enough. */
export function onOneBackend(title: string, tests: () => void): void {
  describe(title, () => {
    before(() => loadBackend(oneBackend));
    tests();
  });
}

/** A Llama small enough for plain JavaScript, with every feature of the architecture. */
export const TINY: ModelConfig = {
  hiddenSize: 24,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 8, // H·D = 32, not C
  intermediateSize: 40,
  vocabSize: 61,
  maxSeqLen: 128,
  normEps: 1e-5,
  rope: {
    theta: 10000,
    scaling: { factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 32 },
  },
  tieWordEmbeddings: false,
};

/** A model with reproducible random weights, on the current backend. */
export const randomLlama = (config: ModelConfig = TINY): Llama => new Llama(config, randomWeights(config));

/** Reproducible token ids. */
export const randomIds = (length: number, seed: number, vocabSize = TINY.vocabSize): number[] =>
  Array.from({ length }, (_, i) => Math.floor(uniform(seed, 99, i) * vocabSize));

/** Fails unless the two lists agree within `tolerance`; reports the largest difference. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  name = "",
): void {
  expect(actual.length, `${name}: length`).to.equal(expected.length);
  let [worst, at] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) [worst, at] = [difference, i]; // also if it is NaN
  }
  expect(worst, `${name}: largest difference, at index ${at}`).to.be.at.most(tolerance);
}

/** Fails unless the promise is rejected with an error of this class whose message matches. */
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
