import type { VNode } from "preact";
import type { GuessedRound, Guessing } from "../../after/guesses.js";
import { DRAFTS, GUESSES } from "../../after/settings.js";
import type { App } from "../app.js";
import { label } from "../tokens.js";
import { Choices, choiceOf } from "./choices.js";
import { part, type Topic } from "./topic.js";

const NAMES = DRAFTS.map((draft) =>
  draft === "small" ? "small model" : draft === "lookup" ? "look-up" : `first ${draft} of 5 layers`,
);

const demo = (app: App): Guessing | undefined => app.demo("guessing", choiceOf(app, DRAFTS));

/** Index of the first round in which the model accepts some guesses and rejects one, else of the first with a guess, else 0. */
const example = ({ rounds }: Guessing): number => {
  const mixed = rounds.findIndex(({ guesses, accepted }) => accepted > 0 && accepted < guesses.length);
  return Math.max(0, mixed >= 0 ? mixed : rounds.findIndex(({ guesses }) => guesses.length > 0));
};

function GuessesFigure({ app }: { app: App }): VNode {
  const guessing = demo(app);
  if (!guessing) return <figure class="guesses">Computing…</figure>;
  const one = part(app) < 2;
  const first = one ? example(guessing) : 0;
  const rounds = guessing.rounds.slice(first, one ? first + 1 : undefined);
  return (
    <figure class={one ? "guesses one" : "guesses"}>
      <Choices app={app} name="draft" options={NAMES} />
      <p class="rounds">
        {textBefore(guessing, first).map((token, i) => (
          <span key={`text ${i}`}>{label(token)}</span>
        ))}
        {rounds.map((round, i) => (
          <Round key={i} round={round} judged={app.answered} />
        ))}
      </p>
      <p class="legend">
        <span>
          <span class="guess accepted">accepted</span>
        </span>
        <span>
          <span class="guess rejected">rejected</span>
        </span>
        <span>
          <span class="guess own">the model’s own</span>
        </span>
        {!one && (
          <span>
            {guessing.rounds.length} calls for {guessing.tokens} tokens,{" "}
            {guessing.identical ? "identical to those without a draft" : "which differ"}
          </span>
        )}
      </p>
    </figure>
  );
}

/** The prompt and the tokens of the rounds before one. */
const textBefore = ({ prompt, rounds }: Guessing, round: number): readonly string[] => [
  ...prompt.slice(1),
  ...rounds.slice(0, round).flatMap(({ guesses, accepted, own }) => guesses.slice(0, accepted).concat(own)),
];

/** The guesses of one forward pass: those that the model confirms, those that it does not, and its own token. */
function Round({
  round: { guesses, accepted, own },
  judged,
}: {
  round: GuessedRound;
  judged: boolean;
}): VNode {
  return (
    <span class="round">
      {guesses.map((guess, i) => (
        <span key={i} class={judged ? `guess ${i < accepted ? "accepted" : "rejected"}` : "guess"}>
          {label(guess)}
        </span>
      ))}
      {judged && <span class="guess own">{label(own)}</span>}
    </span>
  );
}

/** Several tokens for one forward pass. */
export const SPECULATIVE: Topic = {
  name: "Speculative decoding",
  menu: "Guesses",
  kind: "EXACT",
  minutes: 6,
  notes: [
    "On a GPU, a forward pass of a large model takes about as long for five tokens as for one: it reads the weights once.",
    "The cache takes part: it stores the guesses’ keys and values, and drops those of the wrong ones.",
    "The small model was distilled: trained to give the large one’s probabilities. Four of five layers cost almost the whole model.",
    "A draft that is often wrong costs time, never correctness. Look-up needs a text that repeats itself.",
    "Sampling: a guess is accepted with probability min(1, p/q), and the distribution stays the model’s.",
  ],
  question: () => `A draft guesses up to ${GUESSES} tokens. How can the model check them all at once?`,
  answers: {
    1: () => "One pass over all of them, as in prefill. Guesses up to the first wrong one are kept.",
    2: () => "Each box is one forward pass of the model, and ends with a token of its own.",
  },
  number: (app) => {
    const guessing = demo(app);
    if (!guessing) return { value: "…", caption: "" };
    if (part(app) < 2) {
      const { accepted, guesses } = guessing.rounds[example(guessing)]!;
      return { value: `${accepted} of ${guesses.length}`, caption: "guesses accepted" };
    }
    return { value: (guessing.tokens / guessing.rounds.length).toFixed(2), caption: "tokens for each call" };
  },
  prose: () => (
    <>
      <p>
        A decode step reads all weights for one token. <b>Speculative decoding</b> lets a cheap draft guess
        several tokens, here a model of one layer; the large model computes them in one pass, as a small
        prefill.
      </p>
      <p>
        A guess counts if it is the token that the model would have chosen. At the first wrong one, the
        model’s own token takes its place, and the cache is truncated. So the text is the same, whatever the
        draft.
      </p>
    </>
  ),
  figure: (app) => <GuessesFigure app={app} />,
  code: ["speculate", "judge"],
};
