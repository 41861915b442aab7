/**
 * Something the user gave is wrong: a prompt, an option, a file. The message is one sentence that names the
 * thing, the value seen and the value expected; commands print it without a stack trace and exit with 1.
 */
export class InputError extends Error {
  override readonly name: string = "InputError";
}

/** The model's scores hold NaN or an infinity: damaged weights, or an backend out of memory. Never passed on in silence. */
export class NotFiniteError extends InputError {
  override readonly name = "NotFiniteError";
}
