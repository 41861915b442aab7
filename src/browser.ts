/** The public API in browsers: that of Node without directories and graph mode, and with the browser's `loadBackend`. */
export { loadBackend } from "./backend/load-in-browser.js";
export { memoryFiles } from "./checkpoint/memory-files.js";
export { readChatTemplate } from "./checkpoint/read-chat-template.js";
export { readCheckpoint } from "./checkpoint/read-checkpoint.js";
export { generationCost } from "./cost/cost.js";
export { predictMemory } from "./cost/predicted-memory.js";
export { Conversation } from "./generation/chat.js";
export { compareModes } from "./generation/compare.js";
export { generate } from "./generation/generate.js";
export { type Step, steps } from "./generation/steps.js";
export type { ModelConfig } from "./model/config.js";
export { Llama } from "./model/llama.js";
export type { Model } from "./model/model.js";
export type { Probe } from "./model/probe.js";
export { InputError } from "./util/errors.js";
