import type { VNode } from "preact";
import { CHUNKS, DRAFTS, ROUNDINGS, WINDOWS } from "../../after/settings.js";
import type { App } from "../app.js";
import { difference } from "../format.js";
import type { Topic } from "./topic.js";

interface Row {
  readonly name: string;
  readonly kind: "EXACT" | "LOSSY";
  /** The evidence: largest logit difference, equal tokens, or what is lost. */
  readonly measured: (app: App) => string | undefined;
  /** The part that a lossy one drops. */
  readonly lost: string;
}

const logits = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : `logits differ by ${difference(value)}`;
const tokens = (identical: boolean | undefined): string | undefined =>
  identical === undefined ? undefined : identical ? "tokens are identical" : "tokens differ";
const top = (loss: { readonly sameTop1: number } | undefined): string | undefined =>
  loss && `${(100 * loss.sameTop1).toFixed(0)} % same top token`;

const SMALL_WINDOW = 3;

/** All topics by what they promise, with what was measured on this machine. */
const ROWS: readonly Row[] = [
  {
    name: "chunked prefill",
    kind: "EXACT",
    lost: "nothing",
    measured: (app) => {
      const [whole, chunk] = [0, CHUNKS.length - 1].map((i) => app.demo("chunkedPrefill", i)?.logits);
      if (!whole || !chunk) return undefined;
      return logits(whole.reduce((most, one, i) => Math.max(most, Math.abs(one - chunk[i]!)), 0));
    },
  },
  {
    name: "pages, shared prefixes",
    kind: "EXACT",
    lost: "nothing",
    measured: (app) => logits(app.demo("sharedBlocks", 0)?.largestDifference),
  },
  {
    name: `window of ${WINDOWS[SMALL_WINDOW].window}`,
    kind: "LOSSY",
    lost: "old positions",
    measured: (app) => top(app.demo("windowLoss", SMALL_WINDOW)),
  },
  {
    name: `${ROUNDINGS[1].bits} bits, keys per ${ROUNDINGS[1].keys}`,
    kind: "LOSSY",
    lost: "small differences",
    measured: (app) => top(app.demo("rounding", 1)?.loss),
  },
  {
    name: "continuous batching",
    kind: "EXACT",
    lost: "nothing",
    measured: (app) => tokens(app.demo("batching", 0)?.identical),
  },
  {
    name: "speculative decoding",
    kind: "EXACT",
    lost: "nothing",
    measured: (app) => tokens(app.demo("guessing", DRAFTS.indexOf("small"))?.identical),
  },
];

function KindsFigure({ app }: { app: App }): VNode {
  return (
    <figure class="kinds">
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              against the plain cache
            </th>
            <th scope="col">kind</th>
            <th scope="col" class="left">
              lost
            </th>
            <th scope="col" class="left">
              measured in this page
            </th>
          </tr>
        </thead>
        <tbody>
          {ROWS.map(({ name, kind, lost, measured }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{app.answered ? <Mark kind={kind} /> : "?"}</td>
              <td class="left">{app.answered ? lost : "?"}</td>
              <td class="left">{app.answered ? (measured(app) ?? "…") : "?"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** The badge of a topic: exact or lossy. */
export function Mark({ kind }: { kind: "EXACT" | "LOSSY" }): VNode {
  return <span class={kind === "EXACT" ? "kind exact" : "kind lossy"}>{kind}</span>;
}

/** Which of them give the tokens of the plain cache. */
export const KINDS: Topic = {
  name: "Exact or lossy",
  menu: "Kinds",
  kind: undefined,
  minutes: 5,
  notes: [
    "A vote for each row: exact or lossy?",
    "Exact ones can be switched on without asking anyone. For a lossy one, somebody must decide what may be lost.",
    "They combine: servers run pages, continuous batching, chunks and guesses together, and often fewer bits.",
  ],
  question: () => "Which of these give the same tokens as the plain cache?",
  answers: {
    1: () => "Those that move, share or reorder work are exact. Those that drop positions or bits are lossy.",
  },
  number: () => ({
    value: `${ROWS.filter(({ kind }) => kind === "EXACT").length} of ${ROWS.length}`,
    caption: "are exact",
  }),
  prose: () => (
    <>
      <p>
        An <b>exact</b> technique gives the tokens of the plain cache, and its logits up to rounding. A test
        can prove that. A <b>lossy</b> one does not: how much is lost must be measured, on each model and
        text.
      </p>
      <p>A sliding window is exact while nothing was dropped, and for models that were trained with it.</p>
    </>
  ),
  figure: (app) => <KindsFigure app={app} />,
  code: ["asPromised"],
};
