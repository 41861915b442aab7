import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { readGenerationConfig } from "../../src/checkpoint/generation-config.js";
import { parseConfig } from "../../src/checkpoint/hugging-face-config.js";
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

  it("reads the bundled model's config.json, written by transformers 5", () => {
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

  it("uses transformers' defaults for missing fields", () => {
    const { architectures: _, hidden_act: _1, attention_bias: _2, mlp_bias: _3, ...stated } = LLAMA_3_2_1B;
    const {
      num_key_value_heads: _4,
      head_dim: _5,
      max_position_embeddings: _6,
      rms_norm_eps: _7,
      ...others
    } = stated;
    const { tie_word_embeddings: _8, ...rest } = others;
    const { nKvHeads, headDim, maxSeqLen, normEps, tieWordEmbeddings } = parse(rest);
    expect({ nKvHeads, headDim, maxSeqLen, normEps, tieWordEmbeddings }).to.deep.equal({
      nKvHeads: 32,
      headDim: 64,
      maxSeqLen: 2048,
      normEps: 1e-6,
      tieWordEmbeddings: false,
    });
  });

  it("accepts a head dim that is not hidden size / heads", () => {
    expect(parseWith({ head_dim: 128 }).headDim).to.equal(128);
    expect(parseWith({ hidden_size: 100 }).hiddenSize).to.equal(100);
  });

  it("reads Mistral's config.json without a sliding window", () => {
    const { nKvHeads, headDim, rope, tieWordEmbeddings } = parse(MISTRAL);
    expect({ nKvHeads, headDim, rope, tieWordEmbeddings }).to.deep.equal({
      nKvHeads: 8,
      headDim: 128,
      rope: { theta: 1e6 },
      tieWordEmbeddings: false,
    });
  });

  it("reads Mistral 7B v0.1's sliding window and its whole context", () => {
    const windowOf = (config: object) => {
      const notes: string[] = [];
      const { maxSeqLen, slidingWindow } = parseConfig({ ...MISTRAL, ...config }, "config.json", notes);
      expect([maxSeqLen, notes]).to.deep.equal([32768, []]);
      return slidingWindow;
    };
    expect(windowOf({ sliding_window: 4096 })).to.equal(4096);
    expect(windowOf({ sliding_window: undefined })).to.equal(4096); // transformers' default
    expect(windowOf({ sliding_window: null })).to.equal(undefined);
    expect(windowOf({ sliding_window: 32768 })).to.equal(undefined);
  });

  it("takes layer_types that are all alike for the truth about the window", () => {
    const windowOf = (type: string) =>
      parse({ ...MISTRAL, sliding_window: 1024, layer_types: Array(32).fill(type) }).slidingWindow;
    expect(windowOf("sliding_attention")).to.equal(1024);
    expect(windowOf("full_attention")).to.equal(undefined);
  });

  it("names unknown keys that describe the file or switch something off, and keeps silent about known ones", () => {
    const notes: string[] = [];
    const scaling = { ...ROPE_SCALING, use_new_rope: false };
    parseConfig(
      { ...LLAMA_3_2_1B, my_note: "x", use_qk_norm: false, auto_map: {}, rope_scaling: scaling },
      "c",
      notes,
    );
    expect(notes).to.deep.equal(["c: ignored my_note, use_qk_norm, auto_map, rope_scaling.use_new_rope"]);
  });

  describe("RoPE", () => {
    it("uses theta 10,000 if the file has none, as Llama 2's", () => {
      expect(parseWith({ rope_theta: undefined, rope_scaling: null }).rope).to.deep.equal({ theta: 10_000 });
    });

    it("reads linear scaling in both formats", () => {
      const linear = { theta: ROPE_THETA, linearFactor: 2 };
      expect(parseWith({ rope_scaling: { type: "linear", factor: 2 } }).rope).to.deep.equal(linear);
      const parameters = { rope_type: "linear", factor: 2, rope_theta: ROPE_THETA };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal(linear);
    });

    const scaled = parse(LLAMA_3_2_1B).rope;

    it("reads llama3 scaling in both formats", () => {
      const parameters = { ...ROPE_SCALING, rope_theta: ROPE_THETA };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: null, rope_parameters: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: parameters }).rope).to.deep.equal(scaled);
      expect(parseWith({ rope_scaling: null, rope_parameters: ROPE_SCALING }).rope).to.deep.equal(scaled);
    });

    it("accepts rope_type or the older type", () => {
      expect(parseWithScaling({ rope_type: undefined, type: "llama3" }).rope).to.deep.equal(scaled);
      expect(parseWithScaling({ type: "llama3" }).rope).to.deep.equal(scaled);
    });

    it("reads unscaled RoPE", () => {
      const plain = { theta: ROPE_THETA };
      expect(parseWith({ rope_scaling: null }).rope).to.deep.equal(plain);
      expect(parseWith({ rope_scaling: { rope_type: "default" } }).rope).to.deep.equal(plain);
      expect(parseWith({ rope_scaling: { type: "default" } }).rope).to.deep.equal(plain);
      const parameters = { rope_type: "default", rope_theta: 1e4 };
      expect(parse({ ...WITHOUT_ROPE, rope_parameters: parameters }).rope).to.deep.equal({ theta: 1e4 });
    });
  });

  describe("invalid values", () => {
    it("rejects JSON that is not an object", () => {
      expect(() => parse([1, 2])).to.throw(InputError, "config.json must be a JSON object, got [1, 2]");
      expect(() => parse(null)).to.throw(InputError, "config.json must be a JSON object, got null");
    });

    const POSITIVE_INTEGER = "an integer from 1 to 1000000000";
    const cases: [what: string, run: () => unknown, message: string][] = [
      [
        "another model",
        () => parseWith({ model_type: "qwen3" }),
        'model_type must be "llama" or "mistral", got "qwen3"',
      ],
      [
        "a missing model type",
        () => parseWith({ model_type: undefined }),
        'model_type must be "llama" or "mistral", but it is missing',
      ],
      [
        "another architecture",
        () => parseWith({ architectures: ["LlamaForCausalLM", "LlamaForSequenceClassification"] }),
        'architectures.1 must be "LlamaForCausalLM", got "LlamaForSequenceClassification"',
      ],
      [
        "architectures that are not a list",
        () => parseWith({ architectures: "LlamaForCausalLM" }),
        'architectures must be ["LlamaForCausalLM"], got "LlamaForCausalLM"',
      ],
      [
        "another activation",
        () => parseWith({ hidden_act: "gelu" }),
        'hidden_act must be "silu", got "gelu"',
      ],
      [
        "biases in attention",
        () => parseWith({ attention_bias: true }),
        "attention_bias must be false (Llama has no biases), got true",
      ],
      [
        "biases in the feed-forward network",
        () => parseWith({ mlp_bias: true }),
        "mlp_bias must be false (Llama has no biases), got true",
      ],
      [
        "a bias in quotes",
        () => parseWith({ mlp_bias: "false" }),
        'mlp_bias must be false (Llama has no biases), got "false"',
      ],
      [
        "a flag that is a number",
        () => parseWith({ tie_word_embeddings: 1 }),
        "tie_word_embeddings must be true or false, got 1",
      ],
      [
        "query heads that are not a multiple of the key/value heads",
        () => parseWith({ num_key_value_heads: 5 }),
        "num_attention_heads must be a multiple of num_key_value_heads (5), got 32",
      ],
      [
        "more key/value heads than query heads",
        () => parseWith({ num_key_value_heads: 64 }),
        "num_attention_heads must be a multiple of num_key_value_heads (64), got 32",
      ],
      ["an odd head dim", () => parseWith({ head_dim: 63 }), "head_dim must be even, got 63"],
      [
        "an odd default head dim",
        () => parseWith({ head_dim: null, hidden_size: 32 * 3 }),
        "head_dim must be even, got 3",
      ],
      [
        "a fractional default head dim",
        () => parseWith({ head_dim: null, hidden_size: 2047 }),
        "hidden_size must be a multiple of num_attention_heads (32) if head_dim is missing, got 2047",
      ],
      [
        "epsilon 0",
        () => parseWith({ rms_norm_eps: 0 }),
        "rms_norm_eps must be a number from 1e-12 to 0.1, got 0",
      ],
      [
        "a negative epsilon",
        () => parseWith({ rms_norm_eps: -1e-5 }),
        "rms_norm_eps must be a number from 1e-12 to 0.1, got -0.00001",
      ],
      [
        "epsilon NaN",
        () => parseWith({ rms_norm_eps: NaN }),
        "rms_norm_eps must be a number from 1e-12 to 0.1, got NaN",
      ],
      [
        "an infinite epsilon, written as 1e999",
        () => parseWith(JSON.parse('{"rms_norm_eps":1e999}')),
        "rms_norm_eps must be a number from 1e-12 to 0.1, got Infinity",
      ],
      [
        "epsilon in quotes",
        () => parseWith({ rms_norm_eps: "1e-5" }),
        'rms_norm_eps must be a number from 1e-12 to 0.1, got "1e-5"',
      ],
      [
        "a negative theta",
        () => parseWith({ rope_theta: -1 }),
        "rope_theta must be a number from 1 to 1000000000000, got -1",
      ],
      [
        "theta 0 in rope_parameters",
        () => parse({ ...WITHOUT_ROPE, rope_parameters: { ...ROPE_SCALING, rope_theta: 0 } }),
        "rope_parameters.rope_theta must be a number from 1 to 1000000000000, got 0",
      ],
      [
        "two thetas",
        () => parseWithScaling({ rope_theta: 1e4 }),
        "rope_theta must be 10000 as in rope_scaling, got 500000",
      ],
      [
        "both RoPE formats at once",
        () => parseWith({ rope_parameters: ROPE_SCALING }),
        "rope_scaling must be absent (there is rope_parameters), got an object",
      ],
      [
        "rope_scaling that is a list",
        () => parseWith({ rope_scaling: [8] }),
        "rope_scaling must be a JSON object, got [8]",
      ],
      [
        "rope_scaling that is a number",
        () => parseWith({ rope_scaling: 8 }),
        "rope_scaling must be a JSON object, got 8",
      ],
      [
        "a missing type of scaling",
        () => parseWithScaling({ rope_type: undefined }),
        'rope_scaling.rope_type must be "default", "linear" or "llama3", but it is missing',
      ],
      [
        "another type of scaling",
        () => parseWithScaling({ rope_type: "yarn" }),
        'rope_scaling.rope_type must be "default", "linear" or "llama3", got "yarn"',
      ],
      [
        "another type of scaling under the older name",
        () => parseWith({ rope_scaling: { type: "dynamic", factor: 2 } }),
        'rope_scaling.type must be "default", "linear" or "llama3", got "dynamic"',
      ],
      [
        "linear scaling without a factor",
        () => parseWith({ rope_scaling: { type: "linear" } }),
        "rope_scaling.factor must be a number from 1 to 1000000, but it is missing",
      ],
      [
        "a Llama whose architecture is Mistral's",
        () => parseWith({ architectures: ["MistralForCausalLM"] }),
        'architectures.0 must be "LlamaForCausalLM", got "MistralForCausalLM"',
      ],
      [
        "Mistral without num_key_value_heads, which transformers takes for 8",
        () => parse({ ...MISTRAL, num_key_value_heads: null }),
        `num_key_value_heads must be ${POSITIVE_INTEGER}, got null`,
      ],
      [
        "Mistral without max_position_embeddings, which transformers takes for 131,072",
        () => parse({ ...MISTRAL, max_position_embeddings: null }),
        "max_position_embeddings must be an integer from 1 to 16777216, got null",
      ],
      [
        "two types of scaling",
        () => parseWithScaling({ type: "linear" }),
        'rope_scaling.type must be "llama3" as rope_type, got "linear"',
      ],
      [
        "attention to later positions",
        () => parseWith({ is_causal: false }),
        "is_causal must be true (no position attends to later ones), got false",
      ],
      [
        "layers with a sliding window",
        () => parseWith({ layer_types: ["full_attention", "sliding_attention"] }),
        'layer_types.1 must be "full_attention", got "sliding_attention"',
      ],
      [
        "a sliding window in only some layers",
        () =>
          parse({
            ...MISTRAL,
            sliding_window: 1024,
            layer_types: ["full_attention", ...Array(31).fill("sliding_attention")],
          }),
        'layer_types.1 must be "full_attention", as in all layers before, got "sliding_attention"',
      ],
      [
        "layers with a sliding window of unknown size",
        () => parse({ ...MISTRAL, layer_types: Array(32).fill("sliding_attention") }),
        "sliding_window must be a number, as layer_types has a window, got null",
      ],
      [
        "a Llama with a sliding window",
        () => parseWith({ sliding_window: 4096 }),
        'sliding_window must be null or at least max_position_embeddings (131072) if model_type is "llama", got 4096',
      ],
      [
        "fewer layer types than layers",
        () => parseWith({ layer_types: ["full_attention"] }),
        'layer_types must be a list of 16, one per layer, got ["full_attention"]',
      ],
      [
        "settings of single layers",
        () => parseWith({ per_layer_config: { "3": { rms_norm_eps: 0.5 } } }),
        "per_layer_config must be {} (all layers are alike), got an object",
      ],
      [
        "an unknown setting",
        () => parseWith({ use_qk_norm: true }),
        "use_qk_norm must be absent (an unknown setting that could change the computation; remove it if it does not), got true",
      ],
      [
        "an unknown setting of RoPE",
        () => parseWithScaling({ attention_factor: 2 }),
        "rope_scaling.attention_factor must be absent (an unknown setting that could change the computation; remove it if it does not), got 2",
      ],
      [
        "quantized weights",
        () => parseWith({ quantization_config: { bits: 4 } }),
        "quantization_config must be absent (only bfloat16, float16 and float32 weights are read), got an object",
      ],
      [
        "a partial rotary factor",
        () => parseWith({ partial_rotary_factor: 0.5 }),
        "partial_rotary_factor must be 1 (every channel is rotated), got 0.5",
      ],
      [
        "a high frequency factor that is not above the low one",
        () => parseWithScaling({ high_freq_factor: 1 }),
        "rope_scaling.high_freq_factor must be larger than low_freq_factor (1), got 1",
      ],
      [
        "factor 0",
        () => parseWithScaling({ factor: 0 }),
        "rope_scaling.factor must be a number from 1 to 1000000, got 0",
      ],
      [
        "a missing low frequency factor",
        () => parseWithScaling({ low_freq_factor: undefined }),
        "rope_scaling.low_freq_factor must be a number from 0.000001 to 1000000, but it is missing",
      ],
      [
        "a fractional number of positions",
        () => parseWithScaling({ original_max_position_embeddings: 0.5 }),
        `rope_scaling.original_max_position_embeddings must be an integer from 1 to 16777216, got 0.5`,
      ],
    ];
    for (const [what, run, message] of cases) {
      it(`rejects ${what}`, () =>
        expect(run).to.throw(InputError).with.property("message", `config.json: ${message}`));
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
      it(`rejects values of ${key} that are not positive integers`, () => {
        const most = key === "max_position_embeddings" ? 2 ** 24 : 1e9;
        const seen = [0, -1, 1.5, NaN, Infinity, 1e9 + 1, "8", true, [8], { size: 8 }];
        const shown = ["0", "-1", "1.5", "NaN", "Infinity", "1000000001", '"8"', "true", "[8]", "an object"];
        for (const [i, value] of seen.entries()) {
          expect(() => parseWith({ [key]: value }))
            .to.throw(InputError)
            .with.property(
              "message",
              `config.json: ${key} must be an integer from 1 to ${most}, got ${shown[i]}`,
            );
        }
      });
    }

    describe("numbers far from those of any model, which would generate nonsense", () => {
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
        it(`rejects ${key} outside of ${least} to ${most}`, () => {
          for (const value of [least, most]) expect(() => run(value)).not.to.throw();
          for (const value of [1e-300, 1e-13, 1e13, 1e300, 1e308]) {
            expect(() => run(value))
              .to.throw(InputError)
              .with.property("message")
              .that.matches(
                new RegExp(`^config.json: ${key} must be an? .*, got ${value}$`.replace("+", "\\+")),
              );
          }
        });
      }

      it("rejects rms_norm_eps 5, and 100,000,000 positions", () => {
        expect(() => parseWith({ rms_norm_eps: 5 })).to.throw("must be a number from 1e-12 to 0.1, got 5");
        expect(() => parseWith({ max_position_embeddings: 1e8 })).to.throw(
          "from 1 to 16777216, got 100000000",
        );
      });
    });

    it("rejects a missing size and names it", () => {
      const optional = new Set(["num_key_value_heads", "head_dim", "max_position_embeddings"]);
      const required = sizes.filter((key) => !optional.has(key));
      for (const key of required) {
        expect(() => parseWith({ [key]: undefined }))
          .to.throw(InputError)
          .with.property("message")
          .that.matches(new RegExp(`^config\\.json: ${key} must be an integer .*, but it is missing$`));
      }
    });

    it("reads or rejects any JSON, and throws nothing but InputError", () => {
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
            () => readGenerationConfig({ eos_token_id: one }, other, 128256, "model"),
          ]) {
            try {
              run();
            } catch (error) {
              if (!(error instanceof InputError)) throw error;
              expect(error.message)
                .to.match(/^(config\.json|model).* must be .+, (got|but) .+$/u)
                .and.not.include("\n");
            }
          }
        }),
        { numRuns: 2000 },
      );
    });
  });
});
