// The areas as features of the map.

import { type Area, isInDegrees } from "./area";
import {
  type Extent,
  Feature,
  GeoJSON,
  LineString,
  Polygon,
  type Projection,
  createEmpty,
  extend,
  fromExtent,
  getTransform,
  transformExtent,
} from "./openlayers";
import type { Envelope, ServiceDocument } from "./service";
import { extentOf } from "./tiling";

const NEARLY_POLE = 89.9; // degrees; Web Mercator has no pole
const SIDE_POINTS = 24; // of a rectangle in degrees whose sides are curves on the map

/** Return true if the features of an area are edited on the map. */
export function isEdited(area: Area, projection: Projection): boolean {
  if (area.kind === "rectangle") return !isInDegrees(area.reference) || projection.isGlobal();
  return area.kind === "shape" || area.kind === "route";
}

/** Return an area as features in the coordinates of the map. */
export function featuresOf(area: Area, service: ServiceDocument, projection: Projection): Feature[] {
  switch (area.kind) {
    case "everything":
      return [new Feature(fromExtent(extentOf(service)))];
    case "rectangle":
      return [drawnFeature(rectangleOf(area.envelope, isInDegrees(area.reference), projection), "rectangle")];
    case "shape":
      return [drawnFeature(new Polygon(area.rings), "shape")];
    case "route":
      return [drawnFeature(new LineString(area.paths[0]!), "route")];
    case "file":
      return new GeoJSON().readFeatures(area.shown ?? area.collection, { featureProjection: projection });
  }
}

function drawnFeature(geometry: Polygon | LineString, tool: string): Feature {
  const feature = new Feature(geometry);
  feature.set("tool", tool);
  return feature;
}

function rectangleOf({ xmin, ymin, xmax, ymax }: Envelope, inDegrees: boolean, projection: Projection): Polygon {
  if (!inDegrees) return fromExtent([xmin, ymin, xmax, ymax]);
  const east = xmin > xmax ? xmax + 360 : xmax; // across the 180th meridian
  if (projection.getUnits() === "degrees") return fromExtent([xmin, ymin, east, ymax]);
  const [south, north] = [Math.max(ymin, -NEARLY_POLE), Math.min(ymax, NEARLY_POLE)];
  if (projection.isGlobal()) return fromExtent(transformExtent([xmin, south, east, north], "EPSG:4326", projection));
  const steps = Array.from({ length: SIDE_POINTS }, (_, index) => index / SIDE_POINTS);
  const ring = [
    ...steps.map((share) => [xmin + share * (east - xmin), south]),
    ...steps.map((share) => [east, south + share * (north - south)]),
    ...steps.map((share) => [east - share * (east - xmin), north]),
    ...steps.map((share) => [xmin, north - share * (north - south)]),
  ];
  const polygon = new Polygon([[...ring, ring[0]!]]);
  polygon.applyTransform(getTransform("EPSG:4326", projection)!);
  return polygon;
}

/** Return the extent of features. */
export function extentOfFeatures(features: Feature[]): Extent {
  return features.reduce((all, feature) => extend(all, feature.getGeometry()!.getExtent()), createEmpty());
}
