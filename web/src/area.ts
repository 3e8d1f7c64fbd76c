// The area to export, and the request parameters that name it.

import type { FeatureCollection } from "geojson";
import type { Envelope, SpatialReference } from "./service";

/** Everything, or a geometry with its spatial reference; a route, and lines of a file, have a distance on either side. */
export type Area =
  | { kind: "everything" }
  | { kind: "rectangle"; envelope: Envelope; reference: SpatialReference }
  | { kind: "shape"; rings: number[][][]; reference: SpatialReference }
  | { kind: "file"; collection: FeatureCollection; metres: number | null }
  | { kind: "route"; paths: number[][][]; reference: SpatialReference; metres: number };

export const WGS84: SpatialReference = { wkid: 4326 };

/** Return the request parameters of an area. */
export function areaParameters(area: Area): Record<string, string> {
  switch (area.kind) {
    case "everything":
      return {};
    case "rectangle":
      return { exportExtent: JSON.stringify({ ...area.envelope, spatialReference: area.reference }) };
    case "shape":
      return { areaOfInterest: JSON.stringify({ rings: area.rings, spatialReference: area.reference }) };
    case "file":
      return {
        areaOfInterest: JSON.stringify(area.collection),
        ...(area.metres !== null ? { bufferDistance: String(area.metres) } : {}),
      };
    case "route":
      return {
        areaOfInterest: JSON.stringify({ paths: area.paths, spatialReference: area.reference }),
        bufferDistance: String(area.metres),
      };
  }
}
