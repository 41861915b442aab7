import { argMax, nucleusOf, type SamplingOptions, uniform } from "./sampling.js";

/** A guessed token, and the probabilities, V of them, that it was drawn from; undefined if it was certain. */
export interface Guess {
  readonly id: number;
  readonly probabilities?: Float64Array | undefined;
}

/** The token at a position, and whether it is the guess. */
export interface Decision {
  readonly id: number;
  readonly accepted: boolean;
}

// Independent random numbers at one position, where `uniform` has an index of a sequence.
const [OWN, ACCEPT, DRAFT] = [0, 1, 2];

/**
 * Decides about a guess. Greedy decoding accepts it if it is the model's argmax. Sampling accepts a guess of probability q
 * by the draft and p by the model with probability min(1, p/q); after a rejection, the token is drawn from
 * max(0, p - q). The token then has the model's own distribution, whatever the draft (Leviathan et al. 2023, theorem in
 * appendix A.1).
 *
 * @param logits   the model's, V of them
 * @param guess    without one, the token is the model's own
 * @param position that is decided
 */
export function decide(
  logits: Float32Array,
  guess: Guess | undefined,
  position: number,
  options: SamplingOptions,
): Decision {
  const { temperature, seed } = options;
  if (temperature === 0) {
    const id = argMax(logits);
    return { id, accepted: id === guess?.id };
  }
  const p = distribution(logits, options);
  if (!guess) return { id: drawn(p, uniform(seed, OWN, position)), accepted: false };
  const q = guess.probabilities ?? p.map((_, id) => (id === guess.id ? 1 : 0));
  const rest = p.map((value, id) => Math.max(0, value - q[id]!));
  const isSame = rest.every((value) => value === 0); // p = q, up to rounding
  if (isSame || uniform(seed, ACCEPT, position) * q[guess.id]! < p[guess.id]!) {
    return { id: guess.id, accepted: true };
  }
  return { id: drawn(rest, uniform(seed, OWN, position)), accepted: false };
}

/** A draft's guess at a position, chosen as the model chooses: the argmax, or a draw from the same nucleus. */
export function guessFrom(logits: Float32Array, position: number, options: SamplingOptions): Guess {
  if (options.temperature === 0) return { id: argMax(logits) };
  const probabilities = distribution(logits, options);
  return { id: drawn(probabilities, uniform(options.seed, DRAFT, position)), probabilities };
}

/** The probability of each token to be sampled, V of them: 0 outside the nucleus. */
export function distribution(logits: Float32Array, options: SamplingOptions): Float64Array {
  const { ids, weights, mass } = nucleusOf(logits, options);
  const probabilities = new Float64Array(logits.length);
  for (const id of ids) probabilities[id] = weights[id]! / mass;
  return probabilities;
}

/** Draws a token from weights that need not sum to 1. */
function drawn(weights: Float64Array, draw: number): number {
  let left = draw * weights.reduce((sum, weight) => sum + weight, 0);
  const id = weights.findIndex((weight) => (left -= weight) < 0);
  return id >= 0 ? id : weights.findLastIndex((weight) => weight > 0); // rounding
}
