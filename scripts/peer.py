"""The same cells in Hugging Face transformers, eager PyTorch, for comparison on the same machine.

    python scripts/peer.py --out peer.json [--config llama-3.2-1b] [--device cuda] [--batch 1,8,16] [--repeat 3]

Random weights, float32 with TF32 off and on; greedy, input 256, output 32, with the cache and without.
"""

import argparse
import datetime
import json
import statistics
import time

import torch
import transformers
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

SIZES = {
    "llama-3.2-1b": dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64, intermediate_size=8192, vocab_size=128256),
    "smollm2-135m": dict(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64, intermediate_size=1536, vocab_size=49152),
}

options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
options.add_argument("--out", default="peer.json")
options.add_argument("--config", default="llama-3.2-1b", choices=SIZES)
options.add_argument("--device", default="cuda")
options.add_argument("--batch", default="1,8,16")
options.add_argument("--input", type=int, default=256)
options.add_argument("--output", type=int, default=32)
options.add_argument("--repeat", type=int, default=3)
options.add_argument("--tf32", default="off,on")
options = options.parse_args()

cuda = options.device == "cuda"
torch.manual_seed(0)
torch.set_default_device(options.device)
model = LlamaForCausalLM(LlamaConfig(**SIZES[options.config], tie_word_embeddings=True, max_position_embeddings=1024)).eval()


@torch.inference_mode()
def generate(batch: int, cached: bool) -> list[float]:
    """Milliseconds of each step."""
    tokens = torch.arange(options.input).repeat(batch, 1)
    cache = DynamicCache() if cached else None
    feed, steps = tokens, []
    for _ in range(options.output):
        start = time.perf_counter()
        out = model(feed, past_key_values=cache, use_cache=cached, logits_to_keep=1)
        chosen = out.logits[:, -1].argmax(-1, keepdim=True)
        chosen.tolist()  # waits for the device
        tokens = torch.cat([tokens, chosen], 1)
        feed = chosen if cached else tokens
        steps.append(1000 * (time.perf_counter() - start))
    return steps


cells = []
for tf32 in options.tf32.split(","):
    torch.backends.cuda.matmul.allow_tf32 = tf32 == "on"
    for batch in map(int, options.batch.split(",")):
        for cached in (True, False):
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            generate(batch, cached)  # warm-up
            runs = [generate(batch, cached) for _ in range(options.repeat)]
            cell = {
                "kvCaching": cached,
                "tf32": tf32,
                "batch": batch,
                "input": options.input,
                "output": options.output,
                "seconds": statistics.median(sum(run) for run in runs) / 1000,
                "firstTokenMs": statistics.median(run[0] for run in runs),
                "stepMs": statistics.median(step for run in runs for step in run[1:]),
                "peakBytes": torch.cuda.max_memory_allocated() if cuda else None,
            }
            cells.append(cell)
            print(cell, flush=True)

result = {
    "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "model": f"{options.config}, random weights",
    "dtype": "float32",
    "attention": model.config._attn_implementation,
    "cells": cells,
}
with open(options.out, "w") as file:
    json.dump(result, file, indent=1)
