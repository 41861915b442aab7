/**
 * Words that this project does not use, each with what to say instead and, where there is one, a sense in which the word
 * is right. docs/glossary.md has the words that it does use. Case does not matter, and the parts of a name such as
 * `maxRoom` or `MAX_ROOM` are words of their own.
 */
const WORDS: readonly (readonly [not: RegExp, say: string, but?: RegExp])[] = [
  // Terms
  [/record(ed|er|ing)/, "graph mode, traced, tracer, saved trace"],
  [/engines?/, "backend", /tf\.engine\(\)|"engines"|regex engine|--engine/],
  [/cards?/, "GPU", /model[ _]card/],
  [/processors?/, "CPU", /post[-_ ]?processors?/],
  [/products|matrix product|product of (two )?matrices/, "matmul", /dot products/],
  [/rooms?/, "capacity, memory limit"],
  [
    /turn(s|ed)/,
    "rotated, transposed, iterations, alternating",
    /turns? (\S+ ){0,4}(on|off|into)\b|between turns/,
  ],
  [/pieces?/, "chunk, pre-token, delta, artifact", /sentence[- ]?piece/],
  [/fed|feeds?|feeding/, "inputIds, passed, computed", /feed[-_ ]?forward|line feeds?/],
  [/fillers?/, "padding token"],
  [/blanks?/, "space, whitespace", /blank lines?|_blank/],
  [/cells?/, "case"],
  [/gaps?/, "margin", /[\w-]*gap:|without gaps/],
  [/output head/, "LM head"],
  [/(model|head|feed-forward) width/, "hidden size, head dim, intermediate size"],
  [/rows? of (a|the) batch|batch rows?|row \d+ (at|has|is)/, "sequence"],
  [/(model's|next tokens?'?s?|best) scores?|scores every token/, "logits"],
  [/forms? (of|that) checkpoints?|(Meta|Hugging Face)'s form/, "format"],
  [/reading of (the |its )?weights|to read (the weights|all) once/, "weight-read time"],
  // Names
  [/kvCaching|kv caching/, "useCache"],
  [/hidden dim/, "intermediate size"],
  [/chooser/, "sampler"],
  [/--engine/, "--backend"],
  [/--xla(?! (gpu|disable))/, "--execution xla"],
  [/npm run (types|lint|format|assemble|test:(fuzz|soak|page))/, "npm run check, npm run test:all"],
  [/prettier-ignore/, "nothing: Prettier decides the layout"],
  [/npm run (profile|growth|limits|against|card|report|write-strategies)/, "npm run bench"],
  // Style
  [/anew/, "again"],
  [/besides/, "also, other than"],
  [/in silence|quietly/, "silently"],
  [/whoever/, "the caller, the user"],
  [/harmless/, "escaped"],
  [/as far as/, "up to, what is needed of"],
  [/there twice/, "duplicate"],
];

/** Words that are right in some files, by the beginning of the files' paths. */
const ALLOWED: readonly (readonly [path: string, word: RegExp])[] = [
  ["src/generation/chat", /turns?/], // a chat has turns
  ["scripts/chat", /turns?/],
  ["test/generation/chat", /turns?/],
  ["test/scripts/chat", /turns?/],
  ["src/tokenizer/", /processors?/], // `post_processor` in tokenizer.json
  ["test/tokenizer/", /processors?/],
  ["CONTRIBUTING.md", /prettier-ignore/], // says that there is none
  ["fixtures/", /blanks|processors/], // texts of the tokenizer goldens, and a module of Python's `tokenizers`
];

/** Files that name the words themselves, or what was so called in earlier versions. */
const UNCHECKED = new Set([
  "scripts/check/words.ts",
  "test/scripts/check.test.ts",
  "docs/glossary.md",
  "CHANGELOG.md",
]);

/** The words as they are searched for: whole ones, in any case. */
const SEARCHED = WORDS.map(([not, say, but]) => ({
  not: new RegExp(`(?<![a-z])(?:${not.source})(?![a-z])`, "i"),
  say,
  but: but ? [new RegExp(but, "gi")] : [],
}));

/** The beginning of a doc comment that asks instead of saying what the thing is. */
const QUESTION = /\/\*\*(?:\s|\*)+(What|Where|How|Whether|Why|Who)\b/g;

/** Every rejected word in a file's text, as "FILE:LINE: …" with what to say instead. */
export function findRejectedWords(file: string, text: string): string[] {
  if (UNCHECKED.has(file)) return [];
  return [...findWords(file, text), ...(/\.tsx?$/.test(file) ? findQuestions(file, text) : [])];
}

function findQuestions(file: string, text: string): string[] {
  return [...text.matchAll(QUESTION)].map(({ 0: start, 1: word, index }) => {
    const line = text.slice(0, index + start.length).split("\n").length;
    return `${file}:${line}: "${word}" at the beginning of a doc comment, say what it is`;
  });
}

function findWords(file: string, text: string): string[] {
  const allowed = ALLOWED.filter(([path]) => file.startsWith(path)).map(([, word]) => new RegExp(word, "gi"));
  return text.split("\n").flatMap((line, i) =>
    SEARCHED.flatMap(({ not, say, but }) => {
      if (!not.test(wordsOf(line))) return []; // most lines have none
      const rest = [...allowed, ...but].reduce((kept, right) => kept.replaceAll(right, ""), line);
      const [found] = not.exec(wordsOf(rest)) ?? [];
      return found === undefined ? [] : [`${file}:${i + 1}: "${found}", say ${say}`];
    }),
  );
}

/** A line with its names in parts: "max Room" for `maxRoom`. */
const wordsOf = (line: string): string => line.replaceAll(/(?<=[a-z])(?=[A-Z])|_/g, " ");
