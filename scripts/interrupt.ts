import { stepCost } from "../src/cost/cost.js";
import { GraphLlama, type Model } from "../src/index.js";

const controller = new AbortController();

/** Aborted by Ctrl-C, which ends loading and generation at the next step. A second Ctrl-C ends the process. */
export const { signal } = controller;

const stop = (): void => controller.abort();

/** The reason for aborting when stdout is closed. */
export const UNREAD = new Error("the output has no reader");

/** Aborts because the output is closed; unlike Ctrl-C, this is not reported as an interruption. */
export const endUnread = (): void => controller.abort(UNREAD);

/** Listens for Ctrl-C from now on. */
export function listen(): void {
  process.once("SIGINT", stop);
}

/**
 * Does work that Ctrl-C ends, through its signal, at the end of a step. A second Ctrl-C ends the command.
 */
export async function endingOnFirstInterrupt(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const first = new AbortController();
  const end = () => {
    first.abort();
    listen();
  };
  process.off("SIGINT", stop);
  process.once("SIGINT", end);
  try {
    await work(AbortSignal.any([first.signal, signal]));
  } finally {
    process.off("SIGINT", end);
    if (!first.signal.aborted) listen();
  }
}

/** FLOPs of a step that takes a second or more on a CPU. */
const LONG_STEP = 10e9;

/**
 * Lets Ctrl-C end the process during a long step: TensorFlow.js computes a step without looking for signals, and a
 * prefill may take a minute, as may compiling a graph. Nothing is half written meanwhile.
 *
 * @returns the same model
 */
export function interruptible<M extends Model>(model: M): M {
  const guard =
    (forward: Model["forward"]): Model["forward"] =>
    (tokens, cache, probe) => {
      const [T, past] = [tokens[0]?.length ?? 0, cache?.length ?? 0];
      const long = T > 0 && stepCost(model.config, tokens.length, T, past + T, !!cache).flops >= LONG_STEP;
      const ends = (long || model instanceof GraphLlama) && process.listeners("SIGINT").includes(stop);
      if (ends) process.off("SIGINT", stop); // the default handler ends the process
      try {
        return forward(tokens, cache, probe);
      } finally {
        if (ends) listen();
      }
    };
  model.forward = guard(model.forward.bind(model));
  if (model instanceof GraphLlama)
    model.forwardGreedy = guard(model.forwardGreedy.bind(model) as Model["forward"]);
  return model;
}
