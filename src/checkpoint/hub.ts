import { downloadFile, listFiles } from "@huggingface/hub";
import { InputError } from "../errors.js";

/** A file of a repository, as the hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** sha256 of a large file's bytes; undefined for files that Git holds itself. */
  readonly sha256: string | undefined;
  /** Git's own id, the sha1 of "blob <size>\0" and the bytes; of a large file's pointer otherwise. */
  readonly gitId: string | undefined;
}

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
}

/** The connection was lost, or the server is busy: worth another try. */
export class Dropped extends InputError {
  override readonly name = "Dropped";
}

/** One repository of a Hugging Face hub: `@huggingface/hub` with errors that say what to do. */
export class Hub {
  private failure: unknown; // of the latest request: the library passes on its message alone

  constructor(private readonly options: HubOptions) {
    const { repo, revision, token, hubUrl } = options;
    if (!/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(repo))
      throw new InputError(`the repository is "${repo}", expected a name such as meta-llama/Llama-3.2-1B`);
    if (!/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(revision))
      throw new InputError(`the revision is "${revision}", expected a branch, tag or commit`);
    if (token !== undefined && !/^hf_\w+$/.test(token))
      throw new InputError('HF_TOKEN is no access token, expected one that begins with "hf_"');
    if (!URL.canParse(hubUrl) || !/^https?:$/.test(new URL(hubUrl).protocol))
      throw new InputError(`HF_ENDPOINT is "${hubUrl}", expected an address such as https://huggingface.co`);
  }

  /** All files of the repository. */
  async list(): Promise<HubFile[]> {
    const files: HubFile[] = [];
    try {
      for await (const { type, path, size, lfs, oid } of listFiles({ ...this.where(), recursive: true })) {
        if (type === "file")
          files.push({ path, size: lfs?.size ?? size, sha256: lfs?.oid, gitId: lfs ? undefined : oid });
      }
    } catch (error) {
      throw this.failure ?? error;
    }
    return files;
  }

  /** The bytes of a file from `start` on, as they come. */
  async *bytes(file: HubFile, start: number): AsyncGenerator<Uint8Array, void, void> {
    this.failure = undefined;
    try {
      const info = { size: file.size, etag: "", url: this.url(file.path) };
      const blob = await downloadFile({ ...this.where(), path: file.path, xet: false, downloadInfo: info });
      for await (const chunk of blob!.slice(start).stream() as unknown as AsyncIterable<Uint8Array>)
        yield chunk;
    } catch (error) {
      if (this.failure) throw this.failure;
      this.options.signal?.throwIfAborted();
      const { message, cause } = error as Error & { cause?: Error };
      throw new Dropped(`the connection was lost (${cause?.message ?? message ?? String(error)})`);
    }
  }

  private where() {
    const { repo, revision, hubUrl, token } = this.options;
    const accessToken = token ? { accessToken: token } : {};
    return { repo, revision, hubUrl, ...accessToken, fetch: this.fetch };
  }

  private url(path: string): string {
    const { repo, revision, hubUrl } = this.options;
    return `${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
  }

  private readonly fetch: typeof fetch = async (input, init) => {
    const { hubUrl, signal } = this.options;
    this.failure = undefined;
    try {
      const url = input instanceof Request ? input.url : String(input);
      if (new URL(url).origin !== new URL(hubUrl).origin)
        throw new InputError(`${hubUrl} asked for ${url}, expected an address of its own`); // the token stays here
      const response = await fetch(input, { ...init, ...(signal && { signal }) }).catch((error: unknown) => {
        signal?.throwIfAborted();
        const { code, message } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
        throw new Dropped(
          `${hubUrl} cannot be reached (${code ?? message}); is there a network? HF_ENDPOINT can name a mirror`,
        );
      });
      if (!response.ok) throw this.explain(response.status, response.headers.get("x-error-code"));
      const ranged = new Headers(init?.headers).has("range");
      if (ranged && response.status !== 206)
        throw new InputError(
          `${hubUrl} ignores ranges, so that a download cannot go on where it ended; delete it`,
        );
      return response;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  };

  /** What an error of the hub means, and what to do. */
  private explain(status: number, code: string | null): InputError {
    const { repo, revision, hubUrl, token } = this.options;
    const page = `${hubUrl}/${repo}`;
    if (code === "GatedRepo" || status === 403) {
      return new InputError(
        `${repo} is gated: accept its licence on ${page}, then ` +
          (token
            ? "try again once the owner has let you in (HF_TOKEN must be of the same account, with read access)"
            : `set HF_TOKEN to an access token of that account (${hubUrl}/settings/tokens)`),
      );
    }
    if (status === 401 && code !== "RepoNotFound" && token)
      return new InputError(
        `${hubUrl} does not accept HF_TOKEN, expected a valid one (${hubUrl}/settings/tokens)`,
      );
    if (code === "RevisionNotFound")
      return new InputError(`${repo} has no revision "${revision}", expected a branch, tag or commit`);
    if (status === 401 || status === 404) {
      const hidden = token ? "" : ", or is private: then set HF_TOKEN to an access token that may read it";
      return new InputError(`${repo} is not on ${hubUrl}${hidden}`);
    }
    if (status === 429 || status >= 500)
      return new Dropped(`${hubUrl} is busy (status ${status}); try again later`);
    return new InputError(`${hubUrl} answered with status ${status} for ${repo}`);
  }
}
