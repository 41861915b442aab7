import type { Model } from "../src/index.js";
import { stepCost } from "../src/cost/cost.js";

const controller = new AbortController();

/** Ctrl-C: ends the loading of a model, and what a command does, at the next chance. A second one ends the process. */
export const { signal } = controller;

const stop = (): void => controller.abort();

/** Why a command ends that nobody reads any more. */
export const UNREAD = new Error("nobody reads the output");

/** Ends the command at the next chance as Ctrl-C does, but it is no interruption: what it was to say has been said. */
export const endUnread = (): void => controller.abort(UNREAD);

/** Listens for Ctrl-C from now on. */
export function listen(): void {
  process.once("SIGINT", stop);
}

/** Operations of a step that lasts a second or more, on an backend without a card. */
const LONG_STEP = 10e9;

/**
 * The same model, whose long steps Ctrl-C ends with the process: TensorFlow.js computes a step in one go, without
 * hearing of signals, and a prompt may take it a minute. Nothing is half written meanwhile.
 */
export function interruptible(model: Model): Model {
  const { forward, forwardGreedy } = model;
  const known = new Set<string>(); // calls that a recorded model has run before: the first time they may be compiled
  const guarded =
    (step: Model["forward"]): Model["forward"] =>
    (tokens, cache, probe) => {
      const [T, past] = [tokens[0]?.length ?? 0, cache?.length ?? 0];
      const long = T > 0 && stepCost(model.config, tokens.length, T, past + T, !!cache).flops >= LONG_STEP;
      const kind = `${tokens.length} ${T} ${cache !== undefined}`;
      const unknown = model.prepare !== undefined && !known.has(kind);
      known.add(kind);
      if ((!long && !unknown) || !process.listeners("SIGINT").includes(stop))
        return step.call(model, tokens, cache, probe);
      process.off("SIGINT", stop); // then the system does what it does by default
      try {
        return step.call(model, tokens, cache, probe);
      } finally {
        listen();
      }
    };
  model.forward = guarded(forward);
  if (forwardGreedy) model.forwardGreedy = guarded(forwardGreedy);
  return model;
}
