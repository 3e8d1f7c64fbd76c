// The two sliders that choose levels, and say in words what each level shows.

import { element, field } from "./dom";
import { type Extent, type Projection, getCenter } from "./openlayers";
import { type LevelOfDetail, type ServiceDocument, levelsOf } from "./service";
import { countTiles, metresPerPixel } from "./tiling";
import { metres, scale, visibleThings } from "./wording";

const COMFORTABLE_TILES = 50_000; // levels are suggested so that an area has no more

export class LevelSliders {
  private readonly levels: LevelOfDetail[];
  private readonly coarsest = field("coarsest-level");
  private readonly finest = field("finest-level");
  private areChosen = false;

  constructor(
    private readonly service: ServiceDocument,
    private readonly projection: Projection,
    changed: () => void,
  ) {
    this.levels = levelsOf(service);
    for (const slider of [this.coarsest, this.finest]) {
      slider.max = String(this.levels.length - 1);
      slider.addEventListener("input", () => {
        this.areChosen = true;
        const other = slider === this.coarsest ? this.finest : this.coarsest;
        if (this.coarsest.valueAsNumber > this.finest.valueAsNumber) other.value = slider.value;
        changed();
      });
    }
    this.coarsest.value = "0";
    this.finest.value = this.finest.max;
  }

  /** Return the chosen levels, coarsest first. */
  chosen(): LevelOfDetail[] {
    return this.levels.slice(this.coarsest.valueAsNumber, this.finest.valueAsNumber + 1);
  }

  finestChosen(): LevelOfDetail {
    return this.levels[this.finest.valueAsNumber]!;
  }

  /** Return the number of tiles of the chosen levels that an extent touches. */
  countTiles(extent: Extent): number {
    return this.chosen().reduce((sum, level) => sum + countTiles(this.service, level, extent), 0);
  }

  /** Choose as many levels as give a package of a comfortable size, unless somebody has chosen. */
  suggest(extent: Extent): void {
    if (this.areChosen) return;
    const limit = Math.min(COMFORTABLE_TILES, this.service.maxExportTilesCount);
    let total = 0;
    let suggested = 0;
    for (const [index, level] of this.levels.entries()) {
      total += countTiles(this.service, level, extent);
      if (total > limit) break;
      suggested = index;
    }
    this.finest.value = String(suggested);
  }

  /** Say what the chosen levels show in the middle of an extent. */
  describe(extent: Extent): void {
    for (const slider of [this.coarsest, this.finest]) {
      const { level, resolution, scale: denominator } = this.levels[slider.valueAsNumber]!;
      const ground = metresPerPixel(this.projection, resolution, getCenter(extent));
      const text = `Level ${level} shows ${visibleThings(ground)}: ${metres(ground)} a pixel, ${scale(denominator)}`;
      element(`${slider.id}-text`).textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
  }
}
