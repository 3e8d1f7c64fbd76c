// Areas in files: GeoJSON, KML, GPX and zipped shapefiles, read in the browser.

import type { Feature, FeatureCollection, Geometry } from "geojson";

const MOST_BYTES = 20_000_000;
const MOST_SENT_CHARACTERS = 6_000_000; // the API takes 6 MB
const DEPTHS: Record<string, number> = {
  Point: 0,
  MultiPoint: 1,
  LineString: 1,
  MultiLineString: 2,
  Polygon: 2,
  MultiPolygon: 3,
}; // of the lists around a position

/** A file that cannot be used; the message is for people. */
export class FileProblem extends Error {}

export interface FileArea {
  /** Polygons; if there are none, lines and points, which need a distance. In degrees. */
  collection: FeatureCollection;
  isRoute: boolean;
  /** What was read, in words. */
  summary: string;
}

/** Read the areas in a file. */
export async function readFile(file: File): Promise<FileArea> {
  if (file.size > MOST_BYTES) throw new FileProblem(`${file.name} is larger than 20 MB.`);
  try {
    return areaOf(await featuresOf(file), file.name);
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${file.name} cannot be read. It must be GeoJSON, KML, GPX or a zipped shapefile.`);
  }
}

function areaOf(features: Feature[], name: string): FileArea {
  const parts = features.flatMap(({ geometry }) => simpleGeometries(geometry));
  const polygons = parts.filter(({ type }) => type.endsWith("Polygon"));
  const others = parts.filter(({ type }) => !type.endsWith("Polygon"));
  const used = polygons.length ? polygons : others;
  if (!used.length) throw new FileProblem(`${name} has no polygon, line or point.`);
  if (!used.every((geometry) => positionsOf(geometry).every(isInDegrees))) {
    throw new FileProblem(`${name} has coordinates that are not longitude and latitude in degrees.`);
  }
  const collection: FeatureCollection = {
    type: "FeatureCollection",
    features: used.map((geometry) => ({ type: "Feature", properties: {}, geometry })),
  };
  if (new URLSearchParams({ a: JSON.stringify(collection) }).toString().length > MOST_SENT_CHARACTERS) {
    throw new FileProblem(`${name} has too many corners to be sent. Simplify it, or choose a smaller part.`);
  }
  const left = polygons.length ? others.length : 0;
  const noun = polygons.length ? "polygon" : "line or point";
  const nouns = polygons.length ? "polygons" : "lines and points";
  return {
    collection,
    isRoute: !polygons.length,
    summary:
      `${used.length} ${used.length === 1 ? noun : nouns} of ${name}.` +
      (left ? ` Lines and points beside the polygons are left out (${left}).` : ""),
  };
}

async function featuresOf(file: File): Promise<Feature[]> {
  const suffix = file.name.toLowerCase().split(".").at(-1);
  if (suffix === "kml" || suffix === "gpx") {
    const { gpx, kml } = await import("@tmcw/togeojson");
    const document = new DOMParser().parseFromString(await file.text(), "text/xml");
    if (document.querySelector("parsererror")) throw new FileProblem(`${file.name} is not XML.`);
    const { features } = suffix === "kml" ? kml(document) : gpx(document);
    return features.filter((feature): feature is Feature => feature.geometry !== null);
  }
  if (suffix === "zip") {
    const { default: shapefile } = await import("shpjs");
    const found = await shapefile(await file.arrayBuffer());
    return [found].flat().flatMap(({ features }) => features);
  }
  if (suffix === "kmz") throw new FileProblem(`${file.name} is a KMZ: unzip it, and choose the KML inside.`);
  const document = JSON.parse(await file.text()) as Feature | FeatureCollection | Geometry;
  if (document.type === "FeatureCollection") return document.features;
  return document.type === "Feature" ? [document] : [{ type: "Feature", properties: {}, geometry: document }];
}

/** Return a geometry, or those of a collection. */
function simpleGeometries(geometry: Geometry | null): Geometry[] {
  if (!geometry) return [];
  return geometry.type === "GeometryCollection" ? geometry.geometries.flatMap(simpleGeometries) : [geometry];
}

/** Return the positions of a geometry. Throw an error if it has none, or if they are nested otherwise than they should. */
function positionsOf(geometry: Geometry): number[][] {
  const depth = DEPTHS[geometry.type];
  if (depth === undefined || geometry.type === "GeometryCollection") throw new Error("There is no such geometry.");
  const positions = [geometry.coordinates].flat(depth) as number[][];
  if (!positions.length || !positions.every(isPosition)) throw new Error("Its coordinates are not positions.");
  return positions;
}

function isPosition(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number";
}

function isInDegrees([longitude, latitude]: number[]): boolean {
  return Math.abs(longitude!) <= 360 && Math.abs(latitude!) <= 90;
}
