// Where the tiles of a service lie, also where the map repeats beyond the 180th meridian.

import { type Extent, type Projection, getCenter, getIntersection, getWidth, isEmpty } from "./openlayers";
import { type LevelOfDetail, type ServiceDocument, levelsOf } from "./service";
import { extentOf } from "./tiling";

const WORLDWIDE = 0.9; // of the world; the map of a smaller service does not repeat
const ROUNDING = 1e-6;

/** Rows and columns of tiles, half-open. */
export interface TileRange {
  firstRow: number;
  lastRow: number;
  firstColumn: number;
  lastColumn: number;
}

export class World {
  /** Width in map units after which the map repeats; 0 if it does not. */
  readonly width: number;
  private readonly extent: Extent;

  constructor(
    private readonly service: ServiceDocument,
    projection: Projection,
  ) {
    this.extent = extentOf(service);
    const width = projection.isGlobal() ? getWidth(projection.getExtent()) : 0;
    const { cols } = service.tileInfo;
    const isRepeated = levelsOf(service).every(({ resolution }) => {
      const tiles = width / (cols * resolution);
      return Math.round(tiles) > 0 && Math.abs(tiles - Math.round(tiles)) < ROUNDING * tiles;
    });
    this.width = isRepeated && getWidth(this.extent) > WORLDWIDE * width ? width : 0;
  }

  /** Return the distance, in whole worlds, that brings the middle of an extent nearest to a place. */
  shiftTo(x: number, extent: Extent): number {
    return this.width ? Math.round((x - getCenter(extent)[0]!) / this.width) * this.width : 0;
  }

  /** Return the distance, in whole worlds, that brings the middle of an extent into the world. */
  shiftHome(extent: Extent): number {
    return this.shiftTo(0, extent);
  }

  /** Return the parts of an extent that lie in the service: two if it crosses the 180th meridian. */
  parts(extent: Extent): Extent[] {
    let parts = [extent];
    if (this.width) {
      if (getWidth(extent) >= this.width) {
        parts = [[this.extent[0]!, extent[1]!, this.extent[2]!, extent[3]!]];
      } else {
        const shift = this.shiftHome(extent);
        parts = [-this.width, 0, this.width].map((step) => [
          extent[0]! + shift + step,
          extent[1]!,
          extent[2]! + shift + step,
          extent[3]!,
        ]);
      }
    }
    return parts.map((part) => getIntersection(part, this.extent)).filter((part) => !isEmpty(part));
  }

  /** Return the tiles of a level that an extent touches, in ranges that do not overlap. */
  tileRanges({ resolution }: LevelOfDetail, extent: Extent): TileRange[] {
    const { origin, rows, cols } = this.service.tileInfo;
    const ranges = this.parts(extent)
      .sort((one, other) => one[0]! - other[0]!)
      .map(([left, bottom, right, top]) => {
        const [firstRow, lastRow] = span(origin.y - top!, origin.y - bottom!, rows * resolution);
        const [firstColumn, lastColumn] = span(left! - origin.x, right! - origin.x, cols * resolution);
        return { firstRow, lastRow, firstColumn, lastColumn };
      });
    const [west, east] = ranges;
    if (west && east) east.firstColumn = Math.max(east.firstColumn, west.lastColumn);
    return ranges.filter(({ firstColumn, lastColumn }) => firstColumn < lastColumn);
  }

  /** Return the number of tiles of a level that an extent touches. */
  countTiles(level: LevelOfDetail, extent: Extent): number {
    return this.tileRanges(level, extent).reduce(
      (sum, { firstRow, lastRow, firstColumn, lastColumn }) => sum + (lastRow - firstRow) * (lastColumn - firstColumn),
      0,
    );
  }
}

/** Return the tiles along one axis between two distances from the origin. */
function span(low: number, high: number, size: number): [number, number] {
  const first = Math.floor(low / size + ROUNDING);
  return [first, Math.max(first + 1, Math.ceil(high / size - ROUNDING))];
}
