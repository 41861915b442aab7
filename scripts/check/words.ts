/**
 * Words that this project does not use, each with what to say instead. docs/glossary.md has the words that it does use.
 * Case does not matter, and the parts of a name such as `maxRoom` or `MAX_ROOM` are words of their own.
 */
const WORDS: readonly (readonly [not: RegExp, say: string])[] = [
  [/record(ed|er|ing)/, "graph mode, traced, tracer, saved trace"],
  [/(?<!tf\.|regex )engines?(?!"|\()/, "backend"],
  [/(?<!model[ _])cards?/, "GPU"],
  [/(?<!dot )products|matrix product|product of (two )?matrices/, "matmul"],
  [/rooms?/, "capacity, memory limit"],
  [/(?<!sentence[- ]?)pieces?/, "chunk, pre-token, delta, artifact"],
  [/fed|(?<!line )feeds?(?![-_ ]forward)|feeding/, "inputIds, passed, computed"],
  [/fillers?/, "padding token"],
  [/cells?/, "case"],
  [/output head/, "LM head"],
  [/(model|head|feed-forward) width/, "hidden size, head dim, intermediate size"],
  [/rows? of (a|the) batch|batch rows?|row \d+ (at|has|is)/, "sequence"],
  [/(model's|next tokens?'?s?|best) scores?|scores every token/, "logits"],
  [/hidden dim/, "intermediate size"],
  [/chooser/, "sampler"],
  [/(?<!no `?)prettier-ignore/, "nothing: Prettier decides the layout"],
  [/anew/, "again"],
  [/besides/, "also, other than"],
  [/in silence|quietly/, "silently"],
  [/whoever/, "the caller, the user"],
  [/harmless/, "escaped"],
  [/as far as/, "up to, what is needed of"],
  [/there twice/, "duplicate"],
  [/kv ?caching/, "useCache"],
  [/reading of (the |its )?weights|to read (the weights|all) once/, "weight-read time"],
  [/refus(e|es|ed|ing|als?)/, "reject, decline, status"],
  [/so many/, "the number itself: n bytes, up to n positions"],
  [/nobody|strangers?|owes?/, "no reader, untrusted, needs"],
  [/K\/V rows?/, "K/V pair"],
  [/, expected (an?|\$)(?! string to match)/, "must be …, got …"],
];

/** Files that name the words themselves, or what was so called in earlier versions. */
const UNCHECKED = /^(scripts\/check\/words|test\/scripts\/check\.test|docs\/glossary|CHANGELOG)\./;

/** The beginning of a doc comment that asks instead of saying what the thing is. */
const QUESTION = /\/\*\*(?:\s|\*)+(What|Where|How|Whether|Why|Who)\b/g;

/** Every rejected word in a file's text, as "FILE:LINE: …" with what to say instead. */
export function findRejectedWords(file: string, text: string): string[] {
  if (UNCHECKED.test(file)) return [];
  const words = text.replaceAll(/(?<=[a-z])(?=[A-Z])|_/g, " "); // "max Room" for `maxRoom`
  const found = WORDS.flatMap(([not, say]) => {
    const whole = new RegExp(`(?<![a-z])(?:${not.source})(?![a-z])`, "gi");
    return Array.from(words.matchAll(whole), ({ 0: word, index }) => ({ word, index, say: `, say ${say}` }));
  });
  for (const { 0: start, 1: word, index } of /\.tsx?$/.test(file) ? words.matchAll(QUESTION) : []) {
    const say = " at the beginning of a doc comment, say what it is";
    found.push({ word: word!, index: index + start.length, say });
  }
  return found.map(({ word, index, say }) => {
    const line = words.slice(0, index).split("\n").length;
    return `${file}:${line}: "${word}"${say}`;
  });
}
