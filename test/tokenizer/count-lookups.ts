import { expect } from "chai";

/** Calls of `Map.prototype.get` while a function runs: all merges, ours and the libraries', look ranks up in Maps. */
function countLookups(run: () => void): number {
  const prototype: Pick<Map<unknown, unknown>, "get"> = Map.prototype;
  const { get } = prototype;
  let lookups = 0;
  prototype.get = function (this: Map<unknown, unknown>, key: unknown): unknown {
    lookups++;
    return get.call(this, key);
  };
  try {
    run();
  } finally {
    prototype.get = get;
  }
  return lookups;
}

/** Fails if a function that encodes a text of a length needs more than 2.5 times the lookups for twice the length. */
export function expectLinear(encode: (length: number) => void, length = 2800): void {
  encode(length); // makes what is made for the first text
  const [once, twice] = [countLookups(() => encode(length)), countLookups(() => encode(2 * length))];
  expect(once, "lookups").to.be.above(0);
  expect(twice / once, "lookups for twice the length").to.be.below(2.5);
}
