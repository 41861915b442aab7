import type { Subject } from "../../lecture/after/subject.js";
import { Llama, loadCheckpoint } from "../../src/index.js";
import { fixture } from "../support.js";

/** The bundled model, which the demonstrations of the page run on; the caller disposes it. */
export async function bundledSubject(): Promise<Subject> {
  const { model, tokenizer } = await loadCheckpoint(fixture("fairy-tales"));
  const { model: draft } = await loadCheckpoint(fixture("fairy-tales/draft"));
  if (!(model instanceof Llama && draft instanceof Llama)) throw new Error("both models must be Llamas");
  return { model, tokenizer, loadDraft: async () => draft };
}
