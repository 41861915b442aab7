import { InputError } from "../util/errors.js";
import { formatValue } from "../util/format.js";

/**
 * Parses Llama 3's `tokenizer.model`, a line `<bytes in base64> <rank>` for every token.
 *
 * @param source the file's name, for errors
 * @returns the bytes of every rank, one a character
 * @throws InputError for a line that is none, and for ranks or bytes that are missing or there twice
 */
export function readRanks(model: string, source: string): string[] {
  const tokens = new Map<number, string>();
  const ranks = new Map<string, number>();
  for (const [n, line] of model.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const { base64, rank } = readLine(line, `${source}, line ${n + 1}`);
    const token = atob(base64);
    if (tokens.has(rank))
      throw new InputError(`${source}, line ${n + 1}: rank ${rank} is there twice, expected once`);
    if (ranks.has(token))
      throw new InputError(
        `${source}, line ${n + 1}: the bytes ${formatValue(base64)} have rank ${rank} and rank ${ranks.get(token)}, expected one`,
      );
    tokens.set(rank, token);
    ranks.set(token, rank);
  }
  const size = tokens.size;
  if (size === 0) throw new InputError(`${source} is empty, expected lines of "<base64> <rank>"`);
  // js-tiktoken drops a byte that has no rank without a word.
  for (let byte = 0; byte < 256; byte++) {
    if (!ranks.has(String.fromCharCode(byte)))
      throw new InputError(
        `${source}: the single byte ${byte} has no rank, expected one for each of the 256 bytes`,
      );
  }
  return Array.from({ length: size }, (_, rank) => {
    const token = tokens.get(rank);
    if (token === undefined)
      throw new InputError(
        `${source}: rank ${rank} is missing, expected 0 to ${size - 1} for ${size} tokens`,
      );
    return token;
  });
}

function readLine(line: string, where: string): { base64: string; rank: number } {
  const [, base64, rank] = /^(\S+) (\d+)$/.exec(line) ?? [];
  if (base64 === undefined || rank === undefined) {
    throw new InputError(`${where}: ${formatValue(line)} is not "<base64> <rank>"`);
  }
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64))
    throw new InputError(`${where}: ${formatValue(base64)} is not base64`);
  return { base64, rank: Number(rank) };
}
