/** Levels of brackets, as many as the reference implementation of safetensors allows; a model's files have 6 at most. */
const MAX_DEPTH = 128;

/**
 * Lists, objects and what they hold, all together: a header has eight for every tensor, and Llama 3.1 405B, the richest
 * model of its kind, 1,138 tensors.
 */
const MAX_VALUES = 400_000;

/**
 * What makes a JSON text too much for `JSON.parse`; undefined where nothing does. A list takes two letters of text and
 * twenty times as much memory, and whoever walks through a value needs a stack as deep as it. Asked before it is parsed.
 */
export function excess(json: string, mostValues = MAX_VALUES): string | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '"') at = endOfString(json, at);
    else if (char === "[" || char === "{") {
      depth++;
      values++;
    } else if (char === "]" || char === "}") depth--;
    else if (char === ",") values++;
    if (depth > MAX_DEPTH) return `nests more than ${MAX_DEPTH} levels deep`;
    if (values > mostValues) return `holds more than ${mostValues} values`;
  }
  return undefined;
}

/** Where the string ends whose opening quote is at `begin`: at its closing quote, or behind a text that has none. */
export function endOfString(json: string, begin: number): number {
  let at = begin + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at;
}
