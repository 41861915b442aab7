"""A Llama checkpoint of Hugging Face as a GGUF file in float32, for llama.cpp.

    python scripts/bench/baselines/write_gguf.py CHECKPOINT FILE

The numbers stay the same, but rows of the query and key matrices are reordered: Hugging Face rotates element i of a head
with element i + D/2, llama.cpp elements 2i and 2i + 1. The vocabulary is made up, since only ids go in and come out.
"""

import json
import pathlib
import sys

import gguf
import numpy
import safetensors.numpy

checkpoint, file = map(pathlib.Path, sys.argv[1:])
config = json.loads((checkpoint / "config.json").read_text())
heads, key_value_heads = config["num_attention_heads"], config["num_key_value_heads"]
rope = config.get("rope_parameters") or config
if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
    raise SystemExit(f"rope type {rope.get('rope_type')} is not written here, expected default")

writer = gguf.GGUFWriter(file, "llama")
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(heads)
writer.add_head_count_kv(key_value_heads)
writer.add_rope_dimension_count(config["head_dim"])
writer.add_key_length(config["head_dim"])
writer.add_value_length(config["head_dim"])
writer.add_rope_freq_base(rope["rope_theta"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_file_type(gguf.LlamaFileType.ALL_F32)

vocab_size = config["vocab_size"]
writer.add_tokenizer_model("llama")
writer.add_token_list([f"<0x{id:02X}>" if id < 256 else f"token {id}" for id in range(vocab_size)])
writer.add_token_scores([0.0] * vocab_size)
writer.add_token_types([gguf.TokenType.BYTE if id < 256 else gguf.TokenType.NORMAL for id in range(vocab_size)])


def neighbours(rows: numpy.ndarray, n_heads: int) -> numpy.ndarray:
    """[heads * D, in] with the two halves of each head interleaved."""
    return rows.reshape(n_heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
for part in sorted(checkpoint.glob("*.safetensors")):
    for name, values in safetensors.numpy.load_file(part).items():
        values = values.astype(numpy.float32)
        if ".q_proj." in name:
            values = neighbours(values, heads)
        if ".k_proj." in name:
            values = neighbours(values, key_value_heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), numpy.ascontiguousarray(values))

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
