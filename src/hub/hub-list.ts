import { InputError } from "../util/errors.js";
import { cut } from "../util/format-value.js";
import { MAX_TEXT_BYTES } from "../checkpoint/directory.js";
import { excess } from "../checkpoint/json-bounds.js";
import { explainLoss } from "./hub-errors.js";

/** The hub that everybody means who names none. */
const HUGGING_FACE = "https://huggingface.co";

/**
 * Reads and checks a page of a hub's list of files: whoever is at the address may be no hub at all, but the login page
 * of a network, or a mirror of something else.
 *
 * @param address where `body` comes from
 * @returns the JSON text, for `listFiles` to read
 * @throws Dropped when the connection is lost on the way; InputError when it is no list, or one that cannot be right
 */
export async function readList(
  address: string,
  body: AsyncIterable<Uint8Array>,
  hubUrl: string,
): Promise<string> {
  const text = await readText(address, body);
  const entries = parse(text);
  if (!Array.isArray(entries)) {
    const hint =
      hubUrl === HUGGING_FACE
        ? "does this network ask for a login?"
        : `is HF_ENDPOINT, ${hubUrl}, the address of a hub?`;
    throw new InputError(
      `${address} answered with ${formatValue(text)}, expected a list of files in JSON; ${hint}`,
    );
  }
  for (const entry of entries) {
    const wrong = errorOf(entry);
    if (wrong) throw new InputError(`${address} lists ${wrong}`);
  }
  return text;
}

/** Reads no more than a list can have. */
async function readText(address: string, body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > MAX_TEXT_BYTES)
        throw new InputError(
          `${address} answered with more than ${MAX_TEXT_BYTES} bytes, expected a list of files`,
        );
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw explainLoss(error);
  }
  return text + decoder.decode();
}

function parse(text: string): unknown {
  try {
    return excess(text) ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is wrong with an entry of the list, and what was expected; undefined when nothing is. */
function errorOf(entry: unknown): string | undefined {
  const { type, path, size, oid, lfs } = (entry ?? {}) as Record<string, unknown>;
  if (typeof type !== "string" || typeof path !== "string")
    return `${formatValue(entry)}, expected an object with type and path`;
  if (type !== "file") return undefined;
  const large = (lfs ?? undefined) as Record<string, unknown> | undefined;
  const [bytes, hash, digits] = large ? [large["size"], large["oid"], 64] : [size, oid, 40];
  if (!Number.isSafeInteger(bytes) || Number(bytes) < 0)
    return `${formatValue(path)} with the size ${formatValue(bytes)}, expected a whole number of bytes`;
  if (typeof hash !== "string" || !/^[0-9a-f]+$/.test(hash) || hash.length !== digits)
    return `${formatValue(path)} with the hash ${formatValue(hash)}, expected ${digits} hexadecimal digits`;
  return undefined;
}

/** What came, as an error shows it: on one line and never long. */
function formatValue(value: unknown): string {
  if (typeof value === "number") return String(value); // in JSON, 1e999 would be null
  if (typeof value === "string") return JSON.stringify(cut(value.trim()));
  return cut(JSON.stringify(value) ?? "nothing");
}
