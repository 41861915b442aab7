import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { parseConfig, parseStopIds } from "../../src/checkpoint/hugging-face-config.js";
import { InputError } from "../../src/util/errors.js";

/** config.json as published with Llama 3.2 1B. */
const LLAMA_3_2_1B = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: 128001,
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  transformers_version: "4.45.0.dev0",
  use_cache: true,
  vocab_size: 128256,
};
const { rope_scaling: ROPE_SCALING, rope_theta: ROPE_THETA, ...WITHOUT_ROPE } = LLAMA_3_2_1B;

/** config.json as published with Mistral 7B v0.3, which has no sliding window. */
const MISTRAL = {
  architectures: ["MistralForCausalLM"],
  attention_dropout: 0.0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: "mistral",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 1000000.0,
  sliding_window: null,
  tie_word_embeddings: false,
  vocab_size: 32768,
};

const parse = (json: unknown) => parseConfig(json, "config.json");
const parseWith = (fields: object) => parse({ ...LLAMA_3_2_1B, ...fields });
const parseWithScaling = (fields: object) => parseWith({ rope_scaling: { ...ROPE_SCALING, ...fields } });
const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8"));

const stopIdsRefusal = (config: unknown, generationConfig?: unknown) =>
  expect(() => parseStopIds(config, generationConfig, 128256, "model"))
    .to.throw(InputError)
    .with.property("message");

