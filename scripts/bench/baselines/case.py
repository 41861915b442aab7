"""The options and prompts of `npm run bench`'s other programs, and measured cases as its results files have them."""

import argparse
import datetime
import hashlib
import json
import pathlib
import statistics

INPUT, OUTPUT = 256, 32  # tokens of each prompt, and generated for it
Runs = list[list[float]]  # milliseconds of every step of every run; the first step is the prefill


def options_of(description: str) -> argparse.Namespace:
    """The options of a script that measures one case on the CPU."""
    options = argparse.ArgumentParser(description=description.split("\n")[0])
    options.add_argument("--checkpoint", type=pathlib.Path, required=True)
    options.add_argument("--out", required=True)
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--threads", type=int, required=True)
    return options.parse_args()


def prompts(batch: int, vocabulary: int) -> list[list[int]]:
    return [[(7919 * i + 104_729 * sequence + 1) % vocabulary for i in range(INPUT)] for sequence in range(batch)]


def case(by: str, cached: bool, batch: int, runs: Runs, tokens: list[list[int]]) -> dict:
    return {
        "by": by,
        "useCache": cached,
        "batch": batch,
        "input": INPUT,
        "output": OUTPUT,
        "seconds": statistics.median(sum(run) for run in runs) / 1000,
        "firstTokenMs": statistics.median(run[0] for run in runs),
        "stepMs": statistics.median(step for run in runs for step in run[1:]),
        "samples": [sum(run) / 1000 for run in runs],
        "tokensSha256": hashlib.sha256(json.dumps(tokens, separators=(",", ":")).encode()).hexdigest(),
    }


def save(out: str, model: str, cuda: bool, cases: list[dict]) -> None:
    """Writes cases that PyTorch has measured."""
    import torch  # not needed for llama.cpp
    import transformers

    results = {
        "study": "transformers",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "model": model,
        "cases": cases,
    }
    pathlib.Path(out).write_text(json.dumps(results, indent=1))
