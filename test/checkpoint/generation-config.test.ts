import { readFileSync } from "node:fs";
import { expect } from "chai";
import { readGenerationConfig } from "../../src/checkpoint/generation-config.js";
import { InputError } from "../../src/index.js";
import { fixture } from "../support.js";

const read = (path: string) => JSON.parse(readFileSync(fixture(path), "utf8"));
const load = (config: unknown, generationConfig?: unknown) =>
  readGenerationConfig(config, generationConfig, 128256, "model");
const stopIds = (config: unknown, generationConfig?: unknown) => load(config, generationConfig).stopIds;

// Made by fixtures/make_config_goldens.py.
interface Golden {
  readonly config: object;
  readonly generation_config: object | null;
  readonly eos: number[];
  readonly settings: { do_sample: boolean; temperature: number; top_p: number; top_k: number };
}

describe("readGenerationConfig", () => {
  for (const { config, generation_config, eos, settings } of read("goldens/generation.json")
    .files as Golden[]) {
    it(`gives transformers' stop tokens and sampling of ${JSON.stringify([config, generation_config])}`, () => {
      const { stopIds: ids, sampling } = load(config, generation_config ?? undefined);
      expect(ids).to.deep.equal(eos.filter((id) => id >= 0));
      const file: object = generation_config ?? config;
      if (!settings.do_sample && "do_sample" in file) expect(sampling).to.deep.equal({ temperature: 0 });
      if (!settings.do_sample) return; // a command without these settings may sample
      const { temperature, top_p: topP, top_k: topK } = settings;
      expect({ topK: 0, ...sampling }).to.deep.equal({ temperature, topP, topK });
    });
  }

  it("reads a number, a list, or nothing", () => {
    expect(stopIds({ eos_token_id: 128001 })).to.deep.equal([128001]);
    expect(stopIds({ eos_token_id: [0, 0] })).to.deep.equal([0]);
    for (const nothing of [{}, { eos_token_id: null }, { eos_token_id: [] }]) {
      expect(stopIds(nothing)).to.deep.equal([]);
      expect(stopIds({ eos_token_id: 1 }, nothing)).to.deep.equal([]);
    }
    const bundled = ["config.json", "generation_config.json"].map((name) => read(`fairy-tales/${name}`));
    expect(stopIds(...(bundled as [unknown, unknown]))).to.deep.equal([1793, 1801]);
  });

  it("names the settings that are ignored, unless they would change nothing", () => {
    const ignored = { repetition_penalty: 1.1, suppress_tokens: [5], max_length: 4096 };
    const neutral = {
      num_beams: 1,
      length_penalty: 1.0,
      bad_words_ids: null,
      min_length: 0,
      stop_strings: [],
    };
    const inert = { transformers_version: "5.23.0", bos_token_id: 1, pad_token_id: 0, use_cache: true };
    const note = "ignored repetition_penalty, suppress_tokens, max_length";
    expect(load({}, { ...ignored, ...neutral, ...inert }).notes).to.deep.equal([
      `generation_config.json: ${note}`,
    ]);
    expect(load({ hidden_size: 4, ...ignored, ...neutral }).notes).to.deep.equal([`config.json: ${note}`]);
    expect(load(ignored, { temperature: 0.5, top_p: 0.9, top_k: 5, do_sample: true }).notes).to.deep.equal(
      [],
    );
  });

  it("rejects values out of range, and names the file", () => {
    const rejects = (config: unknown, generationConfig: unknown, message: string) =>
      expect(() => load(config, generationConfig))
        .to.throw(InputError)
        .with.property("message", `model: ${message}`);
    const expected = "eos_token_id must be a token id from 0 to 128255 or a list of them, got";
    for (const beyond of [128256, 100_000_000]) {
      rejects({ eos_token_id: [128001, beyond] }, undefined, `config.json: ${expected} ${beyond}`);
    }
    rejects({ eos_token_id: [1, "</s>"] }, undefined, `config.json: ${expected} "</s>"`);
    rejects({ eos_token_id: [[1]] }, undefined, `config.json: ${expected} [1]`);
    rejects({ eos_token_id: [null] }, undefined, `config.json: ${expected} null`);
    rejects({}, { eos_token_id: 0.5 }, `generation_config.json: ${expected} 0.5`);
    rejects({}, [], "generation_config.json must be a JSON object, got []");
    rejects({}, null, "generation_config.json must be a JSON object, got null");
    rejects({}, { temperature: -1 }, "generation_config.json: temperature must be a number >= 0, got -1");
    rejects({}, { top_p: 0 }, "generation_config.json: top_p must be a number > 0 and <= 1, got 0");
    rejects({}, { top_k: 1.5 }, "generation_config.json: top_k must be a whole number >= 0, got 1.5");
    rejects({}, { do_sample: "no" }, 'generation_config.json: do_sample must be true or false, got "no"');
  });
});
