/**
 * True if a guess is accepted.
 *
 * @param p    probabilities of all tokens by the model
 * @param q    probabilities by the draft, from which the guess was drawn
 * @param draw uniform in [0, 1)
 */
export function accepts(p: readonly number[], q: readonly number[], guess: number, draw: number): boolean {
  // BEGIN SOLUTION
  // START: todo(`The draft guesses token ${guess} with probability ${q[guess]}, the model has ${p[guess]}; yours to compare with ${draw}.`);
  return draw < Math.min(1, p[guess]! / q[guess]!);
  // END SOLUTION
}

/** The distribution of the token in place of a rejected guess. */
export function afterRejection(p: readonly number[], q: readonly number[]): number[] {
  // BEGIN SOLUTION
  // START: todo(`Which of the ${p.length} tokens does the draft guess too rarely?`);
  const rest = p.map((value, token) => Math.max(0, value - q[token]!));
  const total = rest.reduce((sum, value) => sum + value, 0);
  return rest.map((value) => value / total);
  // END SOLUTION
}
