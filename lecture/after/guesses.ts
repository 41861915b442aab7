import { type Draft, ModelDraft, PromptLookup, speculate } from "../../src/generation/speculative.js";
import { steps } from "../../src/generation/steps.js";
import { tokenString } from "../trace-file.js";
import { DRAFTS, GUESSES } from "./settings.js";
import { greedy, type Subject } from "./subject.js";

const PROMPT = "Once upon a time";

/** One forward pass of the model over the guesses of a round. */
export interface GuessedRound {
  readonly guesses: readonly string[];
  /** The first guesses that the model's argmax confirms. */
  readonly accepted: number;
  /** The model's own token, in the place of the first wrong guess or after the last right one. */
  readonly own: string;
}

/** A text by speculative decoding. */
export interface Guessing {
  /** Tokens of the prompt. */
  readonly prompt: readonly string[];
  readonly rounds: readonly GuessedRound[];
  readonly tokens: number;
  /** True if they are the tokens of the loop, which needs one call for each. */
  readonly identical: boolean;
}

/** Generates with a draft, and without one. @param choice index into `DRAFTS` */
export async function guessing({ model, tokenizer, loadDraft }: Subject, choice: number): Promise<Guessing> {
  const which = DRAFTS[choice]!;
  const ids = tokenizer.encode(PROMPT);
  const options = greedy(32);
  const draft =
    which === "lookup"
      ? new PromptLookup()
      : new ModelDraft(
          which === "small" ? await loadDraft() : model.firstLayers(which),
          ids.length + options.maxGenLen,
        );
  let guesses: readonly number[] = [];
  const watched: Draft = {
    guess: async (...asked) => {
      const guessed = await draft.guess(...asked);
      guesses = guessed.map(({ id }) => id);
      return guessed;
    },
    truncate: (length) => draft.truncate(length),
    dispose: () => draft.dispose(),
  };
  const rounds: GuessedRound[] = [];
  const tokens: number[] = [];
  try {
    for await (const round of speculate(model, ids, watched, { ...options, guesses: GUESSES })) {
      tokens.push(...round.tokens);
      rounds.push({
        guesses: guesses.map((id) => tokenString(tokenizer, id)),
        accepted: round.accepted,
        own: tokenString(tokenizer, round.tokens.at(-1)!),
      });
    }
  } finally {
    draft.dispose();
  }
  const expected: number[] = [];
  for await (const { next } of steps(model, [ids], options)) expected.push(next[0]!.id);
  const prompt = ids.map((id) => tokenString(tokenizer, id));
  return { prompt, rounds, tokens: tokens.length, identical: `${tokens}` === `${expected}` };
}
