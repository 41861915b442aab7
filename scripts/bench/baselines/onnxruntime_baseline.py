"""One case of `npm run bench` in onnxruntime, for comparison on the same machine.

    python scripts/bench/baselines/onnxruntime_baseline.py --checkpoint DIR --out FILE --batch 8 --threads 2

Greedy, on the CPU, float32, with the KV cache only: onnxruntime-genai's own loop, and a model as its builder exports it, with
fused attention and normalisation. The prompts are those of `npm run bench`.
"""

import importlib.metadata
import json
import pathlib
import subprocess
import sys
import time

import numpy
import onnxruntime_genai
from case import INPUT, OUTPUT, case, options_of, prompts

options = options_of(__doc__)

config = json.loads((options.checkpoint / "config.json").read_text())
exported = options.checkpoint / "onnx"


def export() -> None:
    """The checkpoint in onnxruntime's format."""
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-p", "fp32", "-e", "cpu"]
    subprocess.run([*builder, "-i", str(options.checkpoint), "-o", str(exported)], check=True)
    settings = json.loads((exported / "genai_config.json").read_text())
    settings["model"]["decoder"]["session_options"]["intra_op_num_threads"] = options.threads
    (exported / "genai_config.json").write_text(json.dumps(settings))


def generate(model: onnxruntime_genai.Model, output: int) -> tuple[list[float], list[list[int]]]:
    """Milliseconds of each step, and the chosen tokens of each sequence."""
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(batch_size=options.batch, max_length=INPUT + output, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    ids = numpy.array(prompts(options.batch, config["vocab_size"]), dtype=numpy.int32)
    steps, chosen = [], []
    for step in range(output):
        start = time.perf_counter()
        if step == 0:
            generator.append_tokens(ids)
        generator.generate_next_token()
        chosen.append(generator.get_next_tokens().tolist())
        steps.append(1000 * (time.perf_counter() - start))
    return steps, [list(sequence) for sequence in zip(*chosen)]


if not exported.exists():
    export()
model = onnxruntime_genai.Model(str(exported))
generate(model, 2)  # warm-up
steps, tokens = generate(model, OUTPUT)
results = {
    "versions": {"onnxruntime-genai": importlib.metadata.version("onnxruntime-genai")},
    "cases": [case("onnxruntime", True, options.batch, [steps], tokens)],
}
pathlib.Path(options.out).write_text(json.dumps(results))
