// Areas in files: GeoJSON, KML, KMZ, GPX and shapefiles, read in the browser.

import type { Feature, FeatureCollection, GeoJsonProperties, Geometry, Position } from "geojson";
import { FileProblem } from "./file_problem";
import type { SentCollection } from "./area";
import { type Json, fromEsri, isEsri } from "./esri_json";
import type { Projection } from "./openlayers";
import { toDegrees } from "./references";
import type { ServiceDocument } from "./service";
import { counted } from "./wording";

const MOST_BYTES = 20_000_000;
const MOST_SENT_CHARACTERS = 6_000_000; // the API takes 6 MB
const MOST_CORNERS = 100_000; // of the API
const MOST_ATTRIBUTES = 30; // to divide a file into packages
const MOST_VALUE_CHARACTERS = 200;
const DEPTHS: Record<string, number> = {
  Point: 0,
  MultiPoint: 1,
  LineString: 1,
  MultiLineString: 2,
  Polygon: 2,
  MultiPolygon: 3,
}; // of the lists around a position
const KINDS = "GeoJSON, KML, KMZ, GPX or a zipped shapefile";
const AREA_FILES = [".shp", ".kml", ".gpx", ".geojson"];
const SHAPEFILE_PARTS = [".shp", ".dbf", ".prj", ".cpg", ".shx"];
const LINKS = ["NetworkLink", "GroundOverlay", "PhotoOverlay", "ScreenOverlay"]; // of KML: pictures and other files
const STYLES =
  /^(style|stroke|fill|icon|marker|description$|visibility$|tessellate$|coordTimes$|coordinateProperties$)/i;

export interface FileContents {
  /** Of the file. */
  name: string;
  /** Polygons; if there are none, lines and points, which need a distance. It names its reference unless that is degrees. */
  collection: SentCollection;
  /** The same in degrees, for the map; null if they are in degrees already. */
  shown: FeatureCollection | null;
  isRoute: boolean;
  /** What was read, in words. */
  summary: string;
}

interface Source {
  name: string;
  bytes: Uint8Array;
}

interface Found {
  features: Feature[];
  /** Of the coordinates: a name, or WKT; absent if the file names none. */
  reference?: { name: string; members: Pick<SentCollection, "spatialReference" | "crs"> };
  notes: string[];
}

/** Read the areas in files, which may be the parts of a shapefile. */
export async function readFiles(
  files: File[],
  projection: Projection,
  service: ServiceDocument,
): Promise<FileContents> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const [first] = files;
  const name = files.length > 1 ? `${first!.name} and ${counted(files.length - 1, "other file")}` : first!.name;
  if (total > MOST_BYTES) throw new FileProblem(`${name}: more than 20 MB. Choose a smaller part, or simplify it.`);
  const sources = await Promise.all(
    files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })),
  );
  const found: Found[] = [];
  for (const source of sources) {
    const suffix = suffixOf(source.name);
    if (suffix !== ".shp" && SHAPEFILE_PARTS.includes(suffix)) {
      if (sources.some((other) => isPartOf(source.name, other.name))) continue; // read with its .shp
      throw new FileProblem(
        `${source.name} is one part of a shapefile: choose the .shp and .prj with it, or a zip of them.`,
      );
    }
    found.push(await readSource(source, sources));
  }
  const references = new Set(found.map(({ reference }) => reference?.name ?? ""));
  if (references.size > 1)
    throw new FileProblem(`${name}: the files are in different references. Choose one at a time.`);
  const all = {
    ...found[0]!,
    features: found.flatMap(({ features }) => features),
    notes: found.flatMap(({ notes }) => notes),
  };
  try {
    return await areaOf(all, name, projection, service);
  } catch (error) {
    throw error instanceof FileProblem ? error : unreadable(name);
  }
}

async function readSource(source: Source, beside: Source[]): Promise<Found> {
  if (!source.bytes.length) throw new FileProblem(`${source.name} is empty.`);
  try {
    return await featuresOf(source, beside);
  } catch (error) {
    throw error instanceof FileProblem ? error : unreadable(source.name);
  }
}

function unreadable(name: string): FileProblem {
  return new FileProblem(`${name} cannot be read. It must be ${KINDS}.`);
}

