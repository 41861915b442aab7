import { readFileSync } from "node:fs";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { readGenerationConfig } from "../src/checkpoint/generation-config.js";
import { parseConfig } from "../src/checkpoint/hugging-face-config.js";
import { loadModel } from "../src/checkpoint/load.js";
import { GraphLlama, type ModelConfig, type Probe, steps } from "../src/index.js";
import { diskFile } from "../src/checkpoint/directory.js";
import { SafetensorsFile } from "../src/checkpoint/safetensors.js";
import { expectClose, fixture, onEveryExecution, type TestModel } from "./support.js";

// Computed by Hugging Face transformers from the same checkpoints in float32; see fixtures/make_goldens.py.
interface Golden {
  readonly name: string;
  readonly tokens: number[];
  readonly greedy: number[];
}
const goldens = readJson("goldens/goldens.json") as { checkpoints: Record<string, { cases: Golden[] }> };

/** Float32 rounding on logits of about 10: sums in another order, and transformers' rotary angles in float32. */
const LOGITS = 2e-3;
const ACTIVATIONS = 5e-4;

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(fixture(path), "utf8"));
}

for (const [checkpoint, { cases }] of Object.entries(goldens.checkpoints)) {
  onEveryExecution(`Goldens from transformers: ${checkpoint}`, (executed, backend) => {
    let model: TestModel;
    let stopIds: Set<number>;
    let expected: SafetensorsFile;

    before(async () => {
      const config = readJson(`${checkpoint}/config.json`);
      model = executed(await loadModel(parseConfig(config, checkpoint), fixture(checkpoint)));
      const generationConfig = readJson(`${checkpoint}/generation_config.json`);
      stopIds = new Set(
        readGenerationConfig(config, generationConfig, model.config.vocabSize, checkpoint).stopIds,
      );
      expected = await SafetensorsFile.open(diskFile(fixture("goldens/goldens.safetensors")));
    });

    after(async () => {
      model.dispose();
      await expected.close();
    });

    // Plain JavaScript needs minutes where the others need seconds, so it runs a part only.
    const slow = backend === "cpu" && checkpoint === "fairy-tales";
    const feasible = slow ? cases.filter(({ tokens }) => tokens.length < 8) : cases;
    const genLen = ({ greedy: ids }: Golden) => (slow ? Math.min(ids.length, 8) : ids.length);

    for (const { name, tokens } of feasible) {
      it(`gives the logits of "${name}" (${tokens.length} tokens)`, async () => {
        const logits = model.forward([tokens]);
        expectClose(logits.dataSync(), await expected.read(`${checkpoint}/${name}/logits`), LOGITS, name);
        logits.dispose();
      });
    }

    for (const useCache of [true, false]) {
      const mode = useCache ? "with the cache" : "without the cache";

      // Without the cache only the short ones, to save time; equality.test.ts shows that both modes agree.
      for (const golden of feasible.filter(({ tokens }) => useCache || tokens.length < 16)) {
        it(`continues "${golden.name}" greedily, ${mode}`, async () => {
          const maxGenLen = genLen(golden);
          const [tokens] = await greedy(model, [golden.tokens], { maxGenLen, useCache, stopIds });
          expect(tokens).to.deep.equal(golden.greedy.slice(0, maxGenLen));
        });
      }

      it(`computes every activation of "once" as transformers does, ${mode}`, async function () {
        if (model instanceof GraphLlama) this.skip(); // activations stay inside the graph
        const { tokens } = cases.find(({ name }) => name === "once")!;
        const activations = new Map<string, Float32Array>();
        const probe: Probe = (name, layer, tensor: Tensor) => {
          activations.set(
            layer === undefined ? name : `layers.${layer}.${name}`,
            tensor.dataSync<"float32">(),
          );
        };
        const cache = useCache ? model.createCache(1, tokens.length) : undefined;
        model.forward([tokens], cache, probe).dispose();
        cache?.dispose();
        expect(activations.size).to.equal(3 + 9 * model.config.nLayers);
        for (const [name, values] of activations) {
          const golden = await expected.read(`${checkpoint}/once/${name}`);
          const last = lastPositions(golden, headsOf(name, model.config), values.length);
          expectClose(values, last, name === "logits" ? LOGITS : ACTIVATIONS, name);
        }
      });
    }

    it("continues each sequence of a ragged batch as transformers does alone", async () => {
      const batch = cases.filter(({ name }) => name.startsWith("ragged"));
      expect(batch.length).to.be.greaterThan(2);
      const maxGenLen = Math.max(...batch.map(genLen));
      const generated = await greedy(
        model,
        batch.map(({ tokens }) => tokens),
        { maxGenLen, useCache: true, stopIds },
      );
      for (const [i, tokens] of generated.entries()) {
        const { greedy: golden, name } = batch[i]!;
        expect(tokens.slice(0, genLen(batch[i]!)), name).to.deep.equal(golden.slice(0, genLen(batch[i]!)));
      }
    });
  });
}

/** Number of heads of an activation; 1 if it is not split into heads. */
function headsOf(name: string, { nHeads, nKvHeads }: ModelConfig): number {
  if (/attention\.(query|weights)/.test(name)) return nHeads;
  return /attention\.(key|value)/.test(name) ? nKvHeads : 1;
}

/**
 * The last positions of every head, `size` numbers in all. The final norm is computed for the last position only.
 */
function lastPositions(values: Float32Array, heads: number, size: number): Float32Array {
  const [perHead, wanted] = [values.length / heads, size / heads];
  return values.filter((_, i) => i % perHead >= perHead - wanted);
}

// Tiny models in the formats of published checkpoints, made by fixtures/make_tiny_models.py.
const { formats } = readJson("tiny/goldens.json") as {
  formats: Record<string, { tokens: number[]; greedy: number[]; logits: number[] }>;
};

onEveryExecution("Goldens from transformers: tiny models in every format", (executed) => {
  for (const [format, { tokens, greedy: expected, logits }] of Object.entries(formats)) {
    it(`gives the logits and greedy tokens of ${format}`, async () => {
      const config = parseConfig(readJson(`tiny/${format}/config.json`), format);
      const model = executed(await loadModel(config, fixture(`tiny/${format}`)));
      const actual = model.forward([tokens]);
      expectClose(actual.dataSync(), logits, LOGITS, format);
      actual.dispose();
      for (const useCache of [true, false]) {
        const options = { maxGenLen: expected.length, useCache, stopIds: new Set([2]) };
        expect(await greedy(model, [tokens], options)).to.deep.equal([expected]);
      }
      model.dispose();
    });
  }
});

async function greedy(
  model: TestModel,
  prompts: number[][],
  options: { maxGenLen: number; useCache: boolean; stopIds: ReadonlySet<number> },
): Promise<number[][]> {
  const generated: number[][] = prompts.map(() => []);
  for await (const { next } of steps(model, prompts, { temperature: 0, topP: 1, seed: 0, ...options })) {
    for (const [i, { id, source }] of next.entries()) if (source === "model") generated[i]!.push(id);
  }
  return generated;
}
