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
import { FedTokens, TokenLegend, TokenTable } from "./tokens.js";
import { Triangle } from "./triangle.js";
import type { ChapterId } from "./view.js";

/** A chapter: what to look at, and the views for it. */
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

/** What each chapter says and shows. */
export const CONTENT: Readonly<Record<ChapterId, Chapter>> = {
  tokens: {
    lede: (app) => {
      const lengths = app.run?.head.prompts.map(({ ids }) => ids.length) ?? [];
      return (
        <>
          <p>
            A model reads tokens: pieces of words, each with a number.{" "}
            {lengths.length > 1 && (
              <>
                These {lengths.length} prompts are {lengths.join(", ")} tokens long, and a batch must feed
                every row the same number of positions. So the first step feeds <b>{Math.min(...lengths)}</b>{" "}
                of each row, as many as the shortest prompt has.
              </>
            )}
          </p>
          <p>
            Each step decides one position more, in all rows. A row that is still inside its prompt keeps its
            own next token; after that the model chooses. Step on with <kbd>→</kbd> and watch the new token{" "}
            <b>▸</b> move through the text.
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
          A layer has two halves. In the first, attention, positions look at each other; in the second,
          feed-forward, each thinks on its own. Both add their result to the residual stream.
        </p>
        <p>
          Only attention asks about other positions, and of those it needs two things: their <b>key</b> and
          their <b>value</b>. Step on and compare the sizes: without the cache everything grows with the text,
          with it only what is looked up.
        </p>
      </>
    ),
    views: (app) => <LayerDiagram app={app} />,
  },
  without: {
    lede: () => (
      <>
        <p>
          Without a cache, each step feeds the whole text again. Every position’s key and value is computed
          anew in every layer, and comes out as it was: a key depends on its own token and on those before it,
          and they have not changed.
        </p>
        <p>Read across a line: a position’s key, how much the newest token takes of it, and its value.</p>
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
          With the cache, a step feeds only the new token. It computes one key and one value for each layer
          and key/value head, writes them behind those that are there, and looks the past up.
        </p>
        <p>
          The pictures of both modes are the same, and so are the tokens. What differs is how the lines came
          there: <b>computed again</b>, or <b>read</b>.
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
          One loop serves both modes: feed <code>prevPos:curPos</code>, choose a token, go on. With the cache{" "}
          <code>prevPos</code> follows <code>curPos</code>; without it, it stays 0. That is the whole
          difference outside of attention.
        </p>
        <p>
          Press <kbd>space</kbd> and watch the two curves part.
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
          <FedTokens key={String(cached)} app={app} cached={cached} />
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
        Time is paid for with memory. The cache holds a key and a value for every position, in every layer, of
        every key/value head and row. What it costs can be said before anything runs. It also saves some: a
        step without it makes larger intermediate results than one new token ever does.
      </p>
    ),
    views: (app) => <Bill app={app} />,
  },
  table: {
    lede: () => (
      <>
        <p>
          Without the cache the model does 29.5 times the arithmetic, at every batch size; the time follows it
          only in part. At batch 1 the card waits for weights, which a step reads once however many positions
          it feeds: 2.8 times the time. At batch 8 there is arithmetic enough to keep it busy, and the ratio
          grows to 14. (Why 16 rows with the cache took four times as long as 8, neither weights nor
          operations explain.)
        </p>
        <p>
          How near the time comes to the arithmetic depends on what a step waits for. One thread of
          WebAssembly waits for its own arithmetic, and comes near. A fast card may be done with its part
          before the host has issued the step’s hundreds of operations: there the cache saves work that would
          have cost little time.
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
        A wrong cache does not crash. It tells a slightly different tale. Plant one of the classic bugs: both
        modes get it, and are compared with the model as it is.
      </p>
    ),
    views: (app) => (
      <>
        <BreakIt app={app} />
        {app.view.bug && (
          <>
            {modes(app, (cached) => (
              <FedTokens key={String(cached)} app={app} cached={cached} />
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
