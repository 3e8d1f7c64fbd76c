// The area to export, and the request parameters that name it.

import type { Feature, FeatureCollection } from "geojson";
import type { Envelope, SpatialReference } from "./service";

/**
 * Everything, or a geometry with its spatial reference.
 *
 * A route, and lines of a file, have a distance on either side. The features of a file with `packageBy` become one
 * package for each value of that attribute.
 */
export type Area =
  | { kind: "everything" }
  | { kind: "rectangle"; envelope: Envelope; reference: SpatialReference }
  | { kind: "shape"; rings: number[][][]; reference: SpatialReference }
  | FileArea
  | { kind: "route"; paths: number[][][]; reference: SpatialReference; metres: number };

/** Features of a file. */
export interface FileArea {
  kind: "file";
  name: string;
  collection: SentCollection;
  /** The same in degrees, for the map; null if they are in degrees already. */
  shown: FeatureCollection | null;
  metres: number | null;
  packageBy: string;
}

/** Features whose coordinates are in degrees, unless a member names another reference. */
export type SentCollection = FeatureCollection & { spatialReference?: SpatialReference; crs?: unknown };

/** An area and the levels at which it is exported. */
export interface AreaWithLevels {
  name: string;
  area: Area;
  levels: number[];
}

export const WGS84: SpatialReference = { wkid: 4326 };

/** Return true if a reference is that of longitude and latitude in degrees, WGS 84. */
export function isInDegrees(reference: SpatialReference): boolean {
  return reference.wkid === WGS84.wkid;
}

const MOST_NAME_CHARACTERS = 60; // of the API

/** Return the request parameters of areas with their levels, and of levels of the whole map. */
export function areaParameters(areas: AreaWithLevels[], overview: number[]): Record<string, string> {
  const [only] = areas;
  if (only && areas.length === 1) {
    return {
      ...texts(membersOf(only.area)),
      levels: only.levels.join(","),
      ...(overview.length && only.area.kind !== "everything" ? { overviewLevels: overview.join(",") } : {}),
    };
  }
  const named = areas.filter(({ area }) => area.kind !== "everything");
  const everywhere = areas.filter(({ area }) => area.kind === "everything").flatMap(({ levels }) => levels);
  const whole = [...new Set([...overview, ...everywhere])].sort((one, other) => one - other);
  const elements = named.map(({ name, area, levels }) => ({
    name: name.replace(/[^\p{L}\p{N} ._-]/gu, "_").slice(0, MOST_NAME_CHARACTERS),
    ...membersOf(area),
    levels: levels.join(","),
  }));
  if (!elements.length) return { levels: whole.join(",") };
  return { areas: JSON.stringify(elements), ...(whole.length ? { overviewLevels: whole.join(",") } : {}) };
}

/** Return the parameters of one area, as JSON. */
function membersOf(area: Area): Record<string, unknown> {
  switch (area.kind) {
    case "everything":
      return {};
    case "rectangle":
      return { exportExtent: { ...area.envelope, spatialReference: area.reference } };
    case "shape":
      return { areaOfInterest: { rings: area.rings, spatialReference: area.reference } };
    case "file":
      return {
        areaOfInterest: { ...area.collection, features: area.collection.features.map(onlyKeeping(area.packageBy)) },
        ...(area.metres !== null ? { bufferDistance: area.metres } : {}),
        ...(area.packageBy ? { packageBy: area.packageBy } : {}),
      };
    case "route":
      return {
        areaOfInterest: { paths: area.paths, spatialReference: area.reference },
        bufferDistance: area.metres,
      };
  }
}

/** Return a function that removes all attributes of a feature but one. */
function onlyKeeping(attribute: string): (feature: Feature) => Feature {
  return (feature) => ({
    ...feature,
    properties: attribute ? { [attribute]: feature.properties?.[attribute] ?? null } : {},
  });
}

function texts(members: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}
