import type { VNode } from "preact";
import type { App } from "./app.js";
import { AttentionFormula } from "./formula.js";
import type { Changes } from "../changed-keys.js";
import { EXTRA_TOKENS, SENTENCE } from "./sentence.js";

/** Words that the builds change: a late one and an early one. */
const LATE = 9;
const EARLY = 3;

/** Index of the changed word. */
const changedWord = ({ view: { word, build } }: App): number =>
  word >= 0 && word < SENTENCE.length ? word : build >= 2 ? EARLY : LATE;

const text = (changed: number): string =>
  SENTENCE.map(([word, other], i) => (i === changed ? other : word)).join(" ");

/** Changes of all keys and values between the text and the edited one, [layer][word]. */
function changesOf(app: App): Changes | undefined {
  const changes = app.compare(text(-1), text(changedWord(app)));
  // The first word has three tokens: its change is the largest of theirs.
  return changes?.map((layer) =>
    layer.slice(EXTRA_TOKENS).with(0, Math.max(...layer.slice(0, EXTRA_TOKENS + 1))),
  );
}

/** Largest change of a key or value before the edited word; "–" if it is the first one. */
export function changeBefore(app: App): string | undefined {
  const at = changedWord(app);
  if (at === 0) return "–";
  const before = changesOf(app)?.flatMap((layer) => layer.slice(0, at));
  return before && Math.max(...before).toFixed(1);
}

/** The chapter's text: about the mask, the queries or the rotation. */
export function WhyText({ app }: { app: App }): VNode {
  if (app.view.build === 3) {
    return (
      <p>
        A step needs only the newest token’s query, which is compared with all keys. What an earlier token’s
        query found is already in that token’s keys and values of the layers above, and these are kept.
      </p>
    );
  }
  if (app.view.build === 4) {
    return (
      <p>
        Attention must know where tokens are. <b>RoPE</b>, rotary position embedding, rotates pairs of numbers
        in each key by an angle that is proportional to its position, and queries likewise. A score then
        depends on the distance between the two. A token’s position never changes, so the rotated key can be
        kept.
      </p>
    );
  }
  return (
    <>
      <p>
        Attention is <b>causal</b>: a token attends to itself and to tokens before it, never to later ones. So
        nothing that a layer computes for it, its key and value included, depends on what follows.
      </p>
      <AttentionFormula />
      <p>
        q is the token’s query; K and V are all keys and values up to it; D is their size.{" "}
        {app.answered &&
          "So keeping them is exact, not an approximation. Click on a word: the model runs on both texts."}
      </p>
    </>
  );
}

/** Each word of a text, with the changes of its keys and values in every layer when one word is replaced. */
export function Why({ app }: { app: App }): VNode {
  const { build } = app.view;
  const changed = changedWord(app);
  const changes = app.answered ? changesOf(app) : undefined;
  const layers = app.run?.header.config.nLayers ?? 5;
  const queries = build === 3;
  const rope = build === 4;
  return (
    <figure class="why">
      {app.replaying ? (
        <p>A saved trace has no model to run: this chapter needs the bundled one.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col" class="left">
                {app.answered && !queries && !rope ? "change a word" : "text"}
              </th>
              {queries ? (
                <>
                  <th scope="col">query</th>
                  <th scope="col">key</th>
                  <th scope="col">value</th>
                </>
              ) : rope ? (
                <>
                  <th scope="col">its key’s angle, radians</th>
                  <th scope="col">a step later</th>
                  <th scope="col">10 steps later</th>
                </>
              ) : (
                Array.from({ length: layers }, (_, layer) => (
                  <th key={layer} scope="col">
                    <span class="wide">layer </span>
                    {layer}
                  </th>
                ))
              )}
            </tr>
          </thead>
          <tbody>
            {SENTENCE.map(([word, other], i) => (
              <tr key={i}>
                <th scope="row">
                  <Word app={app} word={word} other={other} index={i} changed={changed} />
                </th>
                {queries ? (
                  <Roles last={i === SENTENCE.length - 1} />
                ) : rope ? (
                  <Rotation position={i + EXTRA_TOKENS} />
                ) : (
                  Array.from({ length: layers }, (_, layer) => (
                    <Change key={layer} value={changes?.[layer]?.[i]} />
                  ))
                )}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </figure>
  );
}

interface WordProps {
  readonly app: App;
  readonly word: string;
  readonly other: string;
  readonly index: number;
  readonly changed: number;
}

/** A word, which a click replaces by another one. */
function Word({ app, word, other, index, changed }: WordProps): VNode {
  const edits = app.answered && app.view.build < 3;
  if (!edits) return <span class="word">{word}</span>;
  const now = index === changed;
  return (
    <button
      type="button"
      class={now ? "word changed" : "word"}
      aria-pressed={now}
      title={`${word} → ${other}`}
      onClick={() => app.show({ word: index })}
    >
      {now ? (
        <>
          <del>{word}</del> {other}
        </>
      ) : (
        word
      )}
    </button>
  );
}

/** Largest change of a word's key and value in one layer. */
function Change({ value }: { value: number | undefined }): VNode {
  if (value === undefined) return <td class="change">?</td>;
  const changed = value > 1e-4; // more than rounding
  return (
    <td class={changed ? "change new" : "change same"}>{value.toFixed(changed && value < 0.05 ? 3 : 1)}</td>
  );
}

/** The use of a position's query, key and value in the newest step. */
function Roles({ last }: { last: boolean }): VNode {
  return (
    <>
      <td class={last ? "role new" : "role unused"}>{last ? "used now" : "not again"}</td>
      <td class={last ? "role new" : "role kept"}>{last ? "used from now on" : "used again"}</td>
      <td class={last ? "role new" : "role kept"}>{last ? "used from now on" : "used again"}</td>
    </>
  );
}

/** A key's rotation in the first pair of channels: one radian for each position, whatever is appended later. */
function Rotation({ position }: { position: number }): VNode {
  return (
    <>
      <td class="rotation new">
        <svg viewBox="-1.1 -1.1 2.2 2.2" aria-hidden="true">
          <circle r="1" />
          <path d={`M0 0L${Math.cos(position).toFixed(3)} ${(-Math.sin(position)).toFixed(3)}`} />
        </svg>{" "}
        {position}
      </td>
      <td class="role kept">stays {position}</td>
      <td class="role kept">stays {position}</td>
    </>
  );
}
