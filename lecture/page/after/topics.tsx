import type { ComponentChildren } from "preact";
import type { App } from "../app.js";
import { topicOf } from "../chapters.js";
import { BATCHED } from "./batching.js";
import { QUANTIZED } from "./bits.js";
import { PAGED } from "./blocks.js";
import { CHUNKED } from "./chunks.js";
import { SPECULATIVE } from "./guesses.js";
import { KINDS, Mark } from "./kinds.js";
import type { Topic } from "./topic.js";
import { SLIDING } from "./window.js";

/** The topics by the names that the builds of the chapter have. */
export const TOPICS: Readonly<Record<string, Topic>> = {
  chunks: CHUNKED,
  blocks: PAGED,
  window: SLIDING,
  bits: QUANTIZED,
  batching: BATCHED,
  guesses: SPECULATIVE,
  kinds: KINDS,
};

/** The topic of the chapter "After the cache" that a build belongs to. */
export const topicAt = (build: number): Topic => TOPICS[topicOf("after", build).name]!;

/** The shown topic. */
export const topicOfView = (app: App): Topic => topicAt(app.view.build);

/** The chapter's title: the topic, and its kind. */
export function TopicHeading({ app }: { app: App }): ComponentChildren {
  const { name, kind } = topicOfView(app);
  return (
    <>
      {name} {kind && <Mark kind={kind} />}
    </>
  );
}