describe("parseConfig", () => {
  it("reads Llama 3.2 1B's config.json", () => {
    expect(parse(LLAMA_3_2_1B)).to.deep.equal({
      hiddenSize: 2048,
      nLayers: 16,
      nHeads: 32,
      nKvHeads: 8,
      headDim: 64,
      intermediateSize: 8192,
      vocabSize: 128256,
      maxSeqLen: 131072,
      normEps: 1e-5,
      rope: {
        theta: 500000,
        scaling: { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 8192 },
      },
      tieWordEmbeddings: true,
    });
  });

  it("reads the bundled model's, which transformers 5 wrote", () => {
    expect(parse(fixture("fairy-tales/config.json"))).to.deep.equal({
      hiddenSize: 256,
      nLayers: 5,
      nHeads: 8,
      nKvHeads: 2,
      headDim: 32,
      intermediateSize: 640,
      vocabSize: 2048,
      maxSeqLen: 1024,
      normEps: 1e-5,
      rope: {
        theta: 10000,
        scaling: { factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 256 },
      },
      tieWordEmbeddings: true,
    });
  });

  it("takes missing and null fields for the defaults of transformers", () => {
    const optional = [
      "architectures",
      "num_key_value_heads",
      "head_dim",
      "hidden_act",
      "attention_bias",
      "mlp_bias",
      "max_position_embeddings",
      "rms_norm_eps",
    ];
    for (const value of [undefined, null]) {
      const fields = [...optional, "tie_word_embeddings"].map((key) => [key, value] as const);
      const { nKvHeads, headDim, maxSeqLen, normEps, tieWordEmbeddings } = parseWith(
        Object.fromEntries(fields),
      );
      expect({ nKvHeads, headDim, maxSeqLen, normEps, tieWordEmbeddings }).to.deep.equal({
        nKvHeads: 32,
        headDim: 64,
        maxSeqLen: 2048,
        normEps: 1e-6,
        tieWordEmbeddings: false,
      });
    }
  });

  it("takes a head width that is not the model's width over the heads", () => {
    expect(parseWith({ head_dim: 128 }).headDim).to.equal(128);
    expect(parseWith({ hidden_size: 100 }).hiddenSize).to.equal(100);
  });

  it("reads Mistral's without a sliding window", () => {
    const { nKvHeads, headDim, rope, tieWordEmbeddings } = parse(MISTRAL);
    expect({ nKvHeads, headDim, rope, tieWordEmbeddings }).to.deep.equal({
      nKvHeads: 8,
      headDim: 128,
      rope: { theta: 1e6 },
      tieWordEmbeddings: false,
    });
  });

  describe("rotary embedding", () => {
    it("turns by theta 10,000 where the file has none, as Llama 2's", () => {
      expect(parseWith({ rope_theta: undefined, rope_scaling: null }).rope).to.deep.equal({ theta: 10_000 });
    });

    it("may be slowed down evenly, in either spelling", () => {
      const linear = { theta: ROPE_THETA, linearFactor: 2 };
      expect(parseWith({ rope_scaling: { type: "linear", factor: 2 } }).rope).to.deep.equal(linear);
      const parameters = { rope_type: "linear", factor: 2, rope_theta: ROPE_THETA };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal(linear);
    });

    const scaled = parse(LLAMA_3_2_1B).rope;

    it("is the same in either spelling", () => {
      const parameters = { ...ROPE_SCALING, rope_theta: ROPE_THETA };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: null, rope_parameters: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: null, rope_parameters: ROPE_SCALING }).rope).to.deep.equal(scaled);
    });

    it("calls its type rope_type, or type as it once was", () => {
      expect(parseWithScaling({ rope_type: undefined, type: "llama3" }).rope).to.deep.equal(scaled);
      expect(parseWithScaling({ type: "anything" }).rope).to.deep.equal(scaled);
    });

    it("need not be scaled", () => {
      const plain = { theta: ROPE_THETA };
      expect(parseWith({ rope_scaling: null }).rope).to.deep.equal(plain);
      expect(parseWith({ rope_scaling: { rope_type: "default" } }).rope).to.deep.equal(plain);
      expect(parseWith({ rope_scaling: { type: "default" } }).rope).to.deep.equal(plain);
      const parameters = { rope_type: "default", rope_theta: 1e4 };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal({ theta: 1e4 });
    });
  });

  describe("refuses", () => {
    const POSITIVE_INTEGER = "an integer from 1 to 1000000000";
    const cases: [what: string, run: () => unknown, message: string][] = [
      ["no object", () => parse([1, 2]), "the config is [1, 2], expected a JSON object"],
      ["nothing", () => parse(null), "the config is null, expected a JSON object"],
      [
        "another model",
        () => parseWith({ model_type: "qwen3" }),
        'model_type is "qwen3", expected "llama" or "mistral"',
      ],
      [
        "no model",
        () => parseWith({ model_type: undefined }),
        'model_type is missing, expected "llama" or "mistral"',
      ],
      [
        "another architecture",
        () => parseWith({ architectures: ["LlamaForCausalLM", "LlamaForSequenceClassification"] }),
        'architectures names "LlamaForSequenceClassification", expected ["LlamaForCausalLM"]',
      ],
      [
        "no list of architectures",
        () => parseWith({ architectures: "LlamaForCausalLM" }),
        'architectures is "LlamaForCausalLM", expected ["LlamaForCausalLM"]',
      ],
      [
        "another activation",
        () => parseWith({ hidden_act: "gelu" }),
        'hidden_act is "gelu", expected "silu"',
      ],
      [
        "biases in attention",
        () => parseWith({ attention_bias: true }),
        "attention_bias is true, expected false: Llama has no biases",
      ],
      [
        "biases beyond",
        () => parseWith({ mlp_bias: true }),
        "mlp_bias is true, expected false: Llama has no biases",
      ],
      [
        "a bias in quotes",
        () => parseWith({ mlp_bias: "false" }),
        'mlp_bias is "false", expected true or false',
      ],
      [
        "a flag that is a number",
        () => parseWith({ tie_word_embeddings: 1 }),
        "tie_word_embeddings is 1, expected true or false",
      ],
      [
        "heads that cannot be shared",
        () => parseWith({ num_key_value_heads: 5 }),
        "num_attention_heads is 32, expected a multiple of num_key_value_heads, 5",
      ],
      [
        "more key/value heads than heads",
        () => parseWith({ num_key_value_heads: 64 }),
        "num_attention_heads is 32, expected a multiple of num_key_value_heads, 64",
      ],
      ["an odd head width", () => parseWith({ head_dim: 63 }), "head_dim is 63, expected an even number"],
      [
        "an odd head width that follows",
        () => parseWith({ head_dim: null, hidden_size: 32 * 3 }),
        "head_dim is 3, expected an even number",
      ],
      [
        "no whole head width",
        () => parseWith({ head_dim: null, hidden_size: 2047 }),
        "hidden_size is 2047, expected a multiple of num_attention_heads, 32, as there is no head_dim",
      ],
      [
        "epsilon 0",
        () => parseWith({ rms_norm_eps: 0 }),
        "rms_norm_eps is 0, expected a number from 1e-12 to 0.1",
      ],
      [
        "a negative epsilon",
        () => parseWith({ rms_norm_eps: -1e-5 }),
        "rms_norm_eps is -0.00001, expected a number from 1e-12 to 0.1",
      ],
      [
        "epsilon NaN",
        () => parseWith({ rms_norm_eps: NaN }),
        "rms_norm_eps is NaN, expected a number from 1e-12 to 0.1",
      ],
      [
        "infinite epsilon, which JSON can spell",
        () => parseWith(JSON.parse('{"rms_norm_eps":1e999}')),
        "rms_norm_eps is Infinity, expected a number from 1e-12 to 0.1",
      ],
      [
        "epsilon in quotes",
        () => parseWith({ rms_norm_eps: "1e-5" }),
        'rms_norm_eps is "1e-5", expected a number from 1e-12 to 0.1',
      ],
      [
        "a negative theta",
        () => parseWith({ rope_theta: -1 }),
        "rope_theta is -1, expected a number from 1 to 1000000000000",
      ],
      [
        "theta 0 in the new spelling",
        () => parse({ ...WITHOUT_ROPE, rope_parameters: { ...ROPE_SCALING, rope_theta: 0 } }),
        "rope_parameters.rope_theta is 0, expected a number from 1 to 1000000000000",
      ],
      [
        "two thetas",
        () => parseWithScaling({ rope_theta: 1e4 }),
        "rope_theta is 500000, expected 10000 as in rope_scaling",
      ],
      [
        "both spellings",
        () => parseWith({ rope_parameters: ROPE_SCALING }),
        "rope_scaling stands beside rope_parameters, expected one of them",
      ],
      [
        "no object of scaling",
        () => parseWith({ rope_scaling: [8] }),
        "rope_scaling is [8], expected a JSON object",
      ],
      ["a factor alone", () => parseWith({ rope_scaling: 8 }), "rope_scaling is 8, expected a JSON object"],
      [
        "no type of scaling",
        () => parseWithScaling({ rope_type: undefined }),
        'rope_scaling.rope_type is missing, expected "default", "linear" or "llama3"',
      ],
      [
        "another type of scaling",
        () => parseWithScaling({ rope_type: "yarn" }),
        'rope_scaling.rope_type is "yarn", expected "default", "linear" or "llama3"',
      ],
      [
        "another type by its old name",
        () => parseWith({ rope_scaling: { type: "dynamic", factor: 2 } }),
        'rope_scaling.type is "dynamic", expected "default", "linear" or "llama3"',
      ],
      [
        "even slowing down by nothing",
        () => parseWith({ rope_scaling: { type: "linear" } }),
        "rope_scaling.factor is missing, expected a number from 1 to 1000000",
      ],
      [
        "Mistral by Llama's name",
        () => parseWith({ architectures: ["MistralForCausalLM"] }),
        'architectures names "MistralForCausalLM", expected ["LlamaForCausalLM"]',
      ],
      [
        "Mistral with a sliding window",
        () => parse({ ...MISTRAL, sliding_window: 4096 }),
        "sliding_window is 4096, expected null: every position attends to all before it",
      ],
      [
        "Mistral that does not say it has none",
        () => parse({ ...MISTRAL, sliding_window: undefined }),
        "sliding_window is missing, expected null: every position attends to all before it",
      ],
      [
        "Mistral without a number of key/value heads, which transformers would take for 8",
        () => parse({ ...MISTRAL, num_key_value_heads: null }),
        `num_key_value_heads is missing, expected ${POSITIVE_INTEGER}`,
      ],
      [
        "Mistral without a length of its context, which transformers would take for 131,072",
        () => parse({ ...MISTRAL, max_position_embeddings: null }),
        "max_position_embeddings is missing, expected an integer from 1 to 16777216",
      ],
      [
        "a sliding window in a Llama",
        () => parseWith({ sliding_window: 1024 }),
        "sliding_window is 1024, expected null: every position attends to all before it",
      ],
      [
        "quantized weights",
        () => parseWith({ quantization_config: { bits: 4 } }),
        "quantization_config is there, expected none: weights as bfloat16, float16 or float32",
      ],
      [
        "channels that are not turned",
        () => parseWith({ partial_rotary_factor: 0.5 }),
        "partial_rotary_factor is 0.5, expected 1: every channel is turned",
      ],
      [
        "frequencies that cross",
        () => parseWithScaling({ high_freq_factor: 1 }),
        "rope_scaling.high_freq_factor is 1, expected more than low_freq_factor, 1",
      ],
      [
        "factor 0",
        () => parseWithScaling({ factor: 0 }),
        "rope_scaling.factor is 0, expected a number from 1 to 1000000",
      ],
      [
        "no low frequency",
        () => parseWithScaling({ low_freq_factor: undefined }),
        "rope_scaling.low_freq_factor is missing, expected a number from 0.000001 to 1000000",
      ],
      [
        "half a position",
        () => parseWithScaling({ original_max_position_embeddings: 0.5 }),
        `rope_scaling.original_max_position_embeddings is 0.5, expected an integer from 1 to 16777216`,
      ],
    ];
    for (const [what, run, message] of cases) {
      it(what, () => expect(run).to.throw(InputError).with.property("message", `config.json: ${message}`));
    }

    const sizes = [
      "hidden_size",
      "num_hidden_layers",
      "num_attention_heads",
      "num_key_value_heads",
      "head_dim",
      "intermediate_size",
      "vocab_size",
      "max_position_embeddings",
    ];
    for (const key of sizes) {
      it(`${key} that is no size`, () => {
        const most = key === "max_position_embeddings" ? 2 ** 24 : 1e9;
        const seen = [0, -1, 1.5, NaN, Infinity, 1e9 + 1, "8", true, [8], { size: 8 }];
        const shown = ["0", "-1", "1.5", "NaN", "Infinity", "1000000001", '"8"', "true", "[8]", "an object"];
        for (const [i, value] of seen.entries()) {
          expect(() => parseWith({ [key]: value }))
            .to.throw(InputError)
            .with.property(
              "message",
              `config.json: ${key} is ${shown[i]}, expected an integer from 1 to ${most}`,
            );
        }
      });
    }

    describe("numbers beyond all models, which would give nonsense without a word:", () => {
      const linear = (factor: number) => parseWith({ rope_scaling: { type: "linear", factor } });
      const ranges: [string, (value: number) => unknown, least: number, most: number][] = [
        ["rms_norm_eps", (value) => parseWith({ rms_norm_eps: value }), 1e-12, 0.1],
        ["rope_theta", (value) => parseWith({ rope_theta: value }), 1, 1e12],
        ["rope_scaling.factor", linear, 1, 1e6],
        ["rope_scaling.factor", (value) => parseWithScaling({ factor: value }), 1, 1e6],
        ["rope_scaling.low_freq_factor", (value) => parseWithScaling({ low_freq_factor: value }), 1e-6, 3.9],
        ["rope_scaling.high_freq_factor", (value) => parseWithScaling({ high_freq_factor: value }), 1.1, 1e6],
        ["max_position_embeddings", (value) => parseWith({ max_position_embeddings: value }), 1, 2 ** 24],
      ];
      for (const [key, run, least, most] of ranges) {
        it(`${key}, but for ${least} to ${most}`, () => {
          for (const value of [least, most]) expect(() => run(value)).not.to.throw();
          for (const value of [1e-300, 1e-13, 1e13, 1e300, 1e308]) {
            expect(() => run(value))
              .to.throw(InputError)
              .with.property("message")
              .that.includes(`config.json: ${key} is ${value}, expected a`);
          }
        });
      }

      it("rms_norm_eps 5, and 100,000,000 positions", () => {
        expect(() => parseWith({ rms_norm_eps: 5 })).to.throw(
          "rms_norm_eps is 5, expected a number from 1e-12 to 0.1",
        );
        expect(() => parseWith({ max_position_embeddings: 1e8 })).to.throw(
          "expected an integer from 1 to 16777216",
        );
      });
    });

    it("whatever is missing, by name", () => {
      const optional = new Set(["num_key_value_heads", "head_dim", "max_position_embeddings"]);
      const required = sizes.filter((key) => !optional.has(key));
      for (const key of required) {
        expect(() => parseWith({ [key]: undefined }))
          .to.throw(InputError)
          .with.property("message")
          .that.matches(new RegExp(`^config\\.json: ${key} is missing, expected `));
      }
    });

    it("or reads any JSON, and throws nothing but InputError", () => {
      const keys = [...Object.keys(LLAMA_3_2_1B), "rope_parameters", "__proto__", "toString"];
      const value = fc.oneof(
        fc.jsonValue(),
        fc.constant({ toString: 1 }),
        fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()),
      );
      fc.assert(
        fc.property(fc.constantFrom(...keys), value, value, (key, one, other) => {
          for (const run of [
            () => parseWith({ [key]: one }),
            () => parseWithScaling({ [key]: one }),
            () => parse(one),
            () => parseStopIds({ eos_token_id: one }, other, 128256, "model"),
          ]) {
            try {
              run();
            } catch (error) {
              if (!(error instanceof InputError)) throw error;
              expect(error.message)
                .to.match(/^(config\.json|model): .*, expected .+$/u)
                .and.not.include("\n");
            }
          }
        }),
        { numRuns: 2000 },
      );
    });
  });
});

