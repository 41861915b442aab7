"""One case of `npm run bench` in llama.cpp, through PyPI's xllamacpp, for comparison on the same machine.

    python scripts/bench/baselines/llama_cpp_baseline.py --checkpoint DIR --out FILE --batch 8 --threads 2

Greedy, on the CPU. Weights, keys and values are float32, and flash attention is off: with it the tokens differed from all
other programs', with a float32 cache, too. llama.cpp has no mode without its cache. The prompts are those of
`npm run bench`.
"""

import importlib.metadata
import json
import pathlib
import time

import gguf
import numpy
import safetensors.numpy
import xllamacpp
from case import INPUT, OUTPUT, case, options_of, prompts

options = options_of(__doc__)

config = json.loads((options.checkpoint / "config.json").read_text())
model = options.checkpoint / "model.gguf"


def neighbours(rows: numpy.ndarray, n_heads: int) -> numpy.ndarray:
    """[heads * D, in]: Hugging Face rotates element i of a head with element i + D/2, llama.cpp elements 2i and 2i + 1."""
    return rows.reshape(n_heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def write_gguf() -> None:
    """The checkpoint in llama.cpp's format, with a vocabulary in which every token's text is its id and a space."""
    writer = gguf.GGUFWriter(model, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    ids = range(config["vocab_size"])
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"{id} " for id in ids])
    writer.add_token_scores([0.0 for _ in ids])
    writer.add_token_types([gguf.TokenType.NORMAL for _ in ids])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, values in safetensors.numpy.load_file(options.checkpoint / "model.safetensors").items():
        for projection, heads in {".q_proj.": "num_attention_heads", ".k_proj.": "num_key_value_heads"}.items():
            if projection in name:
                values = neighbours(values, config[heads])
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), numpy.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def start() -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_gpu_layers = 0
    params.n_parallel = options.batch
    params.n_ctx = options.batch * (INPUT + OUTPUT)
    params.n_batch = params.n_ubatch = max(512, options.batch * INPUT)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.verbosity = 0
    return xllamacpp.Server(params)


def generate(server: xllamacpp.Server, output: int) -> tuple[list[float], list[list[int]]]:
    """Milliseconds of each step, which ends with its last sequence, and the chosen tokens of each sequence."""
    texts = prompts(options.batch, config["vocab_size"])
    tokens, ends = [[] for _ in texts], [0.0] * output

    def receive(chunk) -> None:
        for choice in chunk["choices"] if chunk else []:
            for id in choice["text"].split():
                sequence = tokens[choice["index"]]
                ends[len(sequence)] = time.perf_counter()
                sequence.append(int(id))

    started = time.perf_counter()
    server.handle_completions({"prompt": texts, "n_predict": output, "temperature": 0, "cache_prompt": False, "stream": True}, receive)
    assert all(len(sequence) == output for sequence in tokens), "a sequence has stopped early"
    return [1000 * (end - start) for start, end in zip([started, *ends], ends)], tokens


if not model.exists():
    write_gguf()
server = start()
generate(server, 2)  # warm-up
steps, tokens = generate(server, OUTPUT)
results = {
    "versions": {"llama.cpp": f"xllamacpp {importlib.metadata.version('xllamacpp')}"},
    "cases": [case("llama.cpp", True, options.batch, [steps], tokens)],
}
pathlib.Path(options.out).write_text(json.dumps(results))
