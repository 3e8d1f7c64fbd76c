// The map: the tiles of the service, and one area that is drawn and edited on it.

import type { Area } from "./area";
import {
  Circle,
  CircleStyle,
  type Coordinate,
  Draw,
  type Extent,
  Feature,
  Fill,
  LineString,
  Modify,
  GeoJSON,
  MultiLineString,
  MultiPoint,
  type OlMap,
  Point,
  Polygon,
  type Projection,
  Stroke,
  Style,
  VectorLayer,
  VectorSource,
  buffer,
  createBox,
  fromExtent,
  getCenter,
  getIntersection,
  isEmpty,
} from "./openlayers";
import type { LevelOfDetail, ServiceDocument } from "./service";
import { serviceMap } from "./service_map";
import { extentOf, metresPerPixel } from "./tiling";

/** Shapes that are drawn on the map. */
export type Tool = "rectangle" | "shape" | "route";

const BUNDLE_TILES = 128; // a side
const MOST_BOXES = 100; // a side; more are too small to be seen
const BAND = "#0b66c333";
const TOUCH_PIXELS = 20; // a fingertip must be able to hit a corner

export class MapView {
  readonly map: OlMap;
  private readonly drawn = new VectorSource();
  private readonly fixed = new VectorSource(); // areas of a file, which are not edited
  private readonly grid = new VectorSource();
  private readonly modify: Modify;
  private draw: Draw | undefined;
  private bandMetres = 0;

  /**
   * Show a service.
   *
   * @param changed is called with the area after each change by hand.
   * @param sketched is called with the extent of what is being drawn.
   */
  constructor(
    target: HTMLElement,
    private readonly service: ServiceDocument,
    private readonly projection: Projection,
    private readonly path: string,
    private readonly changed: (area: Area) => void,
    private readonly sketched: (extent: Extent) => void,
  ) {
    this.map = serviceMap(target, service, projection, path, [
      new VectorLayer({ source: this.grid, style: gridStyle() }),
      ...[this.fixed, this.drawn].map(
        (source) => new VectorLayer({ source, style: (feature) => this.bandStyle(feature.getGeometry()) }),
      ),
      new VectorLayer({ source: this.fixed, style: areaStyle().slice(0, 2) }),
      new VectorLayer({ source: this.drawn, style: areaStyle() }),
    ]);
    this.modify = new Modify({ source: this.drawn, pixelTolerance: TOUCH_PIXELS });
    this.map.addInteraction(this.modify);
    this.keepRectangles();
    this.showAll();
  }

  /** Return the extent that the map shows, within the service; null if it shows nothing of it. */
  visibleExtent(): Extent | null {
    const visible = getIntersection(this.map.getView().calculateExtent(), extentOf(this.service));
    return isEmpty(visible) ? null : visible;
  }

  showAll(): void {
    this.fit(extentOf(this.service), 10);
  }

  fit(extent: Extent, padding = 40): void {
    this.map.getView().fit(extent, { size: this.map.getSize() ?? [600, 400], padding: Array(4).fill(padding) });
  }

  centreOn(place: Coordinate, resolution: number): void {
    this.map.getView().setCenter(place);
    this.map.getView().setResolution(Math.min(resolution, this.map.getView().getResolution() ?? resolution));
  }

  /** Let a shape be drawn, in place of the present one. */
  startDrawing(tool: Tool): void {
    this.clear();
    this.draw = new Draw({
      source: this.drawn,
      type: tool === "rectangle" ? "Circle" : tool === "shape" ? "Polygon" : "LineString",
      ...(tool === "rectangle" ? { geometryFunction: createBox() } : {}),
      style: sketchStyle(),
      snapTolerance: TOUCH_PIXELS,
    });
    this.draw.on("drawstart", ({ feature }) => {
      feature.getGeometry()?.on("change", ({ target }) => this.sketched(target.getExtent()));
    });
    this.draw.on("drawend", ({ feature }) => {
      // After the event: the interaction still adds the feature.
      setTimeout(() => {
        this.stopDrawing();
        feature.set("tool", tool);
        this.report(feature);
      });
    });
    this.map.addInteraction(this.draw);
  }

  /** Return true while a shape is being drawn. */
  get isDrawing(): boolean {
    return this.draw !== undefined;
  }

  /** End the line or the polygon that is being drawn at its last corner. */
  finishDrawing(): void {
    this.draw?.finishDrawing();
  }

