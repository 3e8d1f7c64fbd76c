// The exports that this browser has looked at last: in its own storage, never sent anywhere.

import { renderedJob } from "./api";

interface Recent {
  /** Path of the page of the job. */
  path: string;
  title: string;
  /** Its package or its tiles. */
  summary: string;
  state: string;
  isFinal: boolean;
  /** Time of the first look, in milliseconds since 1970. */
  at: number;
  /** Time when the job and its package are deleted, in milliseconds since 1970. */
  expiresAt: number;
}

const KEY = "exporttiles.recent";
const MOST = 10;
const EXPIRED = "Expired";

/** Show the list of a page, and renew it: the states of exports that were running, and those that are gone. */
export async function showRecent(section: HTMLElement): Promise<void> {
  section.querySelector("button")!.addEventListener("click", () => {
    store([]);
    list(section);
  });
  list(section);
  for (const entry of recentExports().filter(({ isFinal }) => !isFinal)) {
    const { job, isGone } = await renderedJob(entry.path);
    if (job) remember(entry.path, entry.title, job);
    else if (isGone) replace({ ...entry, state: EXPIRED, isFinal: true });
    list(section);
  }
}

/** Remember an export, or its new state, as its page shows it. */
export function remember(path: string, title: string, job: HTMLElement): void {
  const { state = "", summary = "", final, expires = "" } = job.dataset;
  const at = recentExports().find((each) => each.path === path)?.at ?? Date.now();
  replace({ path, title, summary, state, isFinal: final === "true", at, expiresAt: Date.parse(expires) || Infinity });
}

function list(section: HTMLElement): void {
  const entries = recentExports();
  section.hidden = !entries.length;
  section.querySelector("ul")!.replaceChildren(...entries.map(line));
}

function line({ path, title, summary, state, at, expiresAt }: Recent): HTMLElement {
  const isGone = state === EXPIRED || expiresAt <= Date.now();
  const name = document.createElement(isGone ? "span" : "a");
  if (name instanceof HTMLAnchorElement) name.href = path;
  name.textContent = title;
  const facts = [isGone ? EXPIRED : state, ...(summary ? [summary] : []), age(at)];
  const made = document.createElement("li");
  made.append(name, ` ${facts.join(", ")}`);
  return made;
}

/** Return the remembered exports, newest first. */
function recentExports(): Recent[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.flatMap(readEntry) : [];
  } catch {
    return []; // storage is full, forbidden or damaged
  }
}

function replace(entry: Recent): void {
  const others = recentExports().filter(({ path }) => path !== entry.path);
  store([entry, ...others].sort((one, other) => other.at - one.at).slice(0, MOST));
}

function store(entries: Recent[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Without storage there is no list.
  }
}

/** Return a stored entry; none if it is damaged. Other versions of this script may have left members out. */
function readEntry(value: unknown): Recent[] {
  const { path, title, state, at, summary, isFinal, expiresAt } = (value ?? {}) as Record<string, unknown>;
  if (typeof path !== "string" || !path.startsWith("/arcgis/rest/")) return [];
  if (typeof title !== "string" || typeof state !== "string" || typeof at !== "number") return [];
  const text = typeof summary === "string" ? summary : "";
  const end = typeof expiresAt === "number" ? expiresAt : Infinity;
  return [{ path, title, state, at, summary: text, isFinal: isFinal === true, expiresAt: end }];
}

/** Return how long ago a time was. */
function age(at: number, now = Date.now()): string {
  const minutes = Math.round((now - at) / 60_000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (minutes < 60) return minutes < 1 ? "just now" : format.format(-minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? format.format(-hours, "hour") : format.format(-Math.round(hours / 24), "day");
}
