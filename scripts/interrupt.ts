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
  const isLong: (...forward: Parameters<Model["forward"]>) => boolean = (tokens, cache) => {
    const [T, past] = [tokens[0]?.length ?? 0, cache?.length ?? 0];
    return T > 0 && stepCost(model.config, tokens.length, T, past + T, !!cache).flops >= LONG_STEP;
  };
  if (model instanceof GraphLlama) {
    model.forward = endable(model.forward.bind(model));
    model.forwardGreedy = endable(model.forwardGreedy.bind(model));
    model.decodeBlock = endable(model.decodeBlock.bind(model));
  } else model.forward = endable(model.forward.bind(model), isLong);
  return model;
}

/** The same function; while a long call of it runs, Ctrl-C ends the process. */
const endable =
  <Args extends unknown[], Result>(
    run: (...args: Args) => Result,
    isLong: (...args: NoInfer<Args>) => boolean = () => true,
  ) =>
  (...args: Args): Result => {
    const ends = isLong(...args) && process.listeners("SIGINT").includes(stop);
    if (ends) process.off("SIGINT", stop); // the default handler ends the process
    try {
      return run(...args);
    } finally {
      if (ends) listen();
    }
  };
