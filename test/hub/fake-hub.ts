import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A Hugging Face hub with one repository, on this machine, that can misbehave. */
export class FakeHub {
  /** Every request: "GET /path", its range and token. */
  readonly requests: { readonly path: string; readonly range?: string; readonly token?: string }[] = [];
  /** Answers every request with this status and error code; those for files alone, or so many alone. */
  refusal: { status: number; code?: string; files?: true; times?: number } | undefined;
  /** Cuts the list of files in its middle, so many times. */
  listCuts = 0;
  /** What is sent in place of the list. */
  list: string | undefined;
  /** Files on each page of the list. */
  pageSize = Infinity;
  /** Cuts the connection after so many bytes of a file's answer; as often as there are numbers. */
  readonly cuts: number[] = [];
  /** Sends no more after so many bytes of a file's answer, and stays connected; undefined: not even that there is one. */
  readonly silences: (number | undefined)[] = [];
  /** So many requests for the list have half an answer, and then nothing; every other one has none. */
  listSilences = 0;
  /** Sends all of a file, whatever part of it is asked for. */
  ignoresRanges = false;
  /** Sends files from this address instead. */
  elsewhere: string | undefined;
  /** What is sent in place of a file, though listed as it should be. */
  readonly damaged = new Map<string, Buffer>();
  /** Waits for so many milliseconds after each 64 KiB. */
  slowness = 0;
  private readonly server: Server;

  /** @param files by path; those of 1 KiB and more are listed as large files */
  constructor(
    readonly repo: string,
    readonly files: ReadonlyMap<string, Buffer>,
  ) {
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { range, authorization: token } = request.headers;
    const path = request.url!;
    this.requests.push({ path, ...(range && { range }), ...(token && { token }) });
    const { status, code, files, times = Infinity } = this.refusal ?? { times: 0 };
    if (status && times > 0 && !(files && path.startsWith("/api/"))) {
      this.refusal = { ...this.refusal!, times: times - 1 };
      response.writeHead(status, {
        "content-type": "application/json",
        ...(code && { "x-error-code": code }),
      });
      return void response.end('{"error":"refused"}');
    }
    if (path.startsWith(`/api/models/${this.repo}/tree/main?`)) return void this.sendList(path, response);
    const name = path.slice(`/${this.repo}/resolve/main/`.length);
    const bytes = this.damaged.get(name) ?? this.files.get(name);
    if (!bytes || !path.startsWith(`/${this.repo}/resolve/main/`)) return void response.writeHead(404).end();
    if (this.elsewhere) return void response.writeHead(302, { location: this.elsewhere + path }).end();
    await this.send(response, bytes, this.ignoresRanges ? undefined : range);
  }

  private sendList(path: string, response: ServerResponse): void {
    if (this.list !== undefined) return void response.end(this.list);
    const url = new URL(path, `http://${response.req.headers.host}`);
    const start = Number(url.searchParams.get("cursor") ?? 0);
    const end = start + this.pageSize;
    const json = JSON.stringify(
      [...this.files].slice(start, end).map(([name, bytes]) => listing(name, bytes)),
    );
    url.searchParams.set("cursor", String(end));
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(json),
      ...(end < this.files.size && { link: `<${url.href}>; rel="next"` }),
    });
    if (this.listSilences > 0) {
      if (this.listSilences-- % 2) response.write(json.slice(0, json.length / 2));
      return;
    }
    if (this.listCuts === 0) return void response.end(json);
    this.listCuts--;
    response.write(json.slice(0, json.length / 2), () => response.destroy());
  }

  private async send(response: ServerResponse, bytes: Buffer, range: string | undefined): Promise<void> {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    const [start, end] = [Number(from ?? 0), Math.min(Number(to ?? Infinity) + 1, bytes.length)];
    const silent = this.silences.length > 0;
    const silence = this.silences.shift();
    if (silent && silence === undefined) return;
    response.writeHead(range ? 206 : 200, {
      "content-length": end - start,
      ...(range && { "content-range": `bytes ${start}-${end - 1}/${bytes.length}` }),
    });
    response.flushHeaders();
    const cut = silence ?? this.cuts.shift();
    const last = cut === undefined ? end : Math.min(end, start + cut);
    for (let at = start; at < last && !response.destroyed; at += 65536) {
      response.write(bytes.subarray(at, Math.min(last, at + 65536)));
      await new Promise((resolve) => setTimeout(resolve, this.slowness));
    }
    if (silent) return;
    if (cut === undefined) response.end();
    else response.destroy();
  }
}

function listing(path: string, bytes: Buffer): object {
  const pointer = { type: "file", path, size: bytes.length };
  const git = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  if (bytes.length < 1024) return { ...pointer, oid: git };
  const oid = createHash("sha256").update(bytes).digest("hex");
  return { ...pointer, oid: "0".repeat(40), lfs: { oid, size: bytes.length, pointerSize: 130 } };
}
