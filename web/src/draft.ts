// The areas that were chosen last, kept in this tab, so that a reload or the back button does not lose them.

import type { Entry } from "./area_list";

/** What somebody chose on the map page. */
export interface Draft {
  entries: Entry[];
  /** Values of the controls by their ids. */
  controls: Record<string, string | boolean>;
}

const KEY = "exporttiles.draft.1"; // with the version of what is stored

/**
 * Return the draft of a service; null if there is none.
 *
 * @param levelCount of the service, which may have lost levels since.
 */
export function loadDraft(service: string, levelCount: number): Draft | null {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as (Draft & { service: string }) | null;
    if (stored?.service !== service || !stored.entries.length) return null;
    return stored.entries.every(({ levels }) => levels.finest < levelCount) ? stored : null;
  } catch {
    return null; // storage is forbidden or damaged
  }
}

/** Keep the draft of a service in place of any other. */
export function saveDraft(service: string, draft: Draft): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ service, ...draft }));
  } catch {
    forgetDraft(); // storage is forbidden, or the file of an area too large for it
  }
}

export function forgetDraft(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Without storage there is no draft.
  }
}
