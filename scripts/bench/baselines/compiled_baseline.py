"""The cases of `npm run bench` in compiled PyTorch, which is what its users take for speed, on the same machine.

    python scripts/bench/baselines/compiled_baseline.py --checkpoint DIR --out FILE [--device cuda] [--batch 1,8,16]

Two programs, with the cache only: "PyTorch, compiled" is a Llama with a static KV cache whose forward pass torch.compile
turns into one call, after gpt-fast (https://github.com/meta-pytorch/gpt-fast); "transformers, compiled" is Hugging Face's
own model with its StaticCache, compiled the same way. Greedy. The prompts are those of `npm run bench`.
"""

import argparse
import json
import pathlib
import time

import torch
from case import INPUT, OUTPUT, case, prompts, save
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaForCausalLM, StaticCache

options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
options.add_argument("--checkpoint", type=pathlib.Path, required=True)
options.add_argument("--out", default="compiled.json")
options.add_argument("--device", default="cuda")
options.add_argument("--batch", default="1,8,16")
options.add_argument("--repeat", type=int, default=3)
options.add_argument("--dtype", default="", help="float32, tf32 and bfloat16, comma-separated; by default all that the device has")
options.add_argument("--programs", default="PyTorch,transformers")
options = options.parse_args()

cuda = options.device == "cuda"
torch.set_default_device(options.device)
config = json.loads((options.checkpoint / "config.json").read_text())
heads, kv_heads, head_dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
length = INPUT + OUTPUT


class Layer(nn.Module):
    """A block with fused projections and a static cache: keys and values of all `length` positions, some not there yet."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        attention, mlp = block.self_attn, block.mlp
        self.qkv = nn.Parameter(torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]))
        self.gate_up = nn.Parameter(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]))
        self.out, self.down = attention.o_proj.weight, mlp.down_proj.weight
        self.norms = nn.ParameterList([block.input_layernorm.weight, block.post_attention_layernorm.weight])

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, positions: Tensor, cache: Tensor) -> Tensor:
        batch, count, _ = x.shape
        sizes = [heads * head_dim, kv_heads * head_dim, kv_heads * head_dim]
        projected = F.linear(norm(x, self.norms[0]), self.qkv).split(sizes, -1)
        q, k, v = (part.view(batch, count, -1, head_dim).transpose(1, 2) for part in projected)
        cache[0][:, :, positions] = rotate(k, cos, sin)
        cache[1][:, :, positions] = v
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), cache[0], cache[1], attn_mask=mask, enable_gqa=True)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), self.out)
        gate, up = F.linear(norm(x, self.norms[1]), self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, weight.shape, weight, config["rms_norm_eps"])


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


class Program(nn.Module):
    """The greedy step of one of the two programs: token ids and positions in, next token ids out."""

    def reset(self, batch: int) -> None:
        raise NotImplementedError


class Compiled(Program):
    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.embedding, self.norm = model.model.embed_tokens.weight, model.model.norm.weight
        self.layers = nn.ModuleList([Layer(block) for block in model.model.layers])
        frequencies = model.model.rotary_emb.inv_freq.float()
        angles = torch.outer(torch.arange(length).float(), frequencies)
        self.cos, self.sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
        self.causal = torch.tril(torch.ones(length, length, dtype=torch.bool))

    def reset(self, batch: int) -> None:
        shape = (len(self.layers), 2, batch, kv_heads, length, head_dim)
        self.caches = list(torch.zeros(shape, dtype=self.embedding.dtype))

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        x = F.embedding(ids, self.embedding)
        cos, sin = self.cos[positions].to(x.dtype), self.sin[positions].to(x.dtype)
        for layer, cache in zip(self.layers, self.caches):
            x = layer(x, cos, sin, self.causal[positions], positions, cache)
        return F.linear(norm(x[:, -1:], self.norm), self.embedding).argmax(-1)


class Transformers(Program):
    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.model = model

    def reset(self, batch: int) -> None:
        self.cache = StaticCache(config=self.model.config, max_cache_len=length)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        out = self.model(ids, position_ids=positions[None].expand(len(ids), -1), past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        return out.logits.argmax(-1)


@torch.inference_mode()
def measure(program: Program, by: str, batch: int) -> dict:
    torch._dynamo.reset()
    program.reset(batch)
    mode = "reduce-overhead" if cuda else "default"  # CUDA graphs
    prefill, decode = torch.compile(program.forward, dynamic=False), torch.compile(program.forward, mode=mode, dynamic=False)
    ids = torch.tensor(prompts(batch, config["vocab_size"]))

    def generate() -> tuple[list[float], list[list[int]]]:
        if isinstance(program, Transformers):
            program.cache.reset()
        chosen, steps = [], []
        for i in range(OUTPUT):
            start = time.perf_counter()
            if i == 0:
                next_ids = prefill(ids, torch.arange(INPUT))
            else:
                next_ids = decode(next_ids, torch.tensor([INPUT + i - 1]))
            next_ids = next_ids.clone()  # CUDA graphs write to the same memory again
            chosen.append(next_ids[:, 0].tolist())  # waits for the device
            steps.append(1000 * (time.perf_counter() - start))
        return steps, [list(sequence) for sequence in zip(*chosen)]

    started = time.perf_counter()
    for _ in range(2):
        generate()
    compile_seconds = time.perf_counter() - started
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    runs, tokens = zip(*[generate() for _ in range(options.repeat)])
    peak = torch.cuda.max_memory_allocated() if cuda else None
    return {**case(by, True, batch, runs, tokens[0]), "warmUpSeconds": compile_seconds, "peakBytes": peak}


cases = []
PROGRAMS = {"PyTorch": Compiled, "transformers": Transformers}
for precision in options.dtype.split(",") if options.dtype else ["bfloat16", "tf32", "float32"] if cuda else ["float32"]:
    dtype, tf32 = ("float32" if precision == "tf32" else precision), ("on" if precision == "tf32" else "off")
    torch.backends.cuda.matmul.allow_tf32 = tf32 == "on"
    model = LlamaForCausalLM.from_pretrained(options.checkpoint, dtype=getattr(torch, dtype)).to(options.device).eval()
    for name in options.programs.split(","):
        program = PROGRAMS[name](model)
        for batch in map(int, options.batch.split(",")):
            cases.append({"dtype": dtype, "tf32": tf32, **measure(program, f"{name}, compiled", batch)})
            print(cases[-1], flush=True)

save(options.out, options.checkpoint.name, cuda, cases)