async function areaOf(
  found: Found,
  name: string,
  projection: Projection,
  service: ServiceDocument,
): Promise<FileContents> {
  const parts = found.features.flatMap((feature) =>
    simpleGeometries(feature.geometry).map((geometry) => ({ geometry, properties: attributesOf(feature.properties) })),
  );
  const polygons = parts.filter(({ geometry }) => geometry.type.endsWith("Polygon"));
  const others = parts.filter(({ geometry }) => !geometry.type.endsWith("Polygon"));
  const used = polygons.length ? polygons : others;
  if (!used.length) throw new FileProblem([`${name} has no polygon, line or point.`, ...found.notes].join(" "));
  const corners = used.reduce((sum, { geometry }) => sum + positionsOf(geometry).length, 0);
  if (corners > MOST_CORNERS) {
    throw new FileProblem(
      `${name} has ${counted(corners, "corner")}; ${counted(MOST_CORNERS, "corner")} are possible. Simplify it.`,
    );
  }
  const features = used.map(({ geometry, properties }): Feature => ({ type: "Feature", properties, geometry }));
  const collection: SentCollection = { type: "FeatureCollection", ...found.reference?.members, features };
  const shown = await toDegrees(collection, found.reference?.name, projection, service);
  if (!shown) {
    throw new FileProblem(
      `${name} is in the reference ${found.reference!.name.slice(0, 60)}, which this page does not know. Convert it to WGS 84.`,
    );
  }
  if (!shown.features.every(({ geometry }) => positionsOf(geometry).every(isInDegrees))) {
    const reason = found.reference ? "" : " and names no reference (a shapefile needs its .prj)";
    throw new FileProblem(`${name} has coordinates that are not longitude and latitude in degrees${reason}.`);
  }
  if (new URLSearchParams({ a: JSON.stringify(collection) }).toString().length > MOST_SENT_CHARACTERS) {
    throw new FileProblem(`${name} has too many corners to be sent. Simplify it, or choose a smaller part.`);
  }
  const left = polygons.length ? others.length : 0;
  const notes = [...found.notes, ...(left ? [`Lines and points beside the polygons are left out (${left}).`] : [])];
  return {
    name,
    collection,
    shown: shown === collection ? null : shown,
    isRoute: !polygons.length,
    summary: [`${counts(used.map(({ geometry }) => geometry))} of ${name}.`, ...notes].join(" "),
  };
}

/** Return the number of polygons, or of lines and points, in words. */
function counts(geometries: Geometry[]): string {
  const kinds = { polygon: "Polygon", line: "LineString", point: "Point" };
  const numbers = Object.entries(kinds).map(([noun, type]) => {
    const count = geometries.filter((geometry) => geometry.type.endsWith(type)).length;
    return count ? counted(count, noun) : "";
  });
  return numbers.filter(Boolean).join(" and ");
}

async function featuresOf(source: Source, beside: Source[]): Promise<Found> {
  const suffix = suffixOf(source.name);
  const isArchive = source.bytes[0] === 0x50 && source.bytes[1] === 0x4b; // PK
  if (suffix === ".zip" || suffix === ".kmz" || isArchive) return inArchive(source);
  if (suffix === ".shp") return inShapefile(source, beside);
  const text = decoded(source);
  if (suffix === ".kml" || suffix === ".gpx" || text.trimStart().startsWith("<")) return inXml(text, source.name);
  return inJson(text, source.name);
}

async function inArchive(source: Source): Promise<Found> {
  const { ArchiveTooLarge, unpack } = await import("./archive");
  const wanted = [...AREA_FILES, ".json", ...SHAPEFILE_PARTS];
  const isTidy = (path: string) => !path.startsWith("__MACOSX/") && !path.split("/").at(-1)!.startsWith(".");
  let files: Map<string, Uint8Array>;
  try {
    files = await unpack(source.bytes, (path) => isTidy(path) && wanted.includes(suffixOf(path)));
  } catch (error) {
    if (error instanceof ArchiveTooLarge) throw new FileProblem(`${source.name} unpacks to more than 100 MB.`);
    throw new FileProblem(`${source.name} cannot be read: it is a damaged zip archive.`);
  }
  const members = [...files].map(([name, bytes]) => ({ name, bytes }));
  const areas = members.filter(({ name }) => AREA_FILES.includes(suffixOf(name)));
  const chosen = areas.length ? areas : members.filter(({ name }) => suffixOf(name) === ".json");
  if (!chosen.length)
    throw new FileProblem(`${source.name} cannot be read: it has no file of an area, such as .shp or .kml.`);
  if (chosen.length > 1) {
    const names = chosen
      .map(({ name }) => name)
      .slice(0, 5)
      .join(", ");
    throw new FileProblem(`${source.name} has several files of areas: ${names}. Unzip it, and choose one.`);
  }
  return featuresOf(chosen[0]!, members);
}

async function inShapefile(source: Source, beside: Source[]): Promise<Found> {
  const { default: shapefile } = await import("shpjs");
  const part = (suffix: string) =>
    beside.find(({ name }) => suffixOf(name) === suffix && isPartOf(name, source.name))?.bytes;
  const [dbf, cpg, prj] = [part(".dbf"), part(".cpg"), part(".prj")];
  const parts = { shp: source.bytes, ...(dbf ? { dbf } : {}), ...(cpg ? { cpg } : {}) };
  const { features } = [await shapefile(parts)].flat()[0]!;
  const wkt = prj ? new TextDecoder().decode(prj).trim() : "";
  if (!wkt) {
    return {
      features,
      notes: ["It names no reference (.prj): degrees of WGS 84 were assumed. Check its place on the map."],
    };
  }
  return { features, notes: [], reference: { name: wkt, members: { spatialReference: { wkt } } } };
}

