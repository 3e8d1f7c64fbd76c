// Requests to the API of the service.

export interface Estimate {
  tiles: number;
  bytes: number;
  /** How long the export takes; undefined where that is not known. */
  seconds: number | undefined;
}

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
  let response: Response;
  try {
    response = parameters
      ? await fetch(path, { method: "POST", body: fields, signal: signal ?? null })
      : await fetch(`${path}?${fields}`, { signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal("The server cannot be reached. Check the connection, then try again.", 0);
  }
  let document: T & ErrorDocument;
  try {
    document = (await response.json()) as T & ErrorDocument;
  } catch {
    throw new Refusal(
      response.status === 429
        ? "The server is busy. Try again in a moment."
        : `The server answered with status ${response.status}. Try again in a moment.`,
      response.status,
    );
  }
  if (document.error) {
    const { code, message, details } = document.error;
    throw new Refusal(details.length ? details.join(" ") : message, code);
  }
  if (!response.ok) throw new Refusal("The server is busy. Try again in a moment.", response.status);
  return document;
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
    const response = await fetch(path, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.querySelector<HTMLElement>("[data-job]");
    const needsSignIn = [403, 498, 499].includes(response.status);
    return { job: found && document.adoptNode(found), isGone: response.status === GONE, needsSignIn };
  } catch {
    return { job: null, isGone: false, needsSignIn: false };
  }
}
