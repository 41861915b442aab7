"""The cases of `npm run bench` in Hugging Face transformers, uncompiled PyTorch, for comparison on the same machine.

    python scripts/bench/baselines/transformers_baseline.py --out FILE [--config llama-3.2-1b] [--device cuda] [--batch 1,8,16]

Random weights, float32 and, on a GPU, TF32 and bfloat16; greedy, with the cache and without. With --checkpoint
the weights are that directory's; with --write they are only created and written there, in the format that this project
reads. The prompts are those of `npm run bench`.
"""

import argparse
import base64
import itertools
import pathlib
import time

import torch
from case import INPUT, OUTPUT, case, prompts, save
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

SIZES = {
    "llama-3.2-1b": dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64, intermediate_size=8192, vocab_size=128256),
    "smollm2-135m": dict(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64, intermediate_size=1536, vocab_size=49152),
}

options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
options.add_argument("--out", default="transformers.json")
options.add_argument("--config", default="llama-3.2-1b", choices=SIZES)
options.add_argument("--device", default="cuda")
options.add_argument("--batch", default="1,8,16")
options.add_argument("--repeat", type=int, default=3)
options.add_argument("--attention", default="sdpa", help="eager, sdpa or both, comma-separated")
options.add_argument("--mode", default="both", choices=["both", "cached", "uncached"])
options.add_argument("--checkpoint", type=pathlib.Path)
options.add_argument("--write", type=pathlib.Path)
options.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of the weights that --write stores")
options = options.parse_args()

cuda = options.device == "cuda"
torch.manual_seed(0)
torch.set_default_device(options.device)


def random_model() -> LlamaForCausalLM:
    # The same spread of logits as our own random weights, so that greedy tokens are no near ties.
    return LlamaForCausalLM(LlamaConfig(**SIZES[options.config], tie_word_embeddings=True, max_position_embeddings=131072, initializer_range=0.05))


def write_checkpoint(directory: pathlib.Path) -> None:
    """The model, and a tokenizer.model of as many made-up tokens as the model has: each byte, then pairs and triples."""
    model = random_model().to(getattr(torch, options.dtype))
    model.save_pretrained(directory)
    ordinary = model.config.vocab_size - 256  # Llama 3's special tokens come on top
    ranks, length = [bytes([byte]) for byte in range(256)], 2
    while len(ranks) < ordinary:
        count = min(ordinary - len(ranks), 256**length)
        ranks += [number.to_bytes(length, "big") for number in range(count)]
        length += 1
    lines = [b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(ranks)]
    (directory / "tokenizer.model").write_bytes(b"".join(lines))


if options.write:
    write_checkpoint(options.write)
    raise SystemExit

model = LlamaForCausalLM.from_pretrained(options.checkpoint, dtype=torch.float32) if options.checkpoint else random_model()
model = model.to(options.device).eval()


@torch.inference_mode()
def generate(batch: int, cached: bool, output: int) -> tuple[list[float], list[list[int]]]:
    """Milliseconds of each step, and the chosen tokens of each sequence."""
    tokens = torch.tensor(prompts(batch, model.config.vocab_size))
    cache = DynamicCache() if cached else None
    input_ids, steps = tokens, []
    for _ in range(output):
        start = time.perf_counter()
        out = model(input_ids, past_key_values=cache, use_cache=cached, logits_to_keep=1)
        chosen = out.logits[:, -1].argmax(-1, keepdim=True)
        chosen.tolist()  # waits for the device
        tokens = torch.cat([tokens, chosen], 1)
        input_ids = chosen if cached else tokens
        steps.append(1000 * (time.perf_counter() - start))
    return steps, tokens[:, INPUT:].tolist()


def measure(batch: int, cached: bool, attention: str) -> dict:
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    generate(batch, cached, 2)  # warm-up
    runs, tokens = zip(*[generate(batch, cached, OUTPUT) for _ in range(options.repeat)])
    peak = torch.cuda.max_memory_allocated() if cuda else None
    return {**case(f"transformers, {attention}", cached, batch, runs, tokens[0]), "peakBytes": peak}


cases = []
modes = {"both": (True, False), "cached": (True,), "uncached": (False,)}[options.mode]
# float32 first, since weights that were rounded once stay rounded. TF32 rounds float32 on a GPU and nothing else.
for dtype in ["float32", "bfloat16"] if cuda else ["float32"]:
    model.to(getattr(torch, dtype))
    switches = ["off", "on"] if cuda and dtype == "float32" else ["off"]
    for attention, tf32 in itertools.product(options.attention.split(","), switches):
        model.set_attn_implementation(attention)
        torch.backends.cuda.matmul.allow_tf32 = tf32 == "on"
        for batch, cached in itertools.product(map(int, options.batch.split(",")), modes):
            cases.append({"attention": attention, "dtype": dtype, "tf32": tf32, **measure(batch, cached, attention)})
            print(cases[-1], flush=True)

name = options.checkpoint.name if options.checkpoint else f"{options.config}, random weights"
save(options.out, name, cuda, cases)
