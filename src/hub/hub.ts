import * as v from "valibot";
import { InputError } from "../util/errors.js";
import { checkFields, parseJson } from "../util/json.js";

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

/** Upper bound for a list of files; one of 1000 files has about 0.3 MB. */
const MAX_LIST_BYTES = 8 * 2 ** 20;

const hash = (digits: number) =>
  v.custom<string>(
    (value) => typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value),
    `${digits} hexadecimal digits`,
  );

const FILE = {
  rfilename: v.string("a path"),
  size: v.custom<number>((size) => Number.isSafeInteger(size) && Number(size) >= 0, "a size in bytes"),
  blobId: hash(40),
  lfs: v.nullish(v.object({ sha256: hash(64) }, "an object")),
};

/** Checks the options of a request. @throws InputError if one is invalid; its message repeats neither the token nor a password in the address */
export function checkOptions({ repo, revision, token, hubUrl }: HubOptions): void {
  if (!/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(repo)) {
    throw new InputError(`the repository must be OWNER/NAME, such as meta-llama/Llama-3.2-1B, got "${repo}"`);
  }
  if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(revision)) {
    throw new InputError(`the revision must be a branch, tag or commit, got "${revision}"`);
  }
  if (token !== undefined && !/^hf_[\w.-]+$/.test(token)) {
    throw new InputError('HF_TOKEN must be an access token ("hf_" and A-Z, a-z, 0-9, "_", "." or "-")');
  }
  const { protocol = "", username, password } = URL.canParse(hubUrl) ? new URL(hubUrl) : {};
  if (!/^https?:$/.test(protocol) || username || password) {
    const got = hubUrl.includes("@") ? "one with a user name or password" : `"${hubUrl}"`;
    throw new InputError(`HF_ENDPOINT must be an address such as https://huggingface.co, got ${got}`);
  }
}

/**
 * Lists all files of a repository.
 *
 * @throws ConnectionError if it is worth repeating, InputError if it is not; the signal's reason
 */
export async function listFiles(options: HubOptions): Promise<HubFile[]> {
  const { repo, revision, hubUrl } = options;
  const url = `${hubUrl}/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const source = `the list of files at ${url}`;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of get(url, 0, options)) {
    bytes += chunk.length;
    if (bytes > MAX_LIST_BYTES) {
      throw new InputError(`${source} must have at most ${MAX_LIST_BYTES} bytes, got more`);
    }
    chunks.push(chunk);
  }
  const json = parseJson(Buffer.concat(chunks), source);
  const { siblings } = checkFields({ siblings: v.array(v.unknown(), "a list") }, json, source);
  return siblings.map((sibling, i) => {
    const { rfilename: path, size, blobId, lfs } = checkFields(FILE, sibling, source, `siblings.${i}.`);
    return { path, size, hash: lfs?.sha256 ?? blobId };
  });
}

/** Streams a file's bytes from `start` on. Throws what `listFiles` throws. */
export function fileBytes(path: string, start: number, options: HubOptions): AsyncIterable<Uint8Array> {
  const { repo, revision, hubUrl } = options;
  return get(`${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`, start, options);
}

/** Sends a request and streams the answer, from the file's byte `start` on. */
async function* get(url: string, start: number, options: HubOptions): AsyncGenerator<Uint8Array, void, void> {
  const { hubUrl, token, signal } = options;
  const headers = {
    "accept-encoding": "identity", // a range counts the file's own bytes
    ...(token && { authorization: `Bearer ${token}` }), // `fetch` drops it when redirected to another host
    ...(start > 0 && { range: `bytes=${start}-` }),
  };
  const request = new AbortController();
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.any([request.signal, signal]) });
    if (response.status !== 200 && !(start > 0 && response.status === 206)) {
      throw explainStatus(response, options);
    }
    let skip = response.status === 206 ? 0 : start; // a server without ranges sends the file from its beginning
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      if (chunk.length > skip) yield chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    signal.throwIfAborted();
    const { message, code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    const hint = "check the network, or set HF_ENDPOINT to a mirror";
    throw new ConnectionError(`the connection to ${hubUrl} failed (${message || code}); ${hint}`);
  } finally {
    request.abort(); // an answer that is not read to its end would keep the process alive
  }
}

/** The error for an unsuccessful response, with what to do next. */
function explainStatus({ status, headers, url }: Response, options: HubOptions): InputError {
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
