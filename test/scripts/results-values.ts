import { RESULTS } from "../../scripts/bench/report-blocks.js";
import { isOurs, OURS, tokensOf } from "../../scripts/bench/baselines/compare.js";
import { samePair } from "../../scripts/bench/case.js";
import { readResults } from "../../scripts/bench/results-file.js";
import type { Case, CaseResults } from "../../scripts/bench/results.js";
import type { Baselines } from "../../scripts/bench/baselines/compare.js";
import type { Transformers } from "../../scripts/bench/baselines/programs.js";
import type { CacheWrite } from "../../scripts/bench/studies/cache-write.js";
import type { Gpu } from "../../scripts/bench/gpu-tables.js";
import type { Restore } from "../../scripts/bench/studies/restore.js";
import type { Roofline } from "../../scripts/bench/studies/roofline.js";
import type { Sinks } from "../../scripts/bench/studies/sinks.js";
import type { Speculative } from "../../scripts/bench/studies/speculative.js";
import { cacheBytes, stepCost, weightBytes } from "../../src/cost/cost.js";
import type { ModelConfig } from "../../src/index.js";
import { PRESETS } from "../../src/model/presets.js";

const read = <R extends { readonly study: string }>(file: string, study: R["study"]): R =>
  readResults<R>(`${RESULTS}${file}.json`, study);

