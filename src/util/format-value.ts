/** How much of a text is shown, and how many of a list's values. */
const MOST_LETTERS = 80;
const MOST_VALUES = 8;

/**
 * A value out of a file as an error shows it: as JSON, on one line and never long, whatever the file holds. Lists and
 * objects inside are not looked into.
 */
export function formatValue(value: unknown): string {
  if (!Array.isArray(value)) return showOne(value);
  const first = value.slice(0, MOST_VALUES).map((one) => (Array.isArray(one) ? "[…]" : showOne(one)));
  if (value.length > MOST_VALUES) first.push("…");
  return cut(`[${first.join(", ")}]`);
}

function showOne(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") {
    const json = JSON.stringify(cut(value)); // a control character is six letters there
    return json.length > 2 * MOST_LETTERS ? `${json.slice(0, 2 * MOST_LETTERS)}…"` : json;
  }
  return isObject(value) ? "an object" : String(value);
}

/** The beginning of a text, as long as errors show any. */
export const cut = (text: string): string =>
  text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text;

/** Whether a value is a JSON object. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
