import type { ComponentChildren, VNode } from "preact";
import type { App } from "../app.js";
import { topicOf } from "../chapters.js";
import type { CodeId } from "../code-links.js";

/** A topic of the chapter "After the cache", in the order of its builds in chapters.ts: a question, then its answers. */
export interface Topic {
  readonly name: string;
  /** Name of its button. */
  readonly menu: string;
  /** Same tokens and logits as with the plain cache, or not; undefined for the summary. */
  readonly kind: "EXACT" | "LOSSY" | undefined;
  /** Of the second lecture. */
  readonly minutes: number;
  /** For the lecturer. */
  readonly notes: readonly string[];
  readonly question: (app: App) => string;
  /** By the number of the topic's build, from 1. */
  readonly answers: Readonly<Record<number, (app: App) => string>>;
  /** Its one number, measured. */
  readonly number: (app: App) => { readonly value: string; readonly caption: string };
  /** At most 80 words. */
  readonly prose: () => ComponentChildren;
  readonly figure: (app: App) => VNode;
  readonly code: readonly CodeId[];
}

/** Number of the shown build in its topic; 0 is the question. */
export const part = ({ view: { chapter, build } }: App): number => topicOf(chapter, build).part;
