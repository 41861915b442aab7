import type { ComponentChildren, VNode } from "preact";
import type { App } from "./app.js";
import { TopicHeading, topicOfView } from "./after/topics.js";
import { Batch } from "./batch.js";
import { BreakIt, firstWrong, isBroken, score } from "./break-it.js";
import { CacheFigure } from "./cache.js";
import { type ChapterId, chapterOf, topicOf } from "./chapters.js";
import type { CodeId } from "./code-links.js";
import { Cost } from "./cost.js";
import { bytes, times, whole } from "./format.js";
import { Claim, Lanes } from "./lanes.js";
import { LoopFigure } from "./loop.js";
import { Memory } from "./memory.js";
import { bytesPerPosition, memoryBytes, MEMORY_MODELS, requestsThatFit } from "./memory-of.js";
import { gpuSpeedUp, intensityOf, savedOperations } from "./roofline-points.js";
import { SetupForm } from "./setup-form.js";
import { Tables } from "./tables.js";
import { LayerChoices } from "./transport.js";
import { Waste, wastedPercent } from "./waste.js";
import { changeBefore, Why, WhyText } from "./why.js";

/** A number that a chapter comes down to, and its unit or object. */
interface KeyNumber {
  readonly value: string;
  readonly caption: string;
}

/** A chapter: a question, its answer and number, at most 80 words, one figure, and the code that it is about. */
export interface Content {
  /** Replaces the chapter's title. */
  readonly heading?: (app: App) => ComponentChildren;
  readonly question?: (app: App) => ComponentChildren;
  readonly answer?: (app: App) => ComponentChildren;
  readonly number?: (app: App) => KeyNumber;
  readonly prose: (app: App) => ComponentChildren;
  readonly figure: (app: App) => VNode;
  readonly code: readonly CodeId[] | ((app: App) => readonly CodeId[]);
  /** Controls of the figure, beside the text. */
  readonly controls?: (app: App) => VNode;
}

const slice = (app: App, cached: boolean): readonly [prevPos: number, curPos: number] => {
  const step = cached ? app.pair?.cached : app.pair?.uncached;
  return step ? [step.prevPos, step.curPos] : [0, 0];
};

const digits = (value: number): string => value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0);

const plural = (count: number, name: string): string => `${whole(count)} ${name}${count === 1 ? "" : "s"}`;

