// Requests to the API of the service.

export interface Estimate {
  tiles: number;
  bytes: number;
  /** How long the export takes; undefined where that is not known. */
  seconds: number | undefined;
}

const ANSWER_LIMIT_MS = 120_000; // time to send a large area over a slow connection
const PAGE_LIMIT_MS = 30_000;

/** An answer that refuses a request; the message is for people. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }

  /** Return true if the caller has to sign in. */
  get needsSignIn(): boolean {
    return this.code === 498 || this.code === 499;
  }
}

interface ErrorDocument {
  error?: { code: number; message: string; details: string[] };
}

/** Request a JSON document; parameters are sent as a form. Throw a `Refusal` if the answer is an error. */
export async function request<T>(path: string, parameters?: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const fields = new URLSearchParams({ ...parameters, f: "json" });
  const options = { signal: limitedSignal(ANSWER_LIMIT_MS, signal) };
  let response: Response;
  let text: string;
  try {
    response = parameters
      ? await fetch(path, { method: "POST", body: fields, ...options })
      : await fetch(`${path}?${fields}`, options);
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("The server cannot be reached. Check the connection, then try again.", 0);
  }
  let document: T & ErrorDocument;
  try {
    document = JSON.parse(text) as T & ErrorDocument;
  } catch {
    throw new Refusal(reasonOf(response.status), response.status);
  }
  if (document.error) {
    const { code, message, details } = document.error;
    throw new Refusal(details.length ? details.join(" ") : message, code);
  }
  if (!response.ok) throw new Refusal(reasonOf(response.status), response.status);
  return document;
}

/** Return the reason why a request failed that did not reach the API, in words. */
function reasonOf(status: number): string {
  if (status === 413) return "The area has too many corners to be sent. Simplify it, or choose a smaller one.";
  if (status === 429 || status === 503) return "The server is busy. Try again in a moment.";
  return `The server answered with status ${status}. Try again in a moment.`;
}

/** Return a signal that ends a request in time: a lost connection may never answer. */
function limitedSignal(limitMs: number, signal?: AbortSignal): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), limitMs);
  signal?.addEventListener("abort", () => controller.abort());
  return controller.signal;
}

interface Submitted {
  jobId: string;
}

interface EstimateResult {
  value: { totalSize: number; totalTilesToExport: number; totalSeconds?: number };
}

/** Return tiles, bytes and duration of an export. */
export async function estimate(
  service: string,
  parameters: Record<string, string>,
  signal: AbortSignal,
): Promise<Estimate> {
  const { jobId } = await request<Submitted>(`${service}/estimateExportTilesSize`, parameters, signal);
  const { value } = await request<EstimateResult>(
    `${service}/jobs/${jobId}/results/out_service_url`,
    undefined,
    signal,
  );
  return { tiles: value.totalTilesToExport, bytes: value.totalSize, seconds: value.totalSeconds };
}

/** Start an export and return the id of its job. A repeated call with the same token finds the same job. */
export async function startExport(service: string, parameters: Record<string, string>, token: string): Promise<string> {
  return (await request<Submitted>(`${service}/exportTiles`, { ...parameters, clientToken: token })).jobId;
}

/** Return a new idempotency token. */
export function newToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const GONE = 400; // the job has expired, or belongs to another key

/** What a page of a job shows, as the server renders it. */
export interface RenderedJob {
  /** Null if the server did not answer, which may be for a moment, or refused to show it. */
  job: HTMLElement | null;
  isGone: boolean;
  needsSignIn: boolean;
}

/** Return the present contents of the page of a job. */
export async function renderedJob(path: string): Promise<RenderedJob> {
  try {
    const response = await fetch(path, { headers: { accept: "text/html" }, signal: limitedSignal(PAGE_LIMIT_MS) });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.querySelector<HTMLElement>("[data-job]");
    const needsSignIn = [403, 498, 499].includes(response.status);
    return { job: found && document.adoptNode(found), isGone: response.status === GONE, needsSignIn };
  } catch {
    return { job: null, isGone: false, needsSignIn: false };
  }
}
