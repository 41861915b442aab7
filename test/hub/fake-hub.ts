import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A Hugging Face hub with one repository on this machine, which can misbehave. */
export class FakeHub {
  /** All requests so far. */
  readonly requests: { path: string; range: string | undefined; token: string | undefined }[] = [];
  /** Answers requests with this status and error code; `files`: only those for files, `times`: only this number. */
  rejection: { status: number; code?: string; files?: boolean; times?: number } | undefined;
  /** Sent instead of the list of files. */
  list: string | undefined;
  /** Number of times to cut the connection in the middle of the list. */
  listCuts = 0;
  /** One entry per answer with a file: sends this number of bytes, then cuts the connection or sends nothing more. */
  readonly faults: { after: number | "request"; end: "cut" | "silence" }[] = [];
  /** Sends all of a file, whatever range is requested. */
  ignoresRanges = false;
  /** Redirects requests for files to this address. */
  elsewhere: string | undefined;
  /** Sent instead of a file, though listed correctly. */
  readonly damaged = new Map<string, Buffer>();
  private readonly server: Server;

  /** @param files by path; those of 1 KiB and more are listed as large files */
  constructor(
    readonly repo: string,
    readonly files: ReadonlyMap<string, Buffer>,
  ) {
    this.server = createServer((request, response) => this.answer(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer({ url, headers }: IncomingMessage, response: ServerResponse): unknown {
    const { range, authorization: token } = headers;
    const { pathname } = new URL(url!, `http://${headers.host}`);
    this.requests.push({ path: pathname, range, token });
    const isList = pathname === `/api/models/${this.repo}/revision/main`;
    if (this.rejection && !(this.rejection.files && isList) && (this.rejection.times ?? Infinity) > 0) {
      const { status, code, times = Infinity } = this.rejection;
      this.rejection.times = times - 1;
      return response.writeHead(status, code ? { "x-error-code": code } : {}).end("rejected");
    }
    if (isList) return this.sendList(response);
    if (this.elsewhere) return response.writeHead(302, { location: this.elsewhere + pathname }).end();
    const name = pathname.slice(`/${this.repo}/resolve/main/`.length);
    const bytes = this.damaged.get(name) ?? this.files.get(name);
    if (!bytes) return response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    const start = this.ignoresRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const { after = bytes.length, end } = this.faults.shift() ?? {};
    if (after === "request") return end === "cut" && response.destroy();
    const length = bytes.length - start;
    response.writeHead(start > 0 ? 206 : 200, { "content-length": length }).flushHeaders();
    const finish = () => (end === "cut" ? response.destroy() : end === undefined && response.end());
    response.write(bytes.subarray(start, start + after), finish);
  }

  private sendList(response: ServerResponse): unknown {
    if (this.listCuts-- > 0) return response.write("{", () => response.destroy());
    const siblings = Array.from(this.files, ([name, bytes]) => listing(name, bytes));
    return response.end(this.list ?? JSON.stringify({ id: this.repo, siblings }));
  }
}

function listing(rfilename: string, bytes: Buffer): object {
  const size = bytes.length;
  const blobId = createHash("sha1").update(`blob ${size}\0`).update(bytes).digest("hex");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (size < 1024) return { rfilename, size, blobId };
  return { rfilename, size, blobId: "0".repeat(40), lfs: { sha256, size, pointerSize: 130 } };
}
