import { InputError } from "../util/errors.js";
import type { HubOptions } from "./hub.js";

/** The connection was lost, or the server is busy: worth another try. */
export class Dropped extends InputError {
  override readonly name: string = "Dropped";
}

/** There is no network, or nobody at the address. */
export class Unreachable extends Dropped {
  override readonly name = "Unreachable";
}

const UNREACHABLE = new Set([
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** What no further try changes: a certificate that is not trusted, a port that `fetch` refuses. */
const NEVER = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|^bad port$/;

/** What it means that a request has no answer; an error that is explained already stays as it is. */
export function explainNoAnswer(error: unknown, { hubUrl }: HubOptions): InputError {
  if (error instanceof InputError) return error;
  const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException & { hostname?: string };
  const { code, message, hostname = new URL(hubUrl).hostname } = cause;
  const host = hostname === new URL(hubUrl).hostname ? hubUrl : hostname; // the hub sends on for large files
  if (NEVER.test(code ?? message)) return new InputError(`${host} cannot be used (${code ?? message})`);
  const sentence = `${host} cannot be reached (${code ?? message}); is there a network? HF_ENDPOINT can name a mirror`;
  return UNREACHABLE.has(code ?? "") ? new Unreachable(sentence) : new Dropped(sentence);
}

/** What it means that an answer ends too early; an error that is explained already stays as it is. */
export function explainLoss(error: unknown): InputError {
  if (error instanceof InputError) return error;
  const { message, cause } = error as Error & { cause?: Error };
  return new Dropped(`the connection was lost (${cause?.message ?? message ?? String(error)})`);
}

/**
 * What it means that the answer is no, and what to do.
 *
 * @param file that was asked for; undefined for the list of all
 */
export function explainRefusal(response: Response, options: HubOptions, file?: string): InputError {
  const { status, headers, url } = response;
  const { repo, revision, hubUrl, token } = options;
  const code = headers.get("x-error-code");
  if (new URL(url).origin !== new URL(hubUrl).origin) {
    // Large files come from elsewhere, by an address that the hub has signed for an hour: the next try asks for another.
    return new Dropped(
      `${new URL(url).host}, where ${hubUrl} keeps ${file}, answered with status ${status}; try again later`,
    );
  }
  if (code === "GatedRepo" || status === 403) {
    return new InputError(
      `${repo} is gated: accept its licence on ${hubUrl}/${repo}, then ` +
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
  if (file && status === 404 && code !== "RepoNotFound")
    return new InputError(`${repo} has no ${file} on ${hubUrl}, though it was listed; try again`);
  if (status === 401 || status === 404) {
    const hidden = token ? "" : ", or is private: then set HF_TOKEN to an access token that may read it";
    return new InputError(`${repo} is not on ${hubUrl}${hidden}`);
  }
  if (status === 429 || status >= 500)
    return new Dropped(`${hubUrl} is busy (status ${status}); try again later`);
  return new InputError(`${hubUrl} answered with status ${status} for ${file ?? repo}`);
}