/** The numbers in the text of docs/results.md, by their names there. */
export function resultsValues(bundled: ModelConfig): Readonly<Record<string, number>> {
  const [wasm, smollm] = ["bundled-wasm", "smollm2-135m-tensorflow-cpu"].map((file) =>
    read<CaseResults>(file, "cases"),
  );
  const pairOf = (results: CaseResults, batch: number) => results.pairs.find((pair) => pair.batch === batch)!;
  const caseOf = (results: CaseResults, batch: number, useCache = true, execution = "eager") =>
    results.cases.find(
      (one) => one.batch === batch && one.useCache === useCache && one.execution === execution,
    )!;
  const logits = ({ pairs }: CaseResults) =>
    Math.max(...pairs.map(({ maxLogitDifference }) => maxLogitDifference!));
  const peakMB = (one: Case) => one.memory.liveTensorPeak! / 1e6;
  const first = caseOf(wasm!, 1);
  const prefill = stepCost(bundled, 1, first.input, first.input, true);

  const { cases: others, threads } = read<Baselines>("smollm2-135m-cpu-baselines", "baselines");
  const theirs = others.filter((one) => !isOurs(one));
  const { cases: withCompiled } = read<Baselines>("smollm2-135m-cpu-compiled", "baselines");
  const programCase = (program: string, batch: number) =>
    withCompiled.find(({ by, batch: size }) => by === program && size === batch)!;
  const bothCases = (batch: number) =>
    [programCase(`${OURS}, xla`, batch), programCase("PyTorch, compiled", batch)] as const;
  const againstCompiled = (batch: number) => {
    const [ours, compiled] = bothCases(batch);
    return ours.seconds / compiled.seconds;
  };
  const [oursAlone, compiledAlone] = bothCases(1);
  const ratios = oursAlone.samples.map((seconds, round) => seconds / compiledAlone.samples[round]!);

  const gpu = read<Gpu>("h200-llama-3.2-1b", "gpu");
  const gpuCases = gpu.benches.flatMap((bench) => bench.cases.map((one) => ({ bench, one })));
  const gpuPairs = gpuCases.flatMap(({ bench, one }) => {
    const other = gpuCases.find(
      (each) => each.bench.tf32 === bench.tf32 && !each.one.useCache && samePair(each.one, one),
    );
    return one.useCache && other ? [[one, other.one] as const] : [];
  });
  const llama = PRESETS["llama-3.2-1b"]!;
  const gpuMemory = (eager: boolean) =>
    Math.max(
      ...gpuCases
        .filter(({ one }) => (one.execution === "eager") === eager)
        .map(({ one }) => one.memory.device! / weightBytes(llama)),
    );
  const fastest = gpuCases.find(({ one }) => one.execution === "xla+bf16" && one.batch === 1)!;
  const peer = read<Transformers>("h200-transformers", "transformers").cases;
  const eager = gpu.hostTime.filter(({ execution }) => execution === "eager");
  const dispatchLimit = 1.25;
  const slower = gpu.hostTime
    .filter(({ batch }) => batch === 16)
    .map((many) => {
      const one = gpu.hostTime.find(
        ({ batch, tf32, execution }) => batch === 1 && tf32 === many.tf32 && execution === many.execution,
      )!;
      return many.latencyMs.median / one.latencyMs.median;
    });

  const small = read<CaseResults>("small-tensorflow-cpu", "cases");
  const overhead = small.cases
    .filter(({ useCache, batch }) => !useCache && batch === 1)
    .toSorted((a, b) => a.input - b.input);
  const medianStep = (file: string, useCache: boolean) =>
    caseOf(read<CaseResults>(file, "cases"), 1, useCache).stepMs.median;

  const write = read<CacheWrite>("cache-write", "cache-write");
  const longest = Math.max(...write.cases.map(({ length }) => length));
  const writeCase = (backend: string, strategy: string) =>
    write.cases.find(
      (one) => one.backend === backend && one.strategy === strategy && one.length === longest,
    )!;
  const againstConcat = (backend: string) =>
    writeCase(backend, "in place").writeAndReadMicroseconds.median /
    writeCase(backend, "concat").writeAndReadMicroseconds.median;
  const inPlace = writeCase("tensorflow", "in place");
  const { prefillMs, stepMs, weightBytes: read1 } = read<Roofline>("roofline-wasm", "roofline");

  const drafts = read<Speculative>("speculative-wasm", "speculative").cases;
  const draftCase = (draft: string, guesses: number) =>
    drafts.find((one) => one.draft === draft && one.guesses === guesses)!;
  const perCall = (draft: string) => draftCase(draft, 4).tokens / draftCase(draft, 4).calls;
  const sinks = read<Sinks>("sinks-smollm2", "sinks");
  const [plainCache, withoutSinks, withSinks] = sinks.cases.map(({ perplexity }) => perplexity);
  const prefix = read<Restore>("restore-wasm", "restore").cases.at(-1)!;

  return {
    "wasm.input": first.input,
    "wasm.output": first.output,
    "wasm.pairs": wasm!.pairs.filter(({ identical }) => identical).length,
    "wasm.maxLogitDifference": logits(wasm!),
    "wasm.flopsRatio1": pairOf(wasm!, 1).predictedSpeedUp,
    "wasm.flopsRatio16": pairOf(wasm!, 16).predictedSpeedUp,
    "wasm.speedUp1": pairOf(wasm!, 1).speedUp.median,
    "wasm.speedUp16": pairOf(wasm!, 16).speedUp.median,
    "wasm.prefillFlopsPercent": (100 * prefill.flops) / first.cost.flops,
    "wasm.prefillTimePercent": first.firstTokenMs.median / first.seconds.median / 10,
    "wasm.firstTokenCached": first.firstTokenMs.median,
    "wasm.firstTokenUncached": caseOf(wasm!, 1, false).firstTokenMs.median,
    "wasm.intensityCached": first.cost.arithmeticIntensity,
    "wasm.intensityUncached": caseOf(wasm!, 1, false).cost.arithmeticIntensity,
    "wasm.tensorsCached16": peakMB(caseOf(wasm!, 16)),
    "wasm.tensorsUncached16": peakMB(caseOf(wasm!, 16, false)),
    "smollm.pairs": smollm!.pairs.filter(({ identical }) => identical).length,
    "smollm.maxLogitDifference": logits(smollm!),
    "smollm.decodeEager1": caseOf(smollm!, 1).stepMs.median,
    "smollm.decodeXla1": caseOf(smollm!, 1, true, "xla").stepMs.median,
    "smollm.tensorsCached8": peakMB(caseOf(smollm!, 8)),
    "smollm.tensorsUncached8": peakMB(caseOf(smollm!, 8, false)),
    "baselines.threads": threads,
    "baselines.theirs": theirs.length,
    "baselines.sameTokens": theirs.filter((one) => tokensOf(one, others) === "same").length,
    "cpu.againstCompiled1": againstCompiled(1),
    "cpu.againstCompiled8": againstCompiled(8),
    "cpu.leastRatio": Math.min(...ratios),
    "cpu.mostRatio": Math.max(...ratios),
    "gpu.pairs": gpuPairs.length,
    "gpu.sameTokens": gpuPairs.filter(([a, b]) => a.tokensSha256 === b.tokensSha256).length,
    "gpu.decodeBfloat16": fastest.one.stepMs.median,
    "gpu.decodeTransformersBfloat16": peer.find(
      ({ dtype, batch, useCache }) => dtype === "bfloat16" && batch === 1 && useCache,
    )!.stepMs,
    "gpu.memoryEager": gpuMemory(true),
    "gpu.memoryGraph": gpuMemory(false),
    "gpu.eagerProfiles": eager.length,
    "gpu.dispatchLimit": dispatchLimit,
    "gpu.dispatchBound": eager.filter(
      ({ pipelinedMs, hostMs }) => pipelinedMs < dispatchLimit * hostMs.median,
    ).length,
    "gpu.slowerLeast": Math.min(...slower),
    "gpu.slowerMost": Math.max(...slower),
    "small.shortStep": overhead[0]!.stepMs.median,
    "small.shortInput": overhead[0]!.input,
    "small.longStep": overhead.at(-1)!.stepMs.median,
    "small.longInput": overhead.at(-1)!.input,
    "small.pairs": small.pairs.length,
    "small.withoutGain": small.pairs.filter(({ speedUp }) => speedUp.median < 1.05).length,
    "small.gainPercent": 5,
    "positions.wasmCached": medianStep("bundled-wasm-by-position", true),
    "positions.wasmUncached": medianStep("bundled-wasm-by-position", false),
    "positions.tensorflowCached": medianStep("bundled-tensorflow-by-position", true),
    "positions.tensorflowUncached": medianStep("bundled-tensorflow-by-position", false),
    "llama.context": llama.maxSeqLen,
    "llama.cacheGB": cacheBytes(llama, 1, llama.maxSeqLen) / 1e9,
    "llama.weightsGB": weightBytes(llama) / 1e9,
    "write.heads": write.sizes.heads,
    "write.headDim": write.sizes.headDim,
    "write.capacity": write.sizes.capacity,
    "write.copiedMB": (inPlace.writeAndReadBytes - inPlace.writeBytes) / 1e6,
    "write.tensorflow": againstConcat("tensorflow"),
    "write.wasm": againstConcat("wasm"),
    "write.cpu": againstConcat("cpu"),
    "roofline.prefillRatio": prefillMs.measured.median / prefillMs.matmuls.median,
    "roofline.stepRatio": stepMs.measured.median / stepMs.weightRead.median,
    "roofline.weightsMB": read1 / 1e6,
    "roofline.rate": read1 / stepMs.weightRead.median / 1e6,
    "speculative.ownPerCall": perCall("own"),
    "speculative.lookupPerCall": perCall("lookup"),
    "speculative.mostLayers": bundled.nLayers - 1,
    "speculative.layersPerCall": perCall("4"),
    "speculative.ownTime": draftCase("own", 2).timeRatio.median,
    "sinks.from": sinks.from,
    "sinks.positions": sinks.positions,
    "sinks.plain": plainCache!,
    "sinks.window": sinks.window,
    "sinks.withoutSinks": withoutSinks!,
    "sinks.sinks": sinks.sinks,
    "sinks.withSinks": withSinks!,
    "restore.positions": prefix.positions,
    "restore.restoreMs": prefix.restoreMs.median,
    "restore.computeMs": prefix.computeMs.median,
  };
}
