import type { VNode } from "preact";
import type { App } from "./app.js";

/** A cache that does more than keep everything: one figure of the chapter "After the cache". */
interface Topic {
  /** Name of its button. */
  readonly name: string;
  /** The text is the same as with the plain cache, or it is not. */
  readonly kind: "EXACT" | "LOSSY";
  /** Its one number. */
  readonly number: string;
  readonly caption: string;
  readonly figure: (app: App) => VNode;
}

/** The topics, in the order of the chapter's builds, which follow its question. */
export const TOPICS: readonly Topic[] = [];

/** The figure of the build's topic, with its mark. */
export function AfterTheCache({ app }: { app: App }): VNode {
  const topic = TOPICS[app.view.build - 1];
  return (
    <figure class="after">
      {topic && <p class="mark">{topic.kind}</p>}
      {topic?.figure(app)}
    </figure>
  );
}
