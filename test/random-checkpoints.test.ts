import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { cacheKind } from "../src/cache/cache-kind.js";
import { readGenerationConfig } from "../src/checkpoint/generation-config.js";
import { loadConfig, loadModel } from "../src/checkpoint/load.js";
import { steps } from "../src/index.js";
import { expectClose, greedy, onEveryBackend } from "./support.js";

// Compares random checkpoints with transformers' outputs, which fixtures/make_random_checkpoints.py makes:
//     RANDOM_CHECKPOINTS=directory BACKENDS=wasm,tensorflow npx mocha test/random-checkpoints.test.ts
const directory = process.env["RANDOM_CHECKPOINTS"];

interface Golden {
  readonly tokens: number[];
  readonly logits: number[];
  readonly greedy: number[];
  readonly stopIds: number[];
}

if (directory) {
  onEveryBackend("Random checkpoints: logits and greedy tokens of transformers", () => {
    for (const name of readdirSync(directory).toSorted()) {
      it(name, async function () {
        this.timeout(0);
        const path = (file: string) => join(directory, name, file);
        const read = (file: string) => JSON.parse(readFileSync(path(file), "utf8"));
        const files = readdirSync(path(""));
        const golden = read("golden.json") as Golden;
        const config = await loadConfig(path(""));
        const generation = files.includes("generation_config.json")
          ? read("generation_config.json")
          : undefined;
        const { stopIds } = readGenerationConfig(read("config.json"), generation, config.vocabSize, name);
        expect(stopIds).to.deep.equal(golden.stopIds);

        const model = await loadModel(config, path(""));
        const actual = model.forward([golden.tokens]);
        // Random weights saturate attention, and rounding grows: transformers' own float32 differs by 1e-3 from float64.
        const largest = Math.max(...golden.logits.map(Math.abs));
        expectClose(actual.dataSync(), golden.logits, Math.max(2e-3, 3e-4 * largest), name);
        actual.dispose();
        const { slidingWindow: window } = config;
        const sliding = window ? [{ cacheKind: cacheKind({ cache: "sliding", window }) }] : [];
        for (const mode of [{ useCache: true }, { useCache: false }, ...sliding]) {
          const options = { ...greedy(golden.greedy.length || 1), ...mode, stopIds: new Set(stopIds) };
          const generated: number[] = [];
          for await (const { next } of steps(model, [golden.tokens], options)) generated.push(next[0]!.id);
          expect(generated.slice(0, golden.greedy.length)).to.deep.equal(golden.greedy);
        }
        model.dispose();
      });
    }
  });
}
