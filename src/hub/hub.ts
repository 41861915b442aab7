import * as v from "valibot";
import { InputError } from "../util/errors.js";
import { formatValue, truncate } from "../util/format.js";

/** Names a repository on Hugging Face: an owner and a model. */
const REPOSITORY = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

/** A repository on a Hugging Face hub, and access to it. */
export interface HubOptions {
  /** "meta-llama/Llama-3.2-1B" */
  readonly repo: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** "https://huggingface.co", or a mirror. */
  readonly hubUrl: string;
  /** An access token, "hf_…"; sent to `hubUrl` only. */
  readonly token?: string | undefined;
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which a connection counts as lost; 30 seconds by default. */
  readonly stallLimit?: number;
}

/** A file of a repository: its size in bytes, and its sha256 (large files, 64 digits) or Git blob id (40 digits). */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  readonly hash: string;
}

/** A lost connection or an overloaded server: the request is worth repeating. */
export class ConnectionError extends InputError {
  override readonly name = "ConnectionError";
}

/** Upper bound for one page of a file list; the hub's pages of 1000 files have about 0.3 MB. */
const MAX_PAGE_BYTES = 8 * 2 ** 20;

/** Upper bounds for a file list, so that a server cannot continue it for ever. */
const [MAX_ENTRIES, MAX_PAGES] = [100_000, 200];

const bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const hex = (digits: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]+$/), v.length(digits));
const Entry = v.variant("type", [
  v.object({ type: v.picklist(["directory", "unknown"]) }),
  v.object({
    type: v.literal("file"),
    path: v.string(),
    size: bytes,
    oid: hex(40),
    lfs: v.nullish(v.object({ oid: hex(64), size: bytes })),
  }),
]);
const Page = v.array(Entry);

/** The two requests of a download: the list of a repository's files, and the bytes of one. */
export class Hub {
  /** @throws InputError if an option is invalid */
  constructor(private readonly options: HubOptions) {
    const { repo, revision, token, hubUrl } = options;
    if (!REPOSITORY.test(repo))
      throw new InputError(
        `the repository must be OWNER/NAME, such as meta-llama/Llama-3.2-1B, got "${repo}"`,
      );
    if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(revision))
      throw new InputError(`the revision must be a branch, tag or commit, got "${revision}"`);
    // Neither the token nor a password in the address is repeated in a message.
    if (token !== undefined && !/^hf_[\w.-]+$/.test(token))
      throw new InputError('HF_TOKEN must be an access token ("hf_" and A-Z, a-z, 0-9, "_", "." or "-")');
    const { protocol = "", username, password } = URL.canParse(hubUrl) ? new URL(hubUrl) : {};
    if (!/^https?:$/.test(protocol) || username || password) {
      const got = hubUrl.includes("@") ? "one with a user name or password" : `"${hubUrl}"`;
      throw new InputError(`HF_ENDPOINT must be an address such as https://huggingface.co, got ${got}`);
    }
  }

  /**
   * Lists all files of the repository.
   *
   * @throws ConnectionError if it is worth repeating, InputError if it is not; the signal's reason
   */
  async list(): Promise<HubFile[]> {
    const { repo, revision, hubUrl } = this.options;
    const entries: v.InferOutput<typeof Page> = [];
    let pages = 0;
    const first = `${hubUrl}/api/models/${repo}/tree/${encodeURIComponent(revision)}?recursive=true`;
    for (let url: string | undefined = first; url !== undefined;) {
      let text = "";
      let next: string | undefined;
      const decoder = new TextDecoder();
      const chunks = this.get(url, 0, (headers) => {
        next = /<([^>]+)>;\s*rel="next"/.exec(headers.get("link") ?? "")?.[1];
      });
      for await (const chunk of chunks) {
        text += decoder.decode(chunk, { stream: true });
        if (text.length > MAX_PAGE_BYTES)
          throw new InputError(`${url} must be a list of at most ${MAX_PAGE_BYTES} bytes, got more`);
      }
      for (const entry of parsePage(text, url)) entries.push(entry);
      if (entries.length > MAX_ENTRIES || ++pages > MAX_PAGES) {
        const limits = `${MAX_ENTRIES} entries on ${MAX_PAGES} pages`;
        throw new InputError(`the list of files of ${repo} must have at most ${limits}, got more`);
      }
      url = next;
    }
    return entries.flatMap((entry) => {
      if (entry.type !== "file") return [];
      const { path, size, oid, lfs } = entry;
      return { path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid };
    });
  }

  /** Streams a file's bytes from `start` on. Throws what `list` throws. */
  bytes(path: string, start: number): AsyncIterable<Uint8Array> {
    const { repo, revision, hubUrl } = this.options;
    return this.get(`${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`, start);
  }

  /** Sends a request and streams the answer, from the file's byte `start` on. */
  private async *get(url: string, start: number, onHeaders?: (headers: Headers) => void) {
    const { hubUrl, token, signal, stallLimit = 30_000 } = this.options;
    if (!URL.canParse(url) || new URL(url).origin !== new URL(hubUrl).origin)
      throw new InputError(`the list of files must continue on ${hubUrl}, got ${url}`); // the token stays there
    const headers = {
      "accept-encoding": "identity", // a range counts the file's own bytes
      ...(token && { authorization: `Bearer ${token}` }), // `fetch` drops it when redirected to another host
      ...(start > 0 && { range: `bytes=${start}-` }),
    };
    const request = new AbortController();
    const stall = new ConnectionError(`${hubUrl} has sent nothing for ${stallLimit / 1000} s`);
    const timer = setTimeout(() => request.abort(stall), stallLimit);
    const aborted = AbortSignal.any([request.signal, signal]);
    try {
      const response = await fetch(url, { headers, signal: aborted });
      if (response.status !== 200 && !(start > 0 && response.status === 206))
        throw explainRefusal(response, this.options);
      onHeaders?.(response.headers);
      let skip = response.status === 206 ? 0 : start; // a server without ranges sends the file from its beginning
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        if (chunk.length > skip) yield chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
        timer.refresh();
      }
    } catch (error) {
      if (error instanceof InputError) throw error;
      aborted.throwIfAborted();
      const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
      const hint = "check the network, or set HF_ENDPOINT to a mirror";
      throw new ConnectionError(`the connection to ${hubUrl} failed (${message || code}); ${hint}`);
    } finally {
      clearTimeout(timer);
      request.abort(); // an answer that is not read to its end would keep the process alive
    }
  }
}