/** Content of each chapter. */
export const CONTENT: Readonly<Record<ChapterId, Content>> = {
  start: {
    heading: (app) => <Claim app={app} />,
    question: () =>
      "A small Llama runs with a KV cache and without. Each step adds a token: a word or part of one.",
    answer: () =>
      "Same logits, the scores that choose a token. One side computes everything again in each step.",
    prose: () => null,
    figure: (app) => <Lanes app={app} />,
    code: ["switch"],
  },
  waste: {
    question: (app) => {
      const [, curPos] = slice(app, false);
      return `Step ${app.view.step} computes keys and values for ${curPos} tokens. How many are new?`;
    },
    answer: (app) => {
      const [, curPos] = slice(app, false);
      return `One. The other ${curPos - 1} were computed before, and come out the same.`;
    },
    number: (app) => ({
      value: `${wastedPercent(app).toFixed(0)} %`,
      caption: "of this work was done before",
    }),
    prose: (app) => (
      <>
        <p>Without a cache, each step passes the whole text through the model again.</p>
        <p>
          The model is a stack of layers. In each, <b>attention</b> compares a token’s <b>query</b>, a vector,
          with the <b>key</b> of each token up to it, and adds up their <b>values</b>, weighted by how well
          they match.
        </p>
        {app.answered && (
          <p>
            A step computes all these vectors, although only the newest token’s are new. The text grows by one
            token a step, so the work grows with the square of its length.
          </p>
        )}
      </>
    ),
    figure: (app) => <Waste app={app} />,
    code: ["loop", "newKeys"],
  },
  why: {
    question: () => "If a word is replaced, which keys and values change?",
    answer: (app) =>
      ({
        1: "Those of the word and of words after it. Everything before it stays.",
        2: "An early word changes nearly everything: only a common prefix can be shared.",
        3: "Queries are not kept: a query is used in its own step, and never again.",
        4: "RoPE rotates a key by its own position, once. Later tokens do not move it.",
      })[app.view.build],
    number: (app) =>
      app.view.build < 3
        ? { value: changeBefore(app) ?? "…", caption: "largest change before the word" }
        : { value: "1×", caption: app.view.build === 3 ? "each query is used" : "each key is rotated" },
    prose: (app) => <WhyText app={app} />,
    figure: (app) => <Why app={app} />,
    code: ["mask", "rotate"],
  },
  cache: {
    question: (app) => {
      const [, curPos] = slice(app, true);
      return `${curPos - 1} tokens are in the cache. How many keys and values does this step compute?`;
    },
    answer: (app) =>
      ({
        1: "One of each, appended to the cache. The others are read from it.",
        2: "The newest token’s query is compared with every key.",
        3: "Softmax turns the scores into weights that add up to 100 %.",
        4: "The values are added up by these weights. The result goes on to the next layer.",
      })[app.view.build],
    number: (app) => {
      const [prevPos, curPos] = slice(app, true);
      return { value: `${curPos - prevPos} of ${curPos}`, caption: "keys computed, the rest read" };
    },
    prose: () => (
      <>
        <p>
          A layer runs several attentions in parallel, its <b>heads</b>, each with vectors of its own. For
          each head the cache keeps two tables, K and V, with a row for each token. A step adds a row to each;
          its query reads all rows.
        </p>
        <p>
          The picture has one head’s numbers: blue is negative, amber positive. Several query heads share a
          pair of tables (grouped-query attention).
        </p>
      </>
    ),
    figure: (app) => <CacheFigure app={app} />,
    controls: (app) => <LayerChoices app={app} />,
    code: ["append", "switch", "weights", "capacity"],
  },
  loop: {
    question: () =>
      "The prompt has been passed to the model. How many tokens does the next step pass, in each mode?",
    answer: (app) => {
      const [a, b] = [true, false].map((cached) => {
        const [prevPos, curPos] = slice(app, cached);
        return curPos - prevPos;
      });
      return `With the cache ${plural(a!, "token")}, without it ${b}. One line of the loop makes the difference.`;
    },
    number: (app) => {
      const [prevPos, curPos] = slice(app, false);
      return { value: `1 : ${curPos - prevPos}`, caption: "tokens passed, with and without" };
    },
    prose: (app) => (
      <>
        <p>
          The first step, <b>prefill</b>, passes the prompt in both modes. Each later one is a{" "}
          <b>decode step</b>: pass tokens <code>prevPos:curPos</code>, from <code>prevPos</code> up to but not
          including <code>curPos</code>; sample the next token; repeat.
        </p>
        {app.answered && (
          <p>
            With the cache, <code>prevPos</code> moves on to <code>curPos</code>, because everything before is
            stored. Without it, <code>prevPos</code> stays 0. The model’s code is the same, and so are the
            tokens.
          </p>
        )}
      </>
    ),
    figure: (app) => <LoopFigure app={app} />,
    code: ["loop", "compare", "sampling"],
  },
  cost: {
    question: () =>
      `Llama 3.2 1B, 256 tokens in, 32 out: ${times(savedOperations())} fewer operations with the cache. Is it that much faster?`,
    answer: (app) =>
      ({
        1: "Prefill passes many tokens at once: much arithmetic for each byte of weights. It is compute-bound, or nearly.",
        2: "A decode step reads the same weights for one token. It is memory-bandwidth bound.",
        3: "A batch shares the weight reads: more operations per byte, at almost the same time a step.",
        4: "No. However few its operations, a decode step reads all weights. A batch shares these reads.",
      })[app.view.build],
    number: ({ view: { build } }) =>
      build < 4
        ? {
            value: digits(intensityOf(build === 1 ? "prefill" : "cached", build < 3 ? 1 : 16)),
            caption: `operations per byte ${["", "in prefill", "in decode", "at batch 16"][build]}`,
          }
        : { value: times(gpuSpeedUp(1)), caption: "faster at batch 1" },
    prose: (app) => (
      <>
        <p>
          A step is limited by arithmetic, or by reading the model’s weights and the cache from memory. The
          lines are these limits of two machines; the dots are measured steps.
        </p>
        {app.answered && (
          <p>
            Without the cache, decode steps are like prefills. With it they do little arithmetic, but still
            read all weights. So the cache pays most for long texts, big batches and slow arithmetic. For one
            generated token, or a short text on a fast GPU, it hardly pays.
          </p>
        )}
      </>
    ),
    figure: (app) => <Cost app={app} />,
    code: ["stepCost"],
  },
  memory: {
    question: (app) => {
      const { model, context } = app.view.memory;
      return `${MEMORY_MODELS[model]!.name}: how many requests of ${whole(context)} tokens fit into 80 GB?`;
    },
    answer: (app) =>
      app.view.build === 2
        ? "Query heads can share KV heads (GQA, MQA), or a compressed vector (MLA): bytes of one token."
        : `${plural(requestsThatFit(app.view.memory, 80), "request")} beside the weights. Beyond that, they must wait.`,
    number: ({ view: { build, memory } }) =>
      build === 2
        ? { value: bytes(bytesPerPosition(memory)), caption: "for each token" }
        : { value: bytes(memoryBytes(memory)), caption: `cache of ${plural(memory.batch, "request")}` },
    prose: () => (
      <>
        <p>
          The cache trades memory for arithmetic. It holds a key and a value for every token, layer and KV
          head, and it grows with each request. How many requests a server runs at once depends on it more
          than on the weights.
        </p>
        <p>
          Move the sliders: a long context costs as much as many requests; half the bits, or a quarter of the
          KV heads, cost half or a quarter. Weights are counted in 16 bits.
        </p>
      </>
    ),
    figure: (app) => <Memory app={app} />,
    code: ["cacheBytes", "predict"],
  },
  after: {
    heading: (app) => (
      <>
        <span class="mark">{chapterOf("after").mark}</span> <TopicHeading app={app} />
      </>
    ),
    question: (app) => topicOfView(app).question(app),
    answer: (app) => topicOfView(app).answers[topicOf("after", app.view.build).part]?.(app),
    number: (app) => topicOfView(app).number(app),
    prose: (app) => topicOfView(app).prose(),
    figure: (app) =>
      app.replaying ? (
        <p>A saved trace has no model to run: this chapter needs the bundled one.</p>
      ) : (
        topicOfView(app).figure(app)
      ),
    code: (app) => topicOfView(app).code,
  },
  break: {
    question: () => "Both modes get this bug. Which of them goes wrong?",
    answer: (app) => {
      const broken = [true, false].filter((cached) => isBroken(app, cached));
      if (!app.view.bug) return "Without a bug, both modes agree with the correct model.";
      const which =
        broken.length === 2
          ? "Both. Comparing them with each other may not find this bug."
          : broken[0] === undefined
            ? "Neither, so far."
            : `Only the mode ${broken[0] ? "with" : "without"} the cache.`;
      return [which, score(app)].filter(Boolean).join(" ");
    },
    number: (app) => {
      const first = [true, false].flatMap((cached) => firstWrong(app.steps, cached) ?? []);
      return first.length > 0
        ? { value: `step ${Math.min(...first)}`, caption: "first wrong token" }
        : { value: "0", caption: "wrong tokens so far" };
    },
    prose: () => (
      <>
        <p>
          A wrong cache does not crash. It generates slightly different text, or the same text from different
          logits.
        </p>
        <p>
          Choose one of the classic bugs and predict which mode it breaks: with the cache, without, or both.
          Then watch, and step forward. Both modes are compared with the correct model; a token that differs
          is crossed out.
        </p>
      </>
    ),
    figure: (app) => <BreakIt app={app} />,
    code: ["bugs"],
  },
  batch: {
    question: (app) => {
      const lengths = app.run?.header.prompts.map(({ ids }) => ids.length) ?? [];
      return `Prompts of ${lengths.join(", ")} tokens in one batch. How many tokens of each does prefill pass?`;
    },
    answer: (app) => {
      const shortest = Math.min(...(app.run?.header.prompts.map(({ ids }) => ids.length) ?? []));
      const [, curPos] = slice(app, true);
      return `${shortest}, as many as the shortest has. Then one position a step: now ${curPos} of each.`;
    },
    number: () => ({ value: "0", caption: "padding tokens in attention" }),
    prose: () => (
      <p>
        A batch computes the same number of positions for every sequence. A sequence that is still inside its
        prompt keeps the prompt’s next token instead of the model’s. So no padding enters attention. A
        sequence that meets a stop token has ended; the batch goes on for the others.
      </p>
    ),
    figure: (app) => <Batch app={app} />,
    code: ["ragged", "prompts"],
  },
  tables: {
    number: () => ({ value: times(savedOperations()), caption: "fewer operations" }),
    prose: () => (
      <p>
        How closely the time follows the operations depends on the bottleneck. On one thread of WebAssembly it
        is arithmetic. On a GPU at batch 1 it is memory bandwidth, or the host that issues the operations.
        Medians from <code>fixtures/results</code>.
      </p>
    ),
    figure: (app) => <Tables app={app} />,
    code: ["stepCost"],
  },
  traces: {
    number: (app) => ({ value: String(app.length), caption: "steps" }),
    prose: () => (
      <p>
        Every chapter shows the run that is chosen here: your own prompts on the bundled model, or a saved
        trace of another model. The address of the page has the whole state, so a slide can link to it.
      </p>
    ),
    figure: (app) => <SetupForm app={app} />,
    code: ["bos", "prompts"],
  },
};
