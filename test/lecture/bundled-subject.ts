import type { Subject } from "../../lecture/after/subject.js";
import { Llama, loadCheckpoint } from "../../src/index.js";
import { fixture } from "../support.js";

/** The bundled model, which the demonstrations of the page run on; the caller disposes it. */
export async function bundledSubject(): Promise<Subject> {
  const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
  if (!(model instanceof Llama)) throw new Error("the bundled model must be a Llama");
  return { model, tokenizer };
}