describe("parseStopIds", () => {
  it("takes a number, a list, or nothing", () => {
    expect(parseStopIds({ eos_token_id: 128001 }, undefined, 128256, "model")).to.deep.equal([128001]);
    expect(parseStopIds({ eos_token_id: [0] }, undefined, 128256, "model")).to.deep.equal([0]);
    for (const nothing of [{}, { eos_token_id: null }, { eos_token_id: [] }]) {
      expect(parseStopIds(nothing, undefined, 128256, "model")).to.deep.equal([]);
      expect(parseStopIds(nothing, nothing, 128256, "model")).to.deep.equal([]);
    }
  });

  it("takes both files together, each id once", () => {
    const instruct = { eos_token_id: [128001, 128008, 128009] };
    expect(parseStopIds(LLAMA_3_2_1B, instruct, 128256, "model")).to.deep.equal([128001, 128008, 128009]);
    expect(parseStopIds(LLAMA_3_2_1B, { eos_token_id: 128009 }, 128256, "model")).to.deep.equal([
      128001, 128009,
    ]);
    expect(parseStopIds({}, instruct, 128256, "model")).to.deep.equal([128001, 128008, 128009]);
    const bundled = [
      fixture("fairy-tales/config.json"),
      fixture("fairy-tales/generation_config.json"),
    ] as const;
    expect(parseStopIds(...bundled, 128256, "model")).to.deep.equal([1793, 1801]);
  });

  it("refuses what is no token id, and names the file", () => {
    const expected = "expected a token id from 0 to 128255 or a list of them";
    stopIdsRefusal({ eos_token_id: -1 }).equal(`model: config.json: eos_token_id holds -1, ${expected}`);
    for (const beyond of [128256, 100_000_000]) {
      stopIdsRefusal({ eos_token_id: [128001, beyond] }).equal(
        `model: config.json: eos_token_id holds ${beyond}, ${expected}`,
      );
    }
    stopIdsRefusal({ eos_token_id: [1, "</s>"] }).equal(
      `model: config.json: eos_token_id holds "</s>", ${expected}`,
    );
    stopIdsRefusal({ eos_token_id: [[1]] }).equal(`model: config.json: eos_token_id holds [1], ${expected}`);
    stopIdsRefusal({ eos_token_id: [null] }).equal(
      `model: config.json: eos_token_id holds null, ${expected}`,
    );
    stopIdsRefusal({}, { eos_token_id: 0.5 }).equal(
      `model: generation_config.json: eos_token_id holds 0.5, ${expected}`,
    );
    stopIdsRefusal({}, []).equal("model: generation_config.json: the config is [], expected a JSON object");
    stopIdsRefusal({}, null).equal(
      "model: generation_config.json: the config is null, expected a JSON object",
    );
  });
});
