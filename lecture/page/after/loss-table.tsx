import type { VNode } from "preact";
import type { CacheComparison } from "../../../src/generation/compare-caches.js";
import type { App } from "../app.js";

/** A divergence in nats, to two digits. */
const nats = (value: number): string => (value < 1e-6 ? "0" : value.toFixed(value < 0.1 ? 4 : 2));

type LossyDemo = "windowLoss" | "rounding";

/** The comparison of one setting with the plain cache. */
function lossOf(app: App, demo: LossyDemo, choice: number): CacheComparison | undefined {
  return demo === "rounding" ? app.demo("rounding", choice)?.loss : app.demo("windowLoss", choice);
}

/** The divergence of one setting, as a chapter's number. */
export function lossNumber(app: App, demo: LossyDemo, choice: number, which: string) {
  const loss = lossOf(app, demo, choice);
  return { value: loss ? nats(loss.divergence) : "…", caption: `nats of KL, ${which}` };
}

interface Props {
  readonly app: App;
  readonly demo: LossyDemo;
  /** Heading of the settings. */
  readonly caption: string;
  /** The settings in the demonstration's order. */
  readonly names: readonly string[];
  /** A property of each setting, with its heading. */
  readonly own?: { readonly heading: string; readonly of: (choice: number) => string };
}

/** The loss of each setting of a lossy cache, on a text that the plain cache generated. */
export function LossTable({ app, demo, caption, names, own }: Props): VNode {
  const losses = names.map((_, i) => lossOf(app, demo, i));
  const most = Math.max(...losses.map((loss) => loss?.divergence ?? 0), 1e-9);
  return (
    <figure class="losses">
      <table>
        <thead>
          <tr>
            <th scope="col" class="left">
              {caption}
            </th>
            {own && <th scope="col">{own.heading}</th>}
            <th scope="col" class="left">
              KL divergence, nats
            </th>
            <th scope="col">same top token</th>
            <th scope="col">perplexity</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">plain cache</th>
            {own && <td>÷ 1</td>}
            <td class="left">0</td>
            <td>100 %</td>
            <td>{losses.find(Boolean)?.perplexity.plain.toFixed(2) ?? "…"}</td>
          </tr>
          {losses.map((loss, i) => (
            <tr key={names[i]}>
              <th scope="row">{names[i]}</th>
              {own && <td>{own.of(i)}</td>}
              <td class="left">
                <i class="meter wrong" style={{ width: `${(50 * (loss?.divergence ?? 0)) / most}%` }} />{" "}
                {loss ? nats(loss.divergence) : "…"}
              </td>
              <td>{loss ? `${(100 * loss.sameTop1).toFixed(0)} %` : "…"}</td>
              <td>{loss?.perplexity.cache.toFixed(2) ?? "…"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <figcaption class="only-prose">
        KL divergence: how far the probabilities of the next token are from those with the plain cache; 0 is
        equal. Perplexity: how much a text of the plain cache surprises the model; less is better.
      </figcaption>
    </figure>
  );
}
