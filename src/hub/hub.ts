import { downloadFile, listFiles } from "@huggingface/hub";
import { InputError } from "../util/errors.js";
import { REPOSITORY } from "../checkpoint/formats.js";
import { explainLoss, explainNoAnswer, explainRefusal, Unreachable } from "./hub-errors.js";
import { readList } from "./hub-list.js";
import { bodyInTime, inTime } from "./stall.js";

/** A file of a repository, as the hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** sha256 of a large file's bytes; undefined for files that Git holds itself. */
  readonly sha256: string | undefined;
  /** Git's own id, the sha1 of "blob <size>\0" and the bytes; of a large file's pointer otherwise. */
  readonly gitId: string | undefined;
}

/** Milliseconds: no hub takes so long for an answer, and who watches has not yet given up. */
const STALL_LIMIT = 30_000;

/** The hash that a file must have. */
export const expectedHash = ({ sha256, gitId }: HubFile): string | undefined => sha256 ?? gitId;

/** Where to download from. */
export interface HubOptions {
  /** "meta-llama/Llama-3.2-1B" */
  readonly repo: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** "https://huggingface.co", or a mirror. */
  readonly hubUrl: string;
  /** An access token, "hf_…"; only ever sent to `hubUrl`. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a byte after which a connection counts as lost; 30 seconds by default. */
  readonly stallLimit?: number;
  /** Is told what a user may wonder at, a sentence each time. */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/** One repository of a Hugging Face hub: `@huggingface/hub` with errors that say what to do. */
export class Hub {
  private failure: unknown; // of the latest request: the library passes on its message alone
  private resent = false; // the latest answer begins at the file's beginning, though a later part was asked for

  constructor(private readonly options: HubOptions) {
    const { repo, revision, token, hubUrl } = options;
    if (!REPOSITORY.test(repo))
      throw new InputError(`the repository is "${repo}", expected a name such as meta-llama/Llama-3.2-1B`);
    if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(revision))
      throw new InputError(`the revision is "${revision}", expected a branch, tag or commit`);
    if (token !== undefined && !/^hf_[\w.-]+$/.test(token))
      throw new InputError(
        'HF_TOKEN is no access token, expected "hf_" and then letters, digits, "_", "." and "-" alone',
      );
    checkAddress(hubUrl);
  }

  /**
   * All files of the repository.
   *
   * @throws Dropped when it is worth another try, other InputErrors when it is not; the signal's reason
   */
  async list(): Promise<HubFile[]> {
    const files: HubFile[] = [];
    try {
      for await (const { type, path, size, lfs, oid } of listFiles({ ...this.where(), recursive: true })) {
        if (type === "file")
          files.push({ path, size: lfs?.size ?? size, sha256: lfs?.oid, gitId: lfs ? undefined : oid });
      }
    } catch (error) {
      throw error instanceof Unreachable ? new InputError(error.message) : error; // who has no network is told at once
    }
    return files;
  }

  /**
   * The bytes of a file from `start` on, as they come.
   *
   * @throws as `list` does
   */
  async *bytes(file: HubFile, start: number): AsyncGenerator<Uint8Array, void, void> {
    this.failure = undefined;
    try {
      const info = { size: file.size, etag: "", url: this.url(file.path) };
      const where = { ...this.where(file.path), path: file.path };
      const blob = await downloadFile({ ...where, xet: false, downloadInfo: info });
      let known = start; // bytes of a file that is sent from its beginning: skipped, so that none is lost that is there
      for await (const chunk of chunksOf(blob!.slice(start).stream())) {
        const skipped = this.resent ? Math.min(known, chunk.length) : 0;
        known -= skipped;
        if (skipped < chunk.length) yield chunk.subarray(skipped);
      }
    } catch (error) {
      if (this.failure) throw this.failure;
      this.options.signal?.throwIfAborted();
      throw explainLoss(error);
    }
  }

  private where(file?: string) {
    const { repo, revision, hubUrl, token } = this.options;
    const accessToken = token ? { accessToken: token } : {};
    const request: typeof fetch = (input, init) => this.fetch(input, init, file);
    return { repo, revision, hubUrl, ...accessToken, fetch: request };
  }

  private url(path: string): string {
    const { repo, revision, hubUrl } = this.options;
    return `${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
  }

  /** @param file of the repository, where it is not the list that is asked for */
  private async fetch(...[input, init, file]: [...Parameters<typeof fetch>, string?]): Promise<Response> {
    const { hubUrl, signal, stallLimit = STALL_LIMIT } = this.options;
    this.failure = undefined;
    const request = new AbortController();
    try {
      const url = input instanceof Request ? input.url : String(input);
      if (!URL.canParse(url) || new URL(url).origin !== new URL(hubUrl).origin)
        throw new InputError(`${hubUrl} asked for ${url}, expected an address of its own`); // the token stays here
      const signals = AbortSignal.any([request.signal, ...(signal ? [signal] : [])]);
      const answer = fetch(input, { ...init, signal: signals });
      const response = await inTime(answer, hubUrl, stallLimit).catch((error: unknown) => {
        throw explainNoAnswer(error, this.options);
      });
      const ranged = new Headers(init?.headers).has("range");
      if (response.status !== 200 && !(ranged && response.status === 206))
        throw explainRefusal(response, this.options, file);
      const sender = new URL(response.url).origin;
      this.resent = ranged && response.status === 200;
      if (this.resent)
        this.options.onNote?.(`${sender} ignores ranges: ${file} comes from its beginning once more`);
      const body = bodyInTime(response.body!, sender, stallLimit);
      if (file !== undefined) return new Response(body, response);
      const list = await readList(response.url, chunksOf(body), hubUrl);
      return new Response(list, response);
    } catch (error) {
      request.abort(); // whoever has not answered yet would keep the process
      signal?.throwIfAborted();
      this.failure = error;
      throw error;
    }
  }
}

/** In Node a stream is read with `for await`; the browser's types, which `fetch` has, do not know it. */
const chunksOf = (stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> =>
  stream as unknown as AsyncIterable<Uint8Array>;

/** Refuses an address that is none, or that holds a password; that one is not printed, since errors are shown around. */
function checkAddress(hubUrl: string): void {
  const { protocol, username, password } = URL.canParse(hubUrl) ? new URL(hubUrl) : {};
  const expected = "expected an address such as https://huggingface.co";
  if (username || password)
    throw new InputError(
      `HF_ENDPOINT has a user's name or password in it, ${expected}; a token belongs in HF_TOKEN`,
    );
  if (protocol === "https:" || protocol === "http:") return;
  const seen = hubUrl.includes("@") ? "is no address of a hub" : `is "${hubUrl}"`; // it may be user:password@host
  throw new InputError(`HF_ENDPOINT ${seen}, ${expected}`);
}
