import * as fc from "fast-check";

/** Values that do not belong into a field. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(0, -1, 1.5, 1e9, 1e9 + 1, 2 ** 31, 2 ** 53, 1e308, -1e-320),
  fc.constantFrom(
    "",
    "8",
    "../../etc/passwd",
    "/etc/passwd",
    "__proto__",
    "constructor",
    "\0",
    "a".repeat(100_000),
  ),
  fc.constantFrom<unknown>(null, true, [], {}, [[]], ["a", "b"], { type: "Sequence" }, { Regex: "(a+)+$" }),
  fc.jsonValue(),
);

/** Replaces, removes or adds a value anywhere in a JSON document. */
export const jsonDamage = fc.array(
  fc.record({
    path: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
    value: hostile,
    remove: fc.boolean(),
  }),
  { minLength: 1, maxLength: 2 },
);

type JsonDamage = typeof jsonDamage extends fc.Arbitrary<infer T> ? T : never;

/** The text of a damaged JSON document. */
export function damageJson(json: unknown, damages: JsonDamage): string {
  const root = { root: structuredClone(json) };
  for (const { path, value, remove } of damages) {
    let at = root as Record<string, unknown>;
    let key = "root";
    for (const step of path) {
      const next = at[key];
      if (typeof next !== "object" || next === null) break;
      const keys = Object.keys(next);
      at = next as Record<string, unknown>;
      key = keys[step % (keys.length + 1)] ?? "new";
    }
    if (remove) delete at[key];
    else {
      const own = structuredClone(value); // the same value may be drawn twice, and would then contain itself
      Object.defineProperty(at, key, { value: own, enumerable: true, configurable: true, writable: true });
    }
  }
  return JSON.stringify(root.root) ?? "";
}

// Without fast-check's bias, which would put nearly all damage at the beginning.
const anywhere = fc.noBias(fc.nat({ max: 2 ** 31 - 1 })).map((n) => n / 2 ** 31);

/** Changes, removes or repeats bytes anywhere. */
export const byteDamage = fc.array(
  fc.record({
    at: anywhere,
    remove: fc.nat(8),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc
        .constantFrom("[".repeat(5000), '{"a":', "\n\n", "IQ== 1\n", "999999999999")
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
  }),
  { minLength: 1, maxLength: 3 },
);

/** Overwrites bytes anywhere, so that lengths and offsets in the file stay correct. */
export const overwriting = fc.array(
  fc
    .tuple(anywhere, fc.uint8Array({ minLength: 1, maxLength: 4 }))
    .map(([at, insert]) => ({ at, remove: insert.length, insert })),
  { minLength: 1, maxLength: 3 },
);

type ByteDamage = typeof byteDamage extends fc.Arbitrary<infer T> ? T : never;

/** The bytes of a damaged file. */
export function damageBytes(bytes: Buffer, damages: ByteDamage): Buffer {
  return damages.reduce((damaged, { at, remove, insert }) => {
    const position = Math.floor(at * damaged.length);
    return Buffer.concat([damaged.subarray(0, position), insert, damaged.subarray(position + remove)]);
  }, bytes);
}

/** Inserts or replaces a line: its token is another line's or new, its rank another line's or that of its position. */
export const lineDamage = fc.array(
  fc.record({
    at: anywhere,
    token: fc.oneof(
      anywhere,
      fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 2, maxLength: 3 }),
    ),
    rank: fc.option(anywhere),
    instead: fc.boolean(),
  }),
  { minLength: 1, maxLength: 2 },
);

type LineDamage = typeof lineDamage extends fc.Arbitrary<infer T> ? T : never;

/** The text of a damaged tokenizer.model. */
export function damageLines(text: string, damages: LineDamage): string {
  const lines = text.split("\n");
  const part = (at: number, n: 0 | 1) => lines[Math.floor(at * lines.length)]!.split(" ")[n]!;
  for (const { at, token, rank, instead } of damages) {
    const base64 = typeof token === "number" ? part(token, 0) : btoa(token);
    lines.splice(Math.floor(at * lines.length), instead ? 1 : 0, `${base64} ${part(rank ?? at, 1)}`);
  }
  return lines.join("\n");
}