async function inXml(text: string, name: string): Promise<Found> {
  if (/<!DOCTYPE/i.test(text)) throw new FileProblem(`${name} has a document type (DOCTYPE): remove it.`);
  const { gpx, kml } = await import("@tmcw/togeojson");
  const document = new DOMParser().parseFromString(text, "text/xml");
  if (document.querySelector("parsererror")) throw new FileProblem(`${name} is not XML.`);
  const notes = LINKS.flatMap((link) => {
    const elements = [...document.getElementsByTagName(link)];
    for (const element of elements) element.remove();
    return elements.length ? `${counted(elements.length, link)} left out: links and pictures are no areas.` : [];
  });
  const { features } = document.documentElement.localName === "gpx" ? gpx(document) : kml(document);
  return { features: features.filter((feature): feature is Feature => feature.geometry !== null), notes };
}

function inJson(text: string, name: string): Found {
  const document = parsed(text);
  if (document.type === "Topology") throw new FileProblem(`${name} is TopoJSON. Convert it to GeoJSON.`);
  const { features, crs } = isEsri(document)
    ? fromEsri(document, name)
    : { features: membersOf(document), crs: document };
  const reference = referenceIn(crs, name);
  return { features, notes: [], ...(reference ? { reference } : {}) };
}

/** Return a JSON document; features that stand on a line each as one collection. */
function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const lines = text.split("\n").filter((line) => line.trim());
    if (lines.length < 2) throw error;
    return { type: "FeatureCollection", features: lines.map((line) => JSON.parse(line) as Json) };
  }
}

function membersOf(document: Json): Feature[] {
  if (document.type === "FeatureCollection") return document.features!.map((feature) => ({ ...feature }) as Feature);
  if (document.type === "Feature") return [document as unknown as Feature];
  return [{ type: "Feature", properties: {}, geometry: document as unknown as Geometry }];
}

function referenceIn({ crs, spatialReference }: Json, name: string): Found["reference"] {
  if (spatialReference !== undefined) {
    const { wkid, latestWkid, wkt } = spatialReference;
    return { name: wkt ?? `EPSG:${latestWkid ?? wkid}`, members: { spatialReference } };
  }
  if (crs === undefined || crs === null) return undefined;
  const code = (crs as { properties?: { name?: unknown } }).properties?.name;
  if (typeof code !== "string") throw new FileProblem(`${name}: crs names no reference. Convert the file to WGS 84.`);
  return { name: code, members: { crs } };
}

/** Return a text in UTF-8, in UTF-16 with its mark, or in the encoding that XML declares. */
function decoded({ name, bytes }: Source): string {
  const [first, second] = bytes;
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 200));
  const declared = head.match(/^<\?xml[^>]*\sencoding=["']([\w.:-]+)["']/)?.[1] ?? "utf-8";
  const marked =
    first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : declared;
  try {
    return new TextDecoder(marked, { fatal: true }).decode(bytes);
  } catch {
    throw new FileProblem(`${name} is not in the encoding ${marked.toUpperCase()}. Save it in UTF-8.`);
  }
}

function suffixOf(path: string): string {
  return path.toLowerCase().match(/\.[^./]*$/)?.[0] ?? "";
}

/** Return true if a file is a part of a shapefile, or that file itself. */
function isPartOf(path: string, shapefile: string): boolean {
  const stem = (each: string) => each.slice(0, -suffixOf(each).length).toLowerCase();
  return suffixOf(shapefile) === ".shp" && stem(path) === stem(shapefile);
}

/** Return the attributes that can name packages. */
function attributesOf(properties: GeoJsonProperties): Record<string, string | number> {
  const entries = Object.entries(properties ?? {}).filter(
    ([name, value]) =>
      !STYLES.test(name) &&
      (typeof value === "number" || (typeof value === "string" && value.length <= MOST_VALUE_CHARACTERS)),
  );
  return Object.fromEntries(entries.slice(0, MOST_ATTRIBUTES));
}

/** Return a geometry, or those of a collection. */
function simpleGeometries(geometry: Geometry | null): Geometry[] {
  if (!geometry) return [];
  return geometry.type === "GeometryCollection" ? geometry.geometries.flatMap(simpleGeometries) : [geometry];
}

/** Return the positions of a geometry. Throw an error if it has none, or if they are nested otherwise than they should. */
function positionsOf(geometry: Geometry): Position[] {
  const depth = DEPTHS[geometry.type];
  if (depth === undefined || geometry.type === "GeometryCollection") throw new Error("There is no such geometry.");
  const positions = [geometry.coordinates].flat(depth) as Position[];
  if (!positions.length || !positions.every(isPosition)) throw new Error("Its coordinates are not positions.");
  return positions;
}

function isPosition(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number";
}

function isInDegrees([longitude, latitude]: Position): boolean {
  return Math.abs(longitude!) <= 360 && Math.abs(latitude!) <= 90;
}