  stopDrawing(): void {
    if (this.draw) this.map.removeInteraction(this.draw);
    this.draw = undefined;
  }

  clear(): void {
    this.stopDrawing();
    this.drawn.clear();
    this.fixed.clear();
    this.grid.clear();
    this.bandMetres = 0;
  }

  /** Show a distance on either side of lines and around points, nearly: by the scale in the middle of each. */
  showBand(metres: number): void {
    this.bandMetres = metres;
    for (const source of [this.drawn, this.fixed]) source.changed();
  }

  private bandStyle(geometry: unknown): Style[] {
    if (!(this.bandMetres > 0)) return [];
    const fill = new Fill({ color: BAND });
    if (geometry instanceof LineString || geometry instanceof MultiLineString) {
      const units = this.mapUnits(this.bandMetres, geometry.getExtent());
      const resolution = this.map.getView().getResolution() ?? 1;
      return [new Style({ stroke: new Stroke({ color: BAND, width: (2 * units) / resolution }) })];
    }
    const points = geometry instanceof MultiPoint ? geometry.getPoints() : geometry instanceof Point ? [geometry] : [];
    return points.map((point) => {
      const circle = new Circle(point.getCoordinates(), this.mapUnits(this.bandMetres, point.getExtent()));
      return new Style({ fill, geometry: circle });
    });
  }

  /** Return a distance on the ground in units of the map, in the middle of an extent. */
  private mapUnits(metres: number, extent: Extent): number {
    return metres / metresPerPixel(this.projection, 1, getCenter(extent));
  }

  /** Show an area whose coordinates are those of the map. */
  show(tool: Tool, coordinates: Coordinate[][]): void {
    this.clear();
    const geometry = tool === "route" ? new LineString(coordinates[0]!) : new Polygon(coordinates);
    const feature = new Feature(geometry);
    feature.set("tool", tool);
    this.drawn.addFeature(feature);
  }

  showRectangle(extent: Extent): void {
    this.show("rectangle", fromExtent(extent).getCoordinates());
  }

  /** Show the areas of a file, in degrees. */
  showFile(collection: object, projection: Projection): void {
    this.clear();
    const format = new GeoJSON();
    this.fixed.addFeatures(format.readFeatures(collection, { featureProjection: projection }));
    const extent = this.drawnExtent();
    if (extent) this.fit(extent);
  }

  /** Show the borders of the tiles of a level around an area; of bundles of tiles, if they are too many. */
  showTiles({ resolution }: LevelOfDetail, extent: Extent): void {
    this.grid.clear();
    const [left, bottom, right, top] = getIntersection(extent, extentOf(this.service)) as [
      number,
      number,
      number,
      number,
    ];
    if (!(left < right && bottom < top)) return;
    const { origin, cols } = this.service.tileInfo;
    let span = cols * resolution;
    if (Math.max(right - left, top - bottom) / span > MOST_BOXES) span *= BUNDLE_TILES;
    const firstColumn = Math.floor((left - origin.x) / span);
    const lastColumn = Math.ceil((right - origin.x) / span);
    const firstRow = Math.floor((origin.y - top) / span);
    const lastRow = Math.ceil((origin.y - bottom) / span);
    const [west, east] = [origin.x + firstColumn * span, origin.x + lastColumn * span];
    const [north, south] = [origin.y - firstRow * span, origin.y - lastRow * span];
    const lines: Coordinate[][] = [];
    for (let column = firstColumn; column <= lastColumn; column += 1) {
      const x = origin.x + column * span;
      lines.push([
        [x, north],
        [x, south],
      ]);
    }
    for (let row = firstRow; row <= lastRow; row += 1) {
      const y = origin.y - row * span;
      lines.push([
        [west, y],
        [east, y],
      ]);
    }
    this.grid.addFeature(new Feature(new MultiLineString(lines)));
  }

  hideTiles(): void {
    this.grid.clear();
  }

  /** Return the extent of the area on the map, with its band; null without one. */
  drawnExtent(): Extent | null {
    const source = [this.drawn, this.fixed].find((each) => each.getFeatures().length);
    const extent = source?.getExtent();
    return extent ? buffer(extent, this.bandMetres > 0 ? this.mapUnits(this.bandMetres, extent) : 0) : null;
  }

  /** Return the path of the tile of a level in the middle of the map. */
  tileInTheMiddle({ level, resolution }: LevelOfDetail): string {
    const [x, y] = (this.map.getView().getCenter() ?? getCenter(extentOf(this.service))) as [number, number];
    const { origin, rows, cols } = this.service.tileInfo;
    const row = Math.floor((origin.y - y) / (rows * resolution));
    return `${this.path}/tile/${level}/${row}/${Math.floor((x - origin.x) / (cols * resolution))}`;
  }

