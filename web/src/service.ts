// The service as the page receives it, in the attribute data-map.

/** A spatial reference as Esri writes it. */
export interface SpatialReference {
  wkid?: number;
  latestWkid?: number;
  wkt?: string;
}

export interface LevelOfDetail {
  level: number;
  /** Map units a pixel. */
  resolution: number;
  /** Denominator. */
  scale: number;
}

export interface Envelope {
  xmin: number;
  ymin: number;
  xmax: number;
  ymax: number;
}

/** The members of the service document that the page uses. */
export interface ServiceDocument {
  name: string;
  copyrightText: string;
  exportTilesAllowed: boolean;
  maxExportTilesCount: number;
  tileInfo: {
    rows: number;
    cols: number;
    format: string;
    origin: { x: number; y: number };
    lods: LevelOfDetail[];
  };
  spatialReference: SpatialReference;
  fullExtent: Envelope;
  minLOD: number;
  maxLOD: number;
}

/** Prices in dollars, for the operator. */
export interface Prices {
  /** At most, of a tile of an export. */
  tile: number;
  /** Of a gigabyte of a download. */
  downloadedGigabyte: number;
}

export interface MapData {
  service: ServiceDocument;
  /** PROJJSON of the spatial reference; null if it is Web Mercator or WGS 84. */
  projection: object | null;
  prices: Prices;
}

/** Read the data of the page. */
export function readMapData(panel: HTMLElement): MapData {
  return JSON.parse(panel.dataset["map"] ?? "") as MapData;
}

/** Return the levels that hold tiles, coarsest first. */
export function levelsOf(service: ServiceDocument): LevelOfDetail[] {
  return service.tileInfo.lods.filter(({ level }) => service.minLOD <= level && level <= service.maxLOD);
}

/** Return the path of the service, without a final slash. */
export function servicePath(): string {
  return location.pathname.replace(/\/+$/, "");
}
