// Areas in the JSON of Esri, as GeoJSON.

import type { Feature, Geometry, Position } from "geojson";
import { FileProblem } from "./file_problem";
import type { SpatialReference } from "./service";

/** The members that documents of areas may have. */
export interface Json {
  type?: string;
  features?: Json[];
  geometry?: Json | null;
  attributes?: Record<string, unknown>;
  crs?: unknown;
  spatialReference?: SpatialReference;
  rings?: Position[][];
  paths?: Position[][];
  points?: Position[];
  x?: number;
  y?: number;
  xmin?: number;
  ymin?: number;
  xmax?: number;
  ymax?: number;
}

const GEOMETRIES = ["rings", "paths", "points", "x", "xmin", "curveRings", "curvePaths"];

/** Return true if a document is a geometry, a feature or a set of features as Esri writes them. */
export function isEsri(document: Json): boolean {
  if (document.type === "FeatureCollection" || document.type === "Feature") return false;
  return "features" in document || "attributes" in document || hasGeometry(document.geometry ?? document);
}

/** Return the features of a document, and the one reference of all. */
export function fromEsri(document: Json, name: string): { features: Feature[]; crs: Json } {
  const members = document.features ?? [document];
  const geometries = members.map((member) => (hasGeometry(member) ? member : (member.geometry ?? {})));
  const references = geometries.map((geometry, at) => geometry.spatialReference ?? members[at]!.spatialReference);
  const named = references.map((reference) => normalised(reference ?? document.spatialReference));
  const [first] = named;
  if (!first) throw new FileProblem(`${name} names no spatialReference. Add it, such as {"wkid":4326} for degrees.`);
  if (named.some((each) => JSON.stringify(each) !== JSON.stringify(first))) {
    throw new FileProblem(`${name} has several values of spatialReference. Convert it to WGS 84.`);
  }
  const features = members.map((member, at): Feature => ({
    type: "Feature",
    properties: member.attributes ?? {},
    geometry: geometryOf(geometries[at]!, name) as Geometry, // null where a feature has no place
  }));
  return { features, crs: { spatialReference: first } };
}

function hasGeometry(value: Json): boolean {
  return GEOMETRIES.some((member) => member in value);
}

function geometryOf(geometry: Json, name: string): Geometry | null {
  const flat = (positions: Position[]): Position[] => positions.map(([x, y]) => [x!, y!]);
  if ("curveRings" in geometry || "curvePaths" in geometry) {
    throw new FileProblem(`${name} has curves. Convert it to a format without them, such as a shapefile.`);
  }
  if (geometry.rings) return { type: "Polygon", coordinates: geometry.rings.map(flat) };
  if (geometry.paths) return { type: "MultiLineString", coordinates: geometry.paths.map(flat) };
  if (geometry.points) return { type: "MultiPoint", coordinates: flat(geometry.points) };
  if (typeof geometry.x === "number") return { type: "Point", coordinates: [geometry.x, geometry.y!] };
  if (geometry.xmin === undefined) return null;
  const [west, south, east, north] = [geometry.xmin, geometry.ymin!, geometry.xmax!, geometry.ymax!];
  const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]; // prettier-ignore
  return { type: "Polygon", coordinates: [ring] };
}

/** Return a reference that may also be a number or a name such as EPSG:25832. */
function normalised(reference: unknown): SpatialReference | undefined {
  if (typeof reference === "number") return { wkid: reference };
  if (typeof reference === "string") return { wkid: Number(reference.match(/\d+$/)?.[0]) };
  if (reference === undefined || reference === null) return undefined;
  const { wkid, latestWkid, wkt } = reference as SpatialReference;
  if (wkid === undefined && latestWkid === undefined && wkt === undefined) return undefined;
  return {
    ...(wkid !== undefined ? { wkid: Number(wkid) } : {}),
    ...(latestWkid !== undefined ? { latestWkid: Number(latestWkid) } : {}),
    ...(wkt !== undefined ? { wkt } : {}),
  };
}
