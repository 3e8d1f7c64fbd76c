// Spatial references of files: their coordinates in degrees, to show them on the map.

import type { FeatureCollection } from "geojson";
import { GeoJSON, type Projection, getTransform } from "./openlayers";
import type { ServiceDocument } from "./service";
import { knowsDegrees } from "./tiling";

const CODE = /(?:^|[:/])(\d{4,6})$/;
const DEGREES = /CRS-?84$|(?:^|[:/])(?:4326|4258|4269|7844)$/i; // these differ by a metre or two, which no map shows
const WEB_MERCATOR = /(?:^|[:/])(?:3857|900913|102100)$/;

/**
 * Return features in degrees; null if the reference is unknown.
 *
 * @param reference a name such as EPSG:3857, or WKT; undefined for degrees.
 */
export async function toDegrees(
  collection: FeatureCollection,
  reference: string | undefined,
  projection: Projection,
  service: ServiceDocument,
): Promise<FeatureCollection | null> {
  if (reference === undefined || DEGREES.test(reference)) return collection;
  const forward = await transformOf(reference, projection, service);
  if (!forward) return null;
  const format = new GeoJSON();
  const features = format.readFeatures(collection);
  for (const feature of features) feature.getGeometry()?.applyTransform(forward);
  return format.writeFeaturesObject(features) as FeatureCollection;
}

async function transformOf(reference: string, projection: Projection, service: ServiceDocument) {
  if (WEB_MERCATOR.test(reference)) return getTransform("EPSG:3857", "EPSG:4326");
  const code = Number(reference.match(CODE)?.[1]);
  const { wkid, latestWkid } = service.spatialReference;
  if ((code === wkid || code === latestWkid) && knowsDegrees(projection)) return getTransform(projection, "EPSG:4326");
  if (!reference.includes("[")) return null;
  try {
    const { default: proj4 } = await import("proj4");
    const converter = proj4(reference, "EPSG:4326");
    return (coordinates: number[], _output?: number[], dimension = 2) => {
      for (let at = 0; at < coordinates.length; at += dimension) {
        [coordinates[at], coordinates[at + 1]] = converter.forward([coordinates[at]!, coordinates[at + 1]!]);
      }
      return coordinates;
    };
  } catch {
    return null; // not WKT, or of a projection that is not known
  }
}
