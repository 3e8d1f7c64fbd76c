declare module "shpjs" {
  import type { FeatureCollection } from "geojson";

  /** Read a zip with shapefiles; several give several collections. Coordinates are longitude and latitude. */
  export default function shapefile(zip: ArrayBuffer): Promise<FeatureCollection | FeatureCollection[]>;
}
