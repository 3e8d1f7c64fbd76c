// The sliders that choose levels, and say in words what each level shows.

import { element, field } from "./dom";
import { type Extent, type Projection, getCenter } from "./openlayers";
import { type LevelOfDetail, type ServiceDocument, levelsOf } from "./service";
import { extentOf, metresPerPixel } from "./tiling";
import { counted, metres, scale, visibleThings } from "./wording";
import type { World } from "./world";

const COMFORTABLE_TILES = 50_000; // levels are suggested so that an area has no more
const OVERVIEW_TILES = 2_000; // of the whole map in less detail

/** The positions of the coarsest and the finest level among those of the service. */
export interface LevelChoice {
  coarsest: number;
  finest: number;
  /** False as long as the levels are suggested. */
  areChosen: boolean;
}

export class LevelSliders {
  readonly levels: LevelOfDetail[];
  private readonly coarsest = field("coarsest-level");
  private readonly finest = field("finest-level");
  private areChosen = false;

  constructor(
    private readonly service: ServiceDocument,
    private readonly projection: Projection,
    private readonly world: World,
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
    this.choose({ coarsest: 0, finest: this.levels.length - 1, areChosen: false });
  }

  get choice(): LevelChoice {
    const [coarsest, finest] = [this.coarsest.valueAsNumber, this.finest.valueAsNumber];
    return { coarsest, finest, areChosen: this.areChosen };
  }

  choose({ coarsest, finest, areChosen }: LevelChoice): void {
    this.coarsest.value = String(coarsest);
    this.finest.value = String(finest);
    this.areChosen = areChosen;
  }

  /** Return the levels of a choice, coarsest first. */
  chosen({ coarsest, finest }: LevelChoice = this.choice): LevelOfDetail[] {
    return this.levels.slice(coarsest, finest + 1);
  }

  finestOf({ finest }: LevelChoice = this.choice): LevelOfDetail {
    return this.levels[finest]!;
  }

  /** Return the number of tiles that an extent touches at the levels of a choice. */
  countTiles(extent: Extent, choice: LevelChoice = this.choice): number {
    return this.chosen(choice).reduce((sum, level) => sum + this.world.countTiles(level, extent), 0);
  }

  /** Choose as many levels as give a package of a comfortable size, unless somebody has chosen. */
  suggest(extent: Extent): void {
    if (this.areChosen) return;
    const limit = Math.min(COMFORTABLE_TILES, this.service.maxExportTilesCount);
    const { coarsest } = this.choice;
    this.finest.value = String(Math.max(coarsest, this.finestWithin(limit, extent, coarsest)));
  }

  /** Return the levels of the whole map, coarser than the finest level of the areas, that are a small part of a package. */
  overview(finest: number): LevelOfDetail[] {
    const last = Math.min(this.finestWithin(OVERVIEW_TILES, extentOf(this.service), 0), finest - 1);
    return this.levels.slice(0, Math.max(0, last) + 1);
  }

  /** Return the position of the finest level down to which an extent has at most a number of tiles. */
  private finestWithin(limit: number, extent: Extent, coarsest: number): number {
    let total = 0;
    let found = coarsest;
    for (let index = coarsest; index < this.levels.length; index += 1) {
      total += this.world.countTiles(this.levels[index]!, extent);
      if (total > limit) break;
      found = index;
    }
    return found;
  }

  /** Say what the chosen levels show in the middle of an extent. */
  describe(extent: Extent): void {
    for (const slider of [this.coarsest, this.finest]) {
      const { level, resolution, scale: denominator } = this.levels[slider.valueAsNumber]!;
      const ground = this.ground(resolution, extent);
      const text = `Level ${level} shows ${visibleThings(ground)}: ${metres(ground)} a pixel, ${scale(denominator)}`;
      element(`${slider.id}-text`).textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
  }

  /** Return what the overview adds, in words. */
  overviewText(overview: LevelOfDetail[]): string {
    const extent = extentOf(this.service);
    const tiles = overview.reduce((sum, level) => sum + this.world.countTiles(level, extent), 0);
    const { level, resolution } = overview.at(-1)!;
    return `Down to level ${level}, which shows ${visibleThings(this.ground(resolution, extent))}: ${counted(tiles, "tile")}`;
  }

  /** Return what a choice shows, in words. */
  choiceText(choice: LevelChoice, extent: Extent): string {
    const levels = this.chosen(choice);
    const [first, last] = [levels[0]!, levels.at(-1)!];
    const named = first === last ? `level ${last.level}` : `levels ${first.level} to ${last.level}`;
    return `${named}, down to ${visibleThings(this.ground(last.resolution, extent))}`;
  }

  private ground(resolution: number, extent: Extent): number {
    return metresPerPixel(this.projection, resolution, getCenter(extent));
  }
}
