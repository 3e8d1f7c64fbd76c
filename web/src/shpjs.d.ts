declare module "shpjs" {
  import type { FeatureCollection } from "geojson";

  /** Read the parts of a shapefile. Without the text of its .prj, coordinates stay as they are. */
  export default function shapefile(parts: {
    shp: Uint8Array;
    dbf?: Uint8Array;
    cpg?: Uint8Array;
  }): Promise<FeatureCollection | FeatureCollection[]>;
}
