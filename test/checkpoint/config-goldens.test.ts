import { readFileSync } from "node:fs";
import { expect } from "chai";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
import { loadModel } from "../../src/checkpoint/load.js";
import { InputError, type ModelConfig } from "../../src/index.js";
import { expectClose, fixture, onOneBackend } from "../support.js";

type Json = Record<string, unknown>;

// Made by fixtures/make_config_goldens.py: logits of transformers, or the name of its error.
interface Golden {
  readonly base: string;
  readonly change: Readonly<Record<string, unknown>>;
  readonly logits?: readonly number[];
  readonly error?: string;
}

const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
const { tokens, cases } = read("goldens/config.json") as { tokens: number[]; cases: Golden[] };

/** Changes that transformers computes differently from our model, or that contradict themselves. */
const REJECTED = new Set([
  '{"is_causal":false}',
  '{"is_causal":null}',
  '{"rope_scaling.rope_type":"default","rope_scaling.type":"llama3"}',
  '{"sliding_window":30}', // transformers' Llama attends to all positions, but its cache drops those before the window
  '{"sliding_window":20,"layer_types":["full_attention","sliding_attention"]}',
]);

onOneBackend("Settings of config.json that transformers", () => {
  for (const { base, change, logits, error } of cases) {
    const what = `${JSON.stringify(change)} (${base})`;
    const config = (): ModelConfig => parseConfig(changed(read(`${base}/config.json`) as Json, change), base);
    if (error || REJECTED.has(JSON.stringify(change))) {
      it(`rejects or computes differently are rejected: ${what}`, () => {
        expect(config).to.throw(InputError);
      });
    } else {
      it(`accepts give its logits: ${what}`, async () => {
        const model = await loadModel(config(), fixture(base));
        const actual = model.forward([tokens]);
        expectClose(actual.dataSync().slice(0, logits!.length), logits!, 1e-4, what);
        actual.dispose();
        model.dispose();
      });
    }
  }
});

function changed(config: Json, change: Golden["change"]): Json {
  for (const [path, value] of Object.entries(change)) {
    const keys = path.split(".");
    const target = keys.slice(0, -1).reduce((json, key) => json[key] as Json, config);
    if (value === "ABSENT") delete target[keys.at(-1)!];
    else target[keys.at(-1)!] = value;
  }
  return config;
}
