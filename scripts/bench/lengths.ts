import { InputError } from "../../src/index.js";
import type { CellSpec } from "./case.js";

/**
 * Refuses cells that are longer than the model's context, before any is measured.
 *
 * @throws InputError for the first
 */
export function checkLengths(specs: readonly Pick<CellSpec, "input" | "output">[], maxSeqLen: number): void {
  for (const { input, output } of specs) {
    if (input + output <= maxSeqLen) continue;
    throw new InputError(
      `input ${input} and output ${output} make ${input + output} positions, ` +
        `the model's context has room for ${maxSeqLen}`,
    );
  }
}
