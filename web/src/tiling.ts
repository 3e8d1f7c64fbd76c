// The map's projection and tile grid: those of the service, whatever its tiling scheme.

import {
  type Extent,
  Projection,
  TileGrid,
  addCoordinateTransforms,
  addProjection,
  getPointResolution,
  getProjection,
} from "./openlayers";
import { type LevelOfDetail, type MapData, type ServiceDocument, levelsOf } from "./service";

const WEB_MERCATOR = new Set([3785, 3857, 900913, 102100, 102113]);
const CODE = "service";

/** Return the full extent of a service. */
export function extentOf(service: ServiceDocument): Extent {
  const { xmin, ymin, xmax, ymax } = service.fullExtent;
  return [xmin, ymin, xmax, ymax];
}

/**
 * Return the projection of a service.
 *
 * A definition that proj4 cannot read still shows the map, but not degrees: see `knowsDegrees`.
 */
export async function projectionOf({ service, projection }: Omit<MapData, "prices">): Promise<Projection> {
  const { wkid, latestWkid } = service.spatialReference;
  const known = [latestWkid, wkid].find((id) => id !== undefined && (id === 4326 || WEB_MERCATOR.has(id)));
  if (known !== undefined) return getProjection(known === 4326 ? "EPSG:4326" : "EPSG:3857") as Projection;
  const extent = extentOf(service);
  try {
    const { default: proj4 } = await import("proj4");
    proj4.defs(CODE, projection as never);
    const converter = proj4("EPSG:4326", CODE);
    const centre = converter.inverse([(extent[0]! + extent[2]!) / 2, (extent[1]! + extent[3]!) / 2]);
    if (!centre.every(Number.isFinite)) throw new Error("The projection has no inverse.");
    const definition = proj4.defs(CODE);
    const isGeographic = definition.projName === "longlat";
    const made = new Projection({
      code: CODE,
      extent,
      units: isGeographic ? "degrees" : "m",
      metersPerUnit: isGeographic ? (Math.PI * 6378137) / 180 : (definition.to_meter ?? 1),
    });
    addProjection(made);
    const forward = (xy: number[]) => converter.forward([xy[0]!, xy[1]!]);
    const inverse = (xy: number[]) => converter.inverse([xy[0]!, xy[1]!]);
    addCoordinateTransforms("EPSG:4326", made, forward, inverse);
    return made;
  } catch {
    return new Projection({ code: "unknown", extent, units: "m" });
  }
}

/** Return true if places on the map can be given in degrees. */
export function knowsDegrees(projection: Projection): boolean {
  return projection.getCode() !== "unknown";
}

/** Return the tile grid of the levels that hold tiles; the grid's z is the index of a level in `levels`. */
export function tileGridOf(service: ServiceDocument, levels: LevelOfDetail[]): TileGrid {
  const { origin, rows, cols } = service.tileInfo;
  return new TileGrid({
    origin: [origin.x, origin.y],
    resolutions: levels.map(({ resolution }) => resolution),
    tileSize: [cols, rows],
    extent: extentOf(service),
  });
}

/** Return the levels that a map can show: each finer than the one before. */
export function drawnLevels(service: ServiceDocument): LevelOfDetail[] {
  const drawn: LevelOfDetail[] = [];
  for (const level of levelsOf(service)) {
    if (level.resolution < (drawn.at(-1)?.resolution ?? Infinity)) drawn.push(level);
  }
  return drawn;
}

/** Return the metres on the ground of one pixel at a place. */
export function metresPerPixel(projection: Projection, resolution: number, place: number[]): number {
  return getPointResolution(projection, resolution, place, "m");
}
