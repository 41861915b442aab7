/** Levels of brackets, as many as the reference implementation of safetensors allows; a model's files have 6 at most. */
const MAX_DEPTH = 128;

/** Lists, objects and what they hold, all together; Llama 3's tokenizer.json, by far the richest file, has a million. */
const MAX_VALUES = 4_000_000;

/**
 * What makes a JSON text too much for `JSON.parse`; undefined where nothing does. A list takes two letters of text and
 * twenty times as much memory, and whoever walks through a value needs a stack as deep as it. Asked before it is parsed.
 */
export function excess(json: string): string | undefined {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      at++;
      while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
    } else if (char === "[" || char === "{") {
      depth++;
      values++;
    } else if (char === "]" || char === "}") depth--;
    else if (char === ",") values++;
    if (depth > MAX_DEPTH) return `nests more than ${MAX_DEPTH} levels deep`;
    if (values > MAX_VALUES) return `holds more than ${MAX_VALUES} values`;
  }
  return undefined;
}
