import { readFile } from "node:fs/promises";
import type { Machine } from "../../machine.js";
import { InputError } from "../../../src/index.js";

/** What `npm run card` writes while it goes on. */
export interface CardFile {
  readonly date: string;
  /** The words of each sitting's command. */
  readonly command: string[];
  readonly commit: string | null;
  readonly changed: boolean | null;
  readonly machine: Machine;
  /** What the commands wrote, whole; a bench that failed has its reason. */
  readonly bench: object[];
  readonly profile: object[];
  /** What gave no figures, and why, where that is known. */
  readonly failed: string[];
  tests?: object;
}

/**
 * Reads what is to be added to.
 *
 * @param now what would be written if there were nothing yet
 * @throws InputError where the file is none, or where its figures are of another program or another card
 */
export async function earlierCard(file: string, now: CardFile): Promise<CardFile> {
  let earlier: CardFile | null;
  try {
    earlier = JSON.parse(await readFile(file, "utf8")) as CardFile | null;
  } catch (error) {
    throw new InputError(`${file} cannot be read as what is to be added to: ${(error as Error).message}`);
  }
  if (![earlier?.command, earlier?.bench, earlier?.profile, earlier?.failed].every(Array.isArray)) {
    throw new InputError(
      `${file} is not what \`npm run card\` writes, expected command, bench, profile and failed`,
    );
  }
  const [then, today] = [provenanceOf(earlier!), provenanceOf(now)];
  if (then !== today) {
    throw new InputError(
      `${file} was measured with ${then}, this is ${today}; --append adds only to what the same program measured on the same card`,
    );
  }
  return earlier!;
}

/** What one file can have only one of. */
function provenanceOf({ commit, changed, machine }: CardFile): string {
  const cards = machine?.nvidia?.gpus.map(({ name }) => name).join(", ");
  return `commit ${commit ?? "unknown"}${changed ? " and changes" : ""} on ${cards || "no card"}`;
}

/** Undefined where the file is not there or not whole: what should have written it has failed. */
export async function readIfThere(file: string): Promise<Record<string, unknown> | undefined> {
  return readFile(file, "utf8").then(JSON.parse, () => undefined);
}