/** Parses a page of the list. The address may be a login page's, or not a hub's. */
function parsePage(text: string, url: string): v.InferOutput<typeof Page> {
  try {
    return v.parse(Page, JSON.parse(text));
  } catch (error) {
    const [issue] = error instanceof v.ValiError ? error.issues : [];
    const got = issue
      ? `${truncate(issue.message)} at ${v.getDotPath(issue) ?? "its root"}`
      : formatValue(text.trim());
    const hint = "does this network ask for a login, or is HF_ENDPOINT not a hub?";
    throw new InputError(`${url} must be a list of files in JSON, got ${got}; ${hint}`);
  }
}

/** Explains a refused request, and says what to do. */
function explainRefusal({ status, headers, url }: Response, options: HubOptions): InputError {
  const { repo, revision, hubUrl, token } = options;
  const code = headers.get("x-error-code");
  const { origin } = new URL(url);
  const isRedirected = origin !== new URL(hubUrl).origin; // to a signed address, which expires
  if (isRedirected || status === 429 || status >= 500)
    return new ConnectionError(`${origin} answered with status ${status}; try again later`);
  if (code === "GatedRepo" || status === 403)
    return new InputError(
      `${repo} is gated: accept its licence on ${hubUrl}/${repo}, and set HF_TOKEN to an access token of that account`,
    );
  if (code === "RevisionNotFound")
    return new InputError(`${repo} has no revision "${revision}"; it must be a branch, tag or commit`);
  if (code === "RepoNotFound" || status === 401) {
    const hint = token
      ? "HF_TOKEN gives no access to it"
      : "it is private: then set HF_TOKEN to an access token";
    return new InputError(`${repo} is not on ${hubUrl}, or ${hint}`);
  }
  return new InputError(`${url} answered with status ${status}`);
}
