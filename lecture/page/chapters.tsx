import type { ComponentChildren, VNode } from "preact";
import type { App } from "./app.js";
import { Bill } from "./bill.js";
import { BreakIt } from "./break-it.js";
import { Candidates } from "./candidates.js";
import { CodeButton } from "./code-panel.js";
import { Counters } from "./counters.js";
import { Curve } from "./curve.js";
import { LayerDiagram } from "./layer-diagram.js";
import { MeasuredTable } from "./measured-table.js";
import { ModePanel } from "./mode-panel.js";
import { ResultTable } from "./result-table.js";
import { SetupForm } from "./setup-form.js";
import { InputTokens, TokenLegend, TokenTable } from "./tokens.js";
import { Triangle } from "./triangle.js";
import type { ChapterId } from "./view.js";

/** A chapter: an introduction and figures. */
export interface Chapter {
  readonly lede: (app: App) => ComponentChildren;
  readonly views: (app: App) => ComponentChildren;
}

const modes = (app: App, show: (cached: boolean) => VNode): ComponentChildren => (
  <div class="side-by-side">
    {app.view.mode !== "uncached" && show(true)}
    {app.view.mode !== "cached" && show(false)}
  </div>
);

/** Introduction and figures of each chapter. */
export const CONTENT: Readonly<Record<ChapterId, Chapter>> = {
  tokens: {
    lede: (app) => {
      const lengths = app.run?.header.prompts.map(({ ids }) => ids.length) ?? [];
      return (
        <>
          <p>
            A model reads tokens: words or parts of words, each with an id.{" "}
            {lengths.length > 1 && (
              <>
                These {lengths.length} prompts are {lengths.join(", ")} tokens long, and a batch needs the
                same number of positions from every sequence. So prefill passes the first{" "}
                <b>{Math.min(...lengths)}</b> tokens of each, as many as the shortest prompt has.
              </>
            )}
          </p>
          <p>
            Each step adds one position to all sequences. A sequence that is still inside its prompt keeps the
            prompt’s next token; after that, the model’s choice is appended. Step forward with <kbd>→</kbd>{" "}
            and watch the new token <b>▸</b> move through the text.
          </p>
        </>
      );
    },
    views: (app) => (
      <>
        <TokenLegend kinds={["past", "new", "ahead"]} />
        <TokenTable app={app} />
        <SetupForm app={app} />
        <p class="links">
          <CodeButton app={app} id="ragged" />
          <CodeButton app={app} id="bos" />
          <CodeButton app={app} id="prompts" />
        </p>
      </>
    ),
  },
  layer: {
    lede: () => (
      <>
        <p>
          A layer has two halves. Attention mixes positions; the feed-forward network then transforms each
          position independently. Both add their result to the residual stream.
        </p>
        <p>
          Only attention uses other positions, and it needs two things from each: its <b>key</b> and its{" "}
          <b>value</b>. Step forward and compare the shapes: without the cache, all of them grow with the
          text; with it, only the keys, values and attention weights do.
        </p>
      </>
    ),
    views: (app) => <LayerDiagram app={app} />,
  },
  without: {
    lede: () => (
      <>
        <p>
          Without the cache, each step passes the whole prefix again. Every position’s key and value is
          recomputed in every layer, with the same result: a key depends only on its own token and on those
          before it, and they have not changed.
        </p>
        <p>Each line shows a position’s key, the newest token’s attention weight for it, and its value.</p>
      </>
    ),
    views: (app) => (
      <div class="side-by-side">
        <ModePanel key="uncached" app={app} cached={false} />
        <Triangle app={app} />
      </div>
    ),
  },
  with: {
    lede: () => (
      <>
        <p>
          With the cache, a decode step passes only the new token. It computes one key and one value for each
          layer and KV head, appends them to the cache, and reads those of the past from it.
        </p>
        <p>
          The pictures of both modes are the same, and so are the tokens. The only difference is where the
          keys and values come from: <b>recomputed</b>, or <b>read from the cache</b>.
        </p>
      </>
    ),
    views: (app) => (
      <>
        {modes(app, (cached) => (
          <ModePanel key={String(cached)} app={app} cached={cached} />
        ))}
        <Counters app={app} />
      </>
    ),
  },
  loop: {
    lede: () => (
      <>
        <p>
          One loop serves both modes: pass <code>prevPos:curPos</code> to the model, sample a token, repeat.
          With the cache, <code>prevPos</code> follows <code>curPos</code>; without it, it stays 0. Outside of
          attention, nothing else differs.
        </p>
        <p>
          Press <kbd>space</kbd> and watch the two curves diverge.
        </p>
      </>
    ),
    views: (app) => (
      <>
        <div class="side-by-side">
          <Curve app={app} />
          <Candidates app={app} />
        </div>
        <TokenLegend kinds={["past", "new", "kept"]} />
        {modes(app, (cached) => (
          <InputTokens key={String(cached)} app={app} cached={cached} />
        ))}
        <Counters app={app} />
        <p class="links">
          <CodeButton app={app} id="loop" />
          <CodeButton app={app} id="compare" />
        </p>
      </>
    ),
  },
  bill: {
    lede: () => (
      <p>
        The cache trades memory for time. It holds a key and a value for every position, layer, KV head and
        sequence, so its size is known in advance. It also saves memory: without it, the activations of a step
        are those of the whole prefix, not of one token.
      </p>
    ),
    views: (app) => <Bill app={app} />,
  },
  table: {
    lede: () => (
      <>
        <p>
          Without the cache the model does 29.5 times the arithmetic, at every batch size; the time grows
          less. At batch 1 the GPU is memory-bandwidth bound: a step reads the weights once, however many
          positions it computes, and the ratio is 2.8. At batch 8 there is enough arithmetic to keep the GPU
          busy, and the ratio grows to 14. (Neither effect explains why batch 16 with the cache took four
          times as long as batch 8.)
        </p>
        <p>
          How closely the time follows the arithmetic depends on the bottleneck. On one thread of WebAssembly
          it is the arithmetic itself, and the two ratios are close. A fast GPU may finish before the host has
          issued the step’s hundreds of operations: there, the cache saves work that takes little time.
        </p>
      </>
    ),
    views: (app) => (
      <>
        <ResultTable />
        <MeasuredTable app={app} />
        <Counters app={app} />
      </>
    ),
  },
  break: {
    lede: () => (
      <p>
        A wrong cache does not crash; it generates slightly different text. Plant one of the classic bugs:
        both modes get it, and both are compared with the correct model.
      </p>
    ),
    views: (app) => (
      <>
        <BreakIt app={app} />
        {app.view.bug && (
          <>
            {modes(app, (cached) => (
              <InputTokens key={String(cached)} app={app} cached={cached} />
            ))}
            {modes(app, (cached) => (
              <ModePanel key={String(cached)} app={app} cached={cached} />
            ))}
          </>
        )}
      </>
    ),
  },
};
