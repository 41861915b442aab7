import { createHash, randomBytes } from "node:crypto";
import { readlinkSync } from "node:fs";
import { readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { isRunning } from "../util/is-running.js";
import { explainDisk, sizeOf } from "../checkpoint/disk.js";
import { expectedHash, type HubFile } from "./hub.js";

/** Where another's part has not grown for so long, its download is over; none waits half as long for a byte. */
const ABANDONED_MS = 3_600_000;

/** Where process ids mean something: this machine, and in it this container. */
const PLACE = createHash("sha1").update(`${hostname()} ${processNamespace()}`).digest("hex").slice(0, 8);

/**
 * What is there of a file until it is whole. `NAME.HASH.part` is nobody's. A download that goes on with it renames it
 * to a name of its own, `NAME.HASH.PLACE-PID-RANDOM.part`, and back when it ends before the file is whole.
 *
 * So nobody ever writes into a file that another has open, which would put its bytes under the final name after the
 * other's hash was right. A lock file beside the part would do less: of two downloads that find the lock of a killed
 * one, the second deletes what the first has just made. Of two that rename one file, one alone succeeds.
 */
export class Part {
  private constructor(
    readonly path: string,
    private readonly nobodys: string,
    /** The file's own name. */
    readonly whole: string,
  ) {}

  /** Takes what is there of a file, the most if there are several; the rest of them goes. */
  static async take(whole: string, file: HubFile): Promise<Part> {
    const start = startOfName(whole, file);
    const own = `${start}${PLACE}-${process.pid}-${randomBytes(4).toString("hex")}.part`;
    let taken = false;
    for (const { path } of await leftParts(whole, file)) {
      if (taken) await rm(path, { force: true });
      else taken = await succeeds(claim(path, own)); // else another was faster
    }
    return new Part(own, `${start}part`, whole);
  }

  /** Leaves it to the next download. */
  async giveBack(): Promise<void> {
    const [mine, there] = [(await sizeOf(this.path)) ?? 0, (await sizeOf(this.nobodys)) ?? 0];
    if (mine > there)
      await succeeds(rename(this.path, this.nobodys)); // else it is found once this process has ended
    else await this.delete();
  }

  /** For bytes that are wrong. */
  async delete(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /**
   * The part is whole now, and gets the file's name.
   *
   * @throws InputError when the disk refuses
   */
  async finish(): Promise<void> {
    await rename(this.path, this.whole).catch(explainDisk(this.whole));
  }
}

/** How many bytes of a file the next download would go on with. */
export async function bytesLeft(whole: string, file: HubFile): Promise<number> {
  return (await leftParts(whole, file))[0]?.size ?? 0;
}

/** The parts of a file that nobody writes into, the largest first. */
async function leftParts(whole: string, file: HubFile): Promise<{ path: string; size: number }[]> {
  const start = basename(startOfName(whole, file));
  const parts: { path: string; size: number }[] = [];
  for (const name of await readdir(dirname(whole)).catch(() => [])) {
    const [known, place, pid] =
      (name.startsWith(start) && /^(?:(\w+)-(\d+)-\w+\.)?part$/.exec(name.slice(start.length))) || [];
    if (known === undefined) continue;
    const path = join(dirname(whole), name);
    const stats = await stat(path).catch(() => undefined);
    if (!stats) continue; // taken meanwhile
    const abandoned = Date.now() - stats.mtimeMs > ABANDONED_MS; // another process may have its number now
    const nobodys = pid === undefined || abandoned || (place === PLACE && !isRunning(Number(pid)));
    if (nobodys) parts.push({ path, size: stats.size });
  }
  return parts.toSorted((a, b) => b.size - a.size);
}

/** Renames a part to our own name, its age forgotten first: one that was left for long is not abandoned any more. */
async function claim(path: string, own: string): Promise<void> {
  await utimes(path, new Date(), new Date());
  await rename(path, own);
}

/** Another revision's file has other parts. */
const startOfName = (whole: string, file: HubFile): string => `${whole}.${expectedHash(file)?.slice(0, 8)}.`;

/** On Linux two containers may have one host name, and each its own process 7. */
function processNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // not Linux
  }
}

const succeeds = (doing: Promise<void>): Promise<boolean> =>
  doing.then(
    () => true,
    () => false,
  );
