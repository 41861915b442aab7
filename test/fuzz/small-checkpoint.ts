import { safetensors, type StoredTensor } from "../checkpoint/write-safetensors.js";
import { llama3TokenizerModel } from "../tokenizer/llama3-vocabulary.js";

// A minimal checkpoint with every kind of file, and as many embeddings as its tokenizer.model has tokens: the 256
// bytes, pairs of characters and 256 special ones. tokenizer.json, which is read if that is absent, has fewer.
const PAIRS = [..."abcde"].flatMap((left) => [..."abcde"].map((right) => left + right));
const EMBEDDINGS = 256 + PAIRS.length + 256;

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 8,
  intermediate_size: 12,
  max_position_embeddings: 64,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  num_key_value_heads: 1,
  head_dim: 4,
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  tie_word_embeddings: true,
  attention_bias: false,
  vocab_size: EMBEDDINGS,
  eos_token_id: [257],
};

const SHAPES: Record<string, number[]> = {
  "model.embed_tokens.weight": [EMBEDDINGS, 8],
  "model.norm.weight": [8],
  "model.layers.0.input_layernorm.weight": [8],
  "model.layers.0.post_attention_layernorm.weight": [8],
  "model.layers.0.self_attn.q_proj.weight": [8, 8],
  "model.layers.0.self_attn.k_proj.weight": [4, 8],
  "model.layers.0.self_attn.v_proj.weight": [4, 8],
  "model.layers.0.self_attn.o_proj.weight": [8, 8],
  "model.layers.0.mlp.gate_proj.weight": [12, 8],
  "model.layers.0.mlp.up_proj.weight": [12, 8],
  "model.layers.0.mlp.down_proj.weight": [8, 12],
};

/** The file that holds the weights. */
export const SHARD = "model-00001-of-00001.safetensors";

/** A directory's files by name. */
export type Files = Readonly<Record<string, Buffer>>;

/** The files of the checkpoint, with tokenizer.json. */
export function smallCheckpoint(): Files {
  const vocab = Object.fromEntries([...bytes().map((byte, id) => [standIn(byte), id]), ["aa", 256]]);
  const tokenizer = {
    model: { type: "BPE", vocab, merges: ["a a"], unk_token: null, byte_fallback: false },
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    decoder: { type: "ByteLevel" },
    post_processor: null,
    added_tokens: [{ id: 257, content: "<|end|>", special: true }],
  };
  const tensors: StoredTensor[] = Object.entries(SHAPES).map(([name, shape], n) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + n));
    return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
  });
  const weight_map = Object.fromEntries(Object.keys(SHAPES).map((name) => [name, SHARD]));
  return {
    "config.json": Buffer.from(JSON.stringify(CONFIG)),
    "generation_config.json": Buffer.from('{"eos_token_id":257}'),
    "tokenizer.json": Buffer.from(JSON.stringify(tokenizer)),
    "model.safetensors.index.json": Buffer.from(JSON.stringify({ weight_map })),
    [SHARD]: Buffer.from(safetensors(tensors)),
  };
}

/** The checkpoint's tokenizer.model: Llama 3's first lines, and one for each pair. */
export function smallTokenizerModel(): string {
  return [...firstLines(), ...PAIRS.map((pair, n) => `${btoa(pair)} ${256 + n}`)].join("\n");
}

const firstLines = () => llama3TokenizerModel().split("\n", 256);

const bytes = () => firstLines().map((line) => Buffer.from(line.split(" ")[0]!, "base64")[0]!);

/** The character for a byte in tokenizer.json. */
function standIn(byte: number): string {
  const prints = (code: number) => (code > 0x20 && code < 0x7f) || (code > 0xa0 && code !== 0xad);
  const before = Array.from({ length: byte }, (_, code) => code).filter((code) => !prints(code)).length;
  return String.fromCharCode(prints(byte) ? byte : 256 + before);
}
