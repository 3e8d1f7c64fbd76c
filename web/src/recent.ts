// The exports that this browser has looked at last: in its own storage, never sent anywhere.

export interface Recent {
  /** Path of the page of the job. */
  path: string;
  title: string;
  state: string;
  /** Time of the first look, in milliseconds since 1970. */
  at: number;
}

const KEY = "exporttiles.recent";
const MOST = 10;

/** Return the remembered exports, newest first. */
export function recentExports(): Recent[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isRecent) : [];
  } catch {
    return []; // storage is full, forbidden or damaged
  }
}

/** Remember an export, or its new state. */
export function remember(path: string, title: string, state: string): void {
  const others = recentExports();
  const known = others.find((each) => each.path === path);
  const entry = { path, title, state, at: known?.at ?? Date.now() };
  store([entry, ...others.filter((each) => each !== known)].sort((one, other) => other.at - one.at).slice(0, MOST));
}

export function forgetAll(): void {
  store([]);
}

function store(entries: Recent[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Without storage there is no list.
  }
}

function isRecent(value: unknown): value is Recent {
  const { path, title, state, at } = (value ?? {}) as Record<string, unknown>;
  const isText = typeof title === "string" && typeof state === "string" && typeof at === "number";
  return isText && typeof path === "string" && path.startsWith("/arcgis/rest/");
}

/** Return how long ago a time was. */
export function age(at: number, now = Date.now()): string {
  const minutes = Math.round((now - at) / 60_000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (minutes < 60) return minutes < 1 ? "just now" : format.format(-minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? format.format(-hours, "hour") : format.format(-Math.round(hours / 24), "day");
}