  private report(feature: Feature): void {
    const geometry = feature.getGeometry();
    const reference = this.service.spatialReference;
    if (geometry instanceof LineString) {
      this.changed({ kind: "route", paths: [geometry.getCoordinates()], reference, metres: 0 });
    } else if (geometry instanceof Polygon && feature.get("tool") === "rectangle") {
      const inside = getIntersection(geometry.getExtent(), extentOf(this.service)); // there is nothing outside
      const extent = isEmpty(inside) ? geometry.getExtent() : inside;
      const [xmin, ymin, xmax, ymax] = extent as [number, number, number, number];
      this.changed({ kind: "rectangle", envelope: { xmin, ymin, xmax, ymax }, reference });
    } else if (geometry instanceof Polygon) {
      this.changed({ kind: "shape", rings: geometry.getCoordinates(), reference });
    }
  }

  /** Keep rectangles rectangular while a corner is dragged, and report every change. */
  private keepRectangles(): void {
    let before: Coordinate[] = [];
    this.modify.on("modifystart", ({ features }) => {
      const geometry = features.item(0)?.getGeometry();
      before = geometry instanceof Polygon ? geometry.getCoordinates()[0]! : [];
    });
    this.modify.on("modifyend", ({ features }) => {
      const feature = features.item(0) as Feature;
      const geometry = feature.getGeometry();
      if (geometry instanceof Polygon && feature.get("tool") === "rectangle") {
        const after = geometry.getCoordinates()[0]!;
        geometry.setCoordinates(fromExtent(rectangleAfter(before, after)).getCoordinates());
      }
      this.report(feature);
    });
  }
}

/** Return the extent of a rectangle of which one corner was moved, or one side by a new corner on it. */
function rectangleAfter(before: Coordinate[], after: Coordinate[]): Extent {
  const isOld = ([x, y]: Coordinate) => before.some(([oldX, oldY]) => oldX === x && oldY === y);
  const moved = after.find((corner) => !isOld(corner)) ?? after[0]!;
  const at = after.indexOf(moved);
  const corners = after.slice(0, -1);
  const last = corners.length;
  if (last === 4) {
    const opposite = corners[(at + 2) % 4]!;
    return spanned([moved, opposite]);
  }
  const previous = corners[(at + last - 1) % last]!;
  const next = corners[(at + 1) % last]!;
  const others = corners.filter((corner) => corner !== moved && corner !== previous && corner !== next);
  const isUpright = previous[0] === next[0];
  const side = isUpright
    ? [
        [moved[0]!, previous[1]!],
        [moved[0]!, next[1]!],
      ]
    : [
        [previous[0]!, moved[1]!],
        [next[0]!, moved[1]!],
      ];
  return spanned([...others, ...side]);
}

function spanned(corners: Coordinate[]): Extent {
  const xs = corners.map(([x]) => x!);
  const ys = corners.map(([, y]) => y!);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function areaStyle(): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: "#fff", width: 5 }) }),
    new Style({ fill: new Fill({ color: "#0b66c333" }), stroke: new Stroke({ color: "#0b66c3", width: 3 }) }),
    new Style({
      image: new CircleStyle({
        radius: 7,
        fill: new Fill({ color: "#fff" }),
        stroke: new Stroke({ color: "#0b66c3", width: 3 }),
      }),
      geometry: (feature) => {
        const geometry = feature.getGeometry();
        if (geometry instanceof Polygon) return new MultiPoint(geometry.getCoordinates().flat());
        return geometry instanceof LineString ? new MultiPoint(geometry.getCoordinates()) : undefined;
      },
    }),
  ];
}

function gridStyle(): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: "#ffffffb0", width: 2.5 }) }),
    new Style({ stroke: new Stroke({ color: "#c2410c", width: 1 }) }),
  ];
}

function sketchStyle(): Style[] {
  return [
    new Style({
      fill: new Fill({ color: "#0b66c322" }),
      stroke: new Stroke({ color: "#0b66c3", width: 3, lineDash: [8, 6] }),
      image: new CircleStyle({
        radius: 7,
        fill: new Fill({ color: "#0b66c3" }),
        stroke: new Stroke({ color: "#fff", width: 2 }),
      }),
    }),
  ];
}
