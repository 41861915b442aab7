import { readFileSync } from "node:fs";
import type { Tensor } from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { parseConfig, parseStopIds } from "../src/checkpoint/hugging-face-config.js";
import { loadModel } from "../src/checkpoint/load.js";
import { type ModelConfig, type Probe, steps } from "../src/index.js";
import { SafetensorsFile } from "../src/checkpoint/safetensors.js";
import { expectClose, fixture, onEveryExecution, type TestModel } from "./support.js";

// What Hugging Face transformers computes from the same checkpoints, in float32; made by fixtures/make_goldens.py.
interface Golden {
  readonly name: string;
  readonly tokens: number[];
  readonly greedy: number[];
}
const goldens = readJson("goldens/goldens.json") as { checkpoints: Record<string, { cases: Golden[] }> };

/** Float32 rounding, on logits of about 10: other orders of addition, and transformers' float32 rotary angles. */
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
      model = executed(
        await loadModel(parseConfig(config, checkpoint), fixture(`${checkpoint}/model.safetensors`)),
      );
      const generationConfig = readJson(`${checkpoint}/generation_config.json`);
      stopIds = new Set(parseStopIds(config, generationConfig, model.config.vocabSize, checkpoint));
      expected = await SafetensorsFile.open(fixture("goldens/goldens.safetensors"));
    });

    after(async () => {
      model.dispose();
      await expected.close();
    });

    // Plain JavaScript takes minutes for what the others do in seconds; a referee may look at a part of it.
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

      // Without the cache only a few, for time; that both modes agree on all is another test's claim.
      for (const golden of feasible.filter(({ tokens }) => useCache || tokens.length < 16)) {
        it(`continues "${golden.name}" greedily, ${mode}`, async () => {
          const maxGenLen = genLen(golden);
          const [tokens] = await greedy(model, [golden.tokens], { maxGenLen, useCache, stopIds });
          expect(tokens).to.deep.equal(golden.greedy.slice(0, maxGenLen));
        });
      }

      it(`computes every layer of "once" as transformers does, ${mode}`, async () => {
        const { tokens } = cases.find(({ name }) => name === "once")!;
        const seen = new Map<string, Float32Array>();
        const probe: Probe = (name, layer, tensor: Tensor) => {
          seen.set(layer === undefined ? name : `layers.${layer}.${name}`, tensor.dataSync<"float32">());
        };
        const cache = useCache ? model.createCache(1, tokens.length) : undefined;
        model.forward([tokens], cache, probe).dispose();
        cache?.dispose();
        expect(seen.size).to.equal(3 + 9 * model.config.nLayers);
        for (const [name, values] of seen) {
          const golden = await expected.read(`${checkpoint}/once/${name}`);
          const last = lastRows(golden, headsOf(name, model.config), values.length);
          expectClose(values, last, name === "logits" ? LOGITS : ACTIVATIONS, name);
        }
      });
    }

    it("continues a ragged batch greedily, each row as transformers does alone", async () => {
      const batch = cases.filter(({ name }) => name.startsWith("ragged"));
      expect(batch.length).to.be.greaterThan(2);
      const maxGenLen = Math.max(...batch.map(genLen));
      const rows = await greedy(
        model,
        batch.map(({ tokens }) => tokens),
        { maxGenLen, useCache: true, stopIds },
      );
      for (const [i, row] of rows.entries()) {
        const { greedy: golden, name } = batch[i]!;
        expect(row.slice(0, genLen(batch[i]!)), name).to.deep.equal(golden.slice(0, genLen(batch[i]!)));
      }
    });
  });
}

/** A tensor's heads, each a matrix with a row a position; one for those that have no heads. */
function headsOf(name: string, { nHeads, nKvHeads }: ModelConfig): number {
  if (/attention\.(query|weights)/.test(name)) return nHeads;
  return /attention\.(key|value)/.test(name) ? nKvHeads : 1;
}

/** Of every head the last rows, `size` numbers in all: the norm is of the last position, and pieces are seen in turn. */
function lastRows(values: Float32Array, heads: number, size: number): Float32Array {
  const [all, wanted] = [values.length / heads, size / heads];
  return values.filter((_, i) => i % all >= all - wanted);
}

// The forms that checkpoints come in, tiny; made by fixtures/make_tiny_models.py.
const { forms } = readJson("tiny/goldens.json") as {
  forms: Record<string, { tokens: number[]; greedy: number[]; logits: number[] }>;
};

onEveryExecution("Goldens from transformers: tiny models in every form", (executed) => {
  for (const [form, { tokens, greedy: expected, logits }] of Object.entries(forms)) {
    it(form, async () => {
      const file = form === "sharded" ? "model.safetensors.index.json" : "model.safetensors";
      const config = parseConfig(readJson(`tiny/${form}/config.json`), form);
      const model = executed(await loadModel(config, fixture(`tiny/${form}/${file}`)));
      const scores = model.forward([tokens]);
      expectClose(scores.dataSync(), logits, LOGITS, form);
      scores.dispose();
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
  const rows: number[][] = prompts.map(() => []);
  for await (const { next } of steps(model, prompts, { temperature: 0, topP: 1, seed: 0, ...options })) {
    for (const [i, { id, source }] of next.entries()) if (source === "model") rows[i]!.push(id);
  }
  return rows;
}
