// The areas of a package, each with its own levels; one of them is edited.

import type { Area } from "./area";
import { element } from "./dom";
import type { LevelChoice } from "./levels";

const MOST_AREAS = 20; // of the API

export interface Entry {
  /** Null until it is drawn. */
  area: Area | null;
  levels: LevelChoice;
}

export class AreaList {
  entries: Entry[];
  private position = 0;

  /** @param changed is called when another area is to be edited, or one was removed. */
  constructor(
    first: Entry,
    private readonly changed: () => void,
  ) {
    this.entries = [first];
  }

  /** The area that is edited. */
  get current(): Entry {
    return this.entries[this.position]!;
  }

  get others(): Entry[] {
    return this.entries.filter((entry) => entry !== this.current);
  }

  /** The entries whose area is drawn. */
  get drawn(): (Entry & { area: Area })[] {
    return this.entries.filter((entry): entry is Entry & { area: Area } => entry.area !== null);
  }

  /** Return true if one more area can be added. */
  get isOpen(): boolean {
    return this.drawn.length === this.entries.length && this.entries.length < MOST_AREAS;
  }

  nameOf(entry: Entry): string {
    const name = entry.area?.kind === "file" ? `: ${entry.area.name}` : "";
    return `Area ${this.entries.indexOf(entry) + 1}${name}`;
  }

  /** Add an area that is still to be drawn, and edit it. */
  add(levels: LevelChoice): void {
    this.entries.push({ area: null, levels });
    this.position = this.entries.length - 1;
    this.changed();
  }

  /** Replace all areas, and edit the last. */
  restore(entries: Entry[]): void {
    this.entries = entries;
    this.position = entries.length - 1;
  }

  private edit(entry: Entry): void {
    this.leave();
    this.position = this.entries.indexOf(entry);
    this.changed();
  }

  /** Remove an area; the last one becomes empty instead. */
  remove(entry: Entry): void {
    const { current } = this;
    if (this.entries.length > 1) this.entries.splice(this.entries.indexOf(entry), 1);
    else entry.area = null;
    this.position = Math.max(
      0,
      this.entries.includes(current) ? this.entries.indexOf(current) : this.entries.length - 1,
    );
    this.changed();
  }

  /** Forget the area that is edited if it was not drawn. */
  private leave(): void {
    if (this.current.area || this.entries.length === 1) return;
    this.entries.splice(this.position, 1);
    this.position = 0;
  }

  /** Show the list, if there are several areas. */
  show(textOf: (entry: Entry) => string): void {
    element("areas").hidden = this.entries.length < 2;
    const list = element("area-list");
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...this.entries.map((entry) => this.line(entry, textOf(entry))));
    if (focused) list.querySelector("button")?.focus();
  }

  private line(entry: Entry, text: string): HTMLElement {
    const line = document.createElement("li");
    const isCurrent = entry === this.current;
    if (isCurrent) line.setAttribute("aria-current", "true");
    const name = document.createElement("span");
    name.textContent = `${this.nameOf(entry)}: ${text}`;
    line.append(name);
    if (!isCurrent) line.append(this.button("Change", entry, () => this.edit(entry)));
    line.append(this.button("Remove", entry, () => this.remove(entry)));
    return line;
  }

  private button(verb: string, entry: Entry, act: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = verb;
    button.setAttribute("aria-label", `${verb} ${this.nameOf(entry).toLowerCase()}`);
    button.addEventListener("click", act);
    return button;
  }
}
