/** The public API, and nothing else. */
export { type Checkpoint, loadCheckpoint, loadConfig, loadModel } from "./checkpoint/load.js";
export { parseConfig } from "./checkpoint/hugging-face-config.js";
export { SafetensorsFile } from "./checkpoint/safetensors.js";
export {
  arithmeticIntensity,
  cacheBytes,
  type GenerationCost,
  generationCost,
  parameterCount,
  type StepCost,
  stepCost,
  stepSizes,
  weightBytes,
} from "./cost/cost.js";
export {
  type Device,
  type Backend,
  type BackendName,
  type BackendOptions,
  BACKENDS,
  loadBackend,
} from "./backend/backend.js";
export type { WeightType } from "./graph/tracer.js";
export { InputError, NotFiniteError } from "./util/errors.js";
export { Conversation, type ReplyOptions } from "./generation/chat.js";
export { type Comparison, compareModes, type Difference, ROUNDING } from "./generation/compare.js";
export { type Completion, DEFAULTS, generate, type GenerateOptions } from "./generation/generate.js";
export type { SamplingOptions } from "./generation/sampling.js";
export { type NextToken, type Step, type StepOptions, steps, type StopReason } from "./generation/steps.js";
export type { Llama3RopeScaling, ModelConfig, RopeConfig } from "./model/config.js";
export { KVCache, LayerCache } from "./model/kv-cache.js";
export { type LayerWeights, Llama, type LlamaWeights } from "./model/llama.js";
export type { Cache, Model } from "./model/model.js";
export { PRESETS } from "./model/presets.js";
export { randomWeights } from "./model/random-weights.js";
export type { Probe, ProbeName } from "./model/probe.js";
export { GraphLlama } from "./graph/graph-llama.js";
export type { GraphOptions } from "./graph/trace-model.js";
export { type GenerationSize, type PredictedMemory, predictMemory } from "./cost/predicted-memory.js";
export { readTokenizerJson } from "./tokenizer/tokenizer-json.js";
export { TextStream, Tokenizer } from "./tokenizer/tokenizer.js";
