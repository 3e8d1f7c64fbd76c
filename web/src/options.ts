// The app, and how pictures are stored: what the service and the app allow, and why something is off.

import { element, field, inputs } from "./dom";
import type { ServiceDocument } from "./service";

const WITH_TRANSPARENCY = "MIXED"; // JPEG, and PNG where the map is transparent

export class ExportOptions {
  readonly app = element<HTMLSelectElement>("app");
  private readonly clip = field("clip");
  private readonly clipColor = element<HTMLSelectElement>("clip-color");
  private readonly tileFormat = element<HTMLSelectElement>("tile-format");

  constructor(
    private readonly service: ServiceDocument,
    changed: () => void,
  ) {
    this.app.addEventListener("change", () => this.convertForApp());
    const controls = [this.app, this.clip, this.clipColor, this.tileFormat, ...inputs("quality")];
    for (const control of controls) control.addEventListener("change", changed);
    this.convertForApp();
  }

  /** True if pictures are made smaller. */
  get isSmaller(): boolean {
    return (
      this.tileFormat.value !== "PNG" && inputs("quality").some(({ checked, value }) => checked && value === "smaller")
    );
  }

  /** Switch options on and off. */
  update(hasOutside: boolean): void {
    const { format } = this.service.tileInfo;
    const isHeights = format === "LERC";
    const mustConvert = this.app.selectedOptions[0]?.dataset["converted"] !== undefined;
    let clipNote = "";
    if (isHeights) clipNote = "This map holds heights, which cannot be cut.";
    else if (!hasOutside) clipNote = "Nothing lies outside: all of this map is chosen.";
    else if (format === "WEBP" && !this.tileFormat.value)
      clipNote = "WebP pictures cannot be cut: choose another format below.";
    this.clip.disabled = clipNote !== "";
    element("clip-note").textContent = clipNote;
    element("clip-options").hidden = this.clip.disabled || !this.clip.checked;
    this.tileFormat.disabled = isHeights;
    this.tileFormat.querySelector<HTMLOptionElement>("[value='']")!.disabled = mustConvert;
    const formatNote = mustConvert ? `This app does not show ${format} pictures: they are converted.` : "";
    element("format-note").textContent = isHeights ? "This map holds heights, not pictures." : formatNote;
    for (const radio of inputs("quality")) radio.disabled = this.tileFormat.value === "PNG";
  }

  parameters(): Record<string, string> {
    const isClipped = this.clip.checked && !this.clip.disabled;
    return {
      tilePackage: "true",
      storageFormatType: this.app.value,
      ...(this.isSmaller ? { optimizeTilesForSize: "true" } : {}),
      ...(this.tileFormat.value ? { tileFormat: this.tileFormat.value } : {}),
      ...(isClipped ? { clip: "true" } : {}),
      ...(isClipped && this.clipColor.value ? { clipColor: this.clipColor.value } : {}),
    };
  }

  /** Choose a format that the app shows. */
  private convertForApp(): void {
    const mustConvert = this.app.selectedOptions[0]?.dataset["converted"] !== undefined;
    if (mustConvert && !this.tileFormat.value) this.tileFormat.value = WITH_TRANSPARENCY;
  }
}
