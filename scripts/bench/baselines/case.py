"""The prompts of `npm run bench`, and a measured case as its results files have it."""

import hashlib
import json
import statistics

INPUT, OUTPUT = 256, 32  # tokens of each prompt, and generated for it
Runs = list[list[float]]  # milliseconds of every step of every run; the first step is the prefill


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
