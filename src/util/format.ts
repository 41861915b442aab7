/** Longest text that a message shows, in characters, and the most values of a list. */
const MAX_CHARACTERS = 80;
const MAX_VALUES = 8;

/** Formats a value from a file for a message: as JSON, on one line and short. Nested lists and objects are not shown. */
export function formatValue(value: unknown): string {
  if (!Array.isArray(value)) return formatScalar(value);
  const first = value.slice(0, MAX_VALUES).map((one) => (Array.isArray(one) ? "[…]" : formatScalar(one)));
  if (value.length > MAX_VALUES) first.push("…");
  return truncate(`[${first.join(", ")}]`);
}

function formatScalar(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value !== "string") return isObject(value) ? "an object" : String(value);
  const json = JSON.stringify(truncate(value)); // in which a control character takes six characters
  return json.length > 2 * MAX_CHARACTERS ? `${json.slice(0, 2 * MAX_CHARACTERS)}…"` : json;
}

/** Shortens a text to the length that messages show. */
const truncate = (text: string): string =>
  text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;

/** True if a value is a JSON object. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Formats a size in decimal units: "12.3 MB", "1.13 GB". */
export const formatBytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
