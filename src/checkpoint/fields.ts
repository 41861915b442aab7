import { InputError } from "../util/errors.js";
import { isObject, formatValue } from "../util/format-value.js";

/** No size in a config is larger than this; whatever is, is a slip of the pen. */
const MAX_SIZE = 1e9;

/** The numbers that a field can sensibly have, both ends included. */
export type Range = readonly [least: number, most: number];

/** The fields of a JSON object, read by name and checked. As in transformers, null is the same as missing. */
export class Fields {
  private readonly values: Record<string, unknown>;
  private readonly source: string;
  private readonly path: string;

  /**
   * @param source the file's name, for errors
   * @param path what leads to this object inside the file: "" or "rope_scaling."
   */
  constructor(value: unknown, source: string, path = "") {
    if (!isObject(value)) {
      throw new InputError(`${source}: the config is ${formatValue(value)}, expected a JSON object`);
    }
    this.values = { ...value };
    this.source = source;
    this.path = path;
  }

  /** A field as it stands there, of any type; undefined when it is missing. */
  get(key: string): unknown {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  /** Whether a field is there, and is not null. */
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Whether the file says null, which for some fields is not the same as missing. */
  isNull(key: string): boolean {
    return Object.hasOwn(this.values, key) && this.values[key] === null;
  }

  /** An integer from 1 to `most`. */
  size(key: string, fallback?: number, most = MAX_SIZE): number {
    const value = this.get(key) ?? fallback;
    if (Number.isInteger(value) && Number(value) > 0 && Number(value) <= most) return Number(value);
    throw this.error(key, `an integer from 1 to ${most}`);
  }

  /** A number of a range. */
  number(key: string, [least, most]: Range, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (Number.isFinite(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    throw this.error(key, `a number from ${least} to ${most}`);
  }

  /** true or false; false when missing. */
  flag(key: string): boolean {
    const value = this.get(key) ?? false;
    if (typeof value === "boolean") return value;
    throw this.error(key, "true or false");
  }

  /** Refuses any other value than `expected`. */
  only(key: string, expected: string, fallback?: string): void {
    if ((this.get(key) ?? fallback) !== expected) throw this.error(key, formatValue(expected));
  }

  /** A token id of a vocabulary, a list of them, or nothing. */
  tokenIds(key: string, vocabSize: number): number[] {
    const value = this.get(key) ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    return ids.map((id) => {
      if (Number.isInteger(id) && Number(id) >= 0 && Number(id) < vocabSize) return Number(id);
      throw this.error(
        key,
        `a token id from 0 to ${vocabSize - 1} or a list of them`,
        `holds ${formatValue(id)}`,
      );
    });
  }

  /** An object within this one. */
  fields(key: string): Fields {
    const value = this.get(key);
    if (!isObject(value)) throw this.error(key, "a JSON object");
    return new Fields(value, this.source, `${this.path}${key}.`);
  }

  /** An error that names the field, what it is and what was expected. */
  error(key: string, expected: string, seen?: string): InputError {
    const value = this.get(key);
    const is = seen ?? (value === undefined ? "is missing" : `is ${formatValue(value)}`);
    return new InputError(`${this.source}: ${this.path}${key} ${is}, expected ${expected}`);
  }
}
