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
  MultiLineString,
  MultiPoint,
  type OlMap,
  Point,
  Polygon,
  type Projection,
  Stroke,
  Style,
  Text,
  VectorLayer,
  VectorSource,
  buffer,
  createBox,
  createEmpty,
  extend,
  fromExtent,
  getCenter,
  getWidth,
  isEmpty,
} from "./openlayers";
import type { LevelOfDetail, ServiceDocument } from "./service";
import { serviceMap } from "./service_map";
import { featuresOf, isEdited } from "./shapes";
import { extentOf, metresPerPixel } from "./tiling";
import type { TileRange, World } from "./world";

/** Shapes that are drawn on the map. */
export type Tool = "rectangle" | "shape" | "route";

const BUNDLE_TILES = 128; // a side
const MOST_COMPARISONS = 5_000_000; // of tiles with corners of an area
const TOUCHING = 1e-6; // of a tile; what only meets its border does not touch it
const MOST_BOXES = 100; // a side; more are too small to be seen
const BAND = "#0b66c333";
const NEVER_MS = 1e9; // a finger that moves the map slowly draws nothing
const TOUCH_PIXELS = 20; // a fingertip must be able to hit a corner

export class MapView {
  readonly map: OlMap;
  private readonly drawn = new VectorSource();
  private readonly fixed = new VectorSource(); // areas that are not edited, such as those of a file
  private readonly others = new VectorSource(); // further areas of the package
  private readonly grid = new VectorSource();
  private readonly modify: Modify;
  private draw: Draw | undefined;
  private bandMetres = 0;
  private shownOthers: { label: string; area: Area }[] = [];

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
    private readonly world: World,
    private readonly path: string,
    private readonly changed: (area: Area) => void,
    private readonly sketched: (extent: Extent) => void,
  ) {
    this.map = serviceMap(target, service, projection, path, [
      new VectorLayer({ source: this.grid, style: gridStyle() }),
      new VectorLayer({ source: this.others, style: (feature) => otherStyle(String(feature.get("label"))) }),
      ...[this.fixed, this.drawn].map(
        (source) => new VectorLayer({ source, style: (feature) => this.bandStyle(feature.getGeometry()) }),
      ),
      new VectorLayer({ source: this.fixed, style: areaStyle().slice(0, 2) }),
      new VectorLayer({ source: this.drawn, style: areaStyle() }),
    ]);
    this.modify = new Modify({ source: this.drawn, pixelTolerance: TOUCH_PIXELS });
    this.map.addInteraction(this.modify);
    this.keepRectangles();
    this.map.on("moveend", () => this.settle());
    target.addEventListener("keydown", (event) => this.drawByKey(event));
    this.showAll();
  }

  /**
   * Return the extent that the map shows, within the service; null if it shows nothing of it.
   *
   * It may reach across the 180th meridian.
   */
  visibleExtent(): Extent | null {
    const visible = this.map.getView().calculateExtent();
    const parts = this.world.parts(visible);
    const inside = parts.reduce((all, part) => extend(all, part), createEmpty());
    if (parts.length < 2 || getWidth(visible) >= this.world.width) return isEmpty(inside) ? null : inside;
    const shift = this.world.shiftHome(visible);
    return [visible[0]! + shift, inside[1]!, visible[2]! + shift, inside[3]!];
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
      dragVertexDelay: NEVER_MS,
    });
    this.map.getTargetElement()!.classList.add("aiming");
    this.draw.on("drawstart", ({ feature }) => {
      feature.getGeometry()?.on("change", ({ target }) => this.sketched(target.getExtent()));
    });
    this.draw.on("drawend", ({ feature }) => {
      // After the event: the interaction still adds the feature.
      setTimeout(() => {
        this.stopDrawing();
        feature.set("tool", tool);
        this.settle();
        this.report(feature);
      });
    });
    this.map.addInteraction(this.draw);
  }

  /** Return true while a shape is being drawn. */
  get isDrawing(): boolean {
    return this.draw !== undefined;
  }

  /** Put a corner into the middle of the map, or take the last one away. */
  private drawByKey(event: KeyboardEvent): void {
    if (!this.draw || event.target !== event.currentTarget) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.draw.appendCoordinates([this.map.getView().getCenter()!]); // the second corner ends a rectangle
    } else if (event.key === "Backspace") {
      event.preventDefault();
      this.undoCorner();
    }
  }

  /** End the line or the polygon that is being drawn at its last corner. */
  finishDrawing(): void {
    this.draw?.finishDrawing();
  }

  undoCorner(): void {
    this.draw?.removeLastPoint();
  }

  stopDrawing(): void {
    this.map.getTargetElement()!.classList.remove("aiming");
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

  /** Show an area, which can be edited if it is a shape. */
  show(area: Area): void {
    this.clear();
    const source = isEdited(area, this.projection) ? this.drawn : this.fixed;
    if (area.kind !== "everything") source.addFeatures(featuresOf(area, this.service, this.projection));
    this.settle();
  }

  /** Show further areas of the package, each with a label. */
  showOthers(areas: { label: string; area: Area }[]): void {
    const isSame = ({ label, area }: { label: string; area: Area }, at: number) =>
      this.shownOthers[at]?.label === label && this.shownOthers[at].area === area;
    if (areas.length === this.shownOthers.length && areas.every(isSame)) return;
    this.shownOthers = areas;
    this.others.clear();
    for (const { label, area } of areas) {
      const features = featuresOf(area, this.service, this.projection);
      for (const feature of features) feature.set("label", feature === features[0] ? label : "");
      this.others.addFeatures(features);
    }
  }

  /**
   * Show the borders of the tiles of a level that areas touch; of bundles of tiles, if they are too many.
   *
   * All tiles around an area are shown if it has too many corners to look at each tile.
   */
  showTiles(areas: { level: LevelOfDetail; extent: Extent; area: Area }[]): void {
    this.grid.clear();
    for (const { level, extent, area } of areas) {
      const rings = this.world.tileRanges(level, extent).flatMap((range) => this.boxes(level, range, area));
      this.grid.addFeature(new Feature(new MultiLineString(rings)));
    }
  }

  /** Return the rings of the tiles, or bundles, of a range that an area touches. */
  private boxes(level: LevelOfDetail, range: TileRange, area: Area): Coordinate[][] {
    const { origin, rows, cols } = this.service.tileInfo;
    const most = Math.max(range.lastColumn - range.firstColumn, range.lastRow - range.firstRow);
    const step = most > MOST_BOXES ? BUNDLE_TILES : 1;
    const [width, height] = [cols * level.resolution * step, rows * level.resolution * step];
    const [firstColumn, lastColumn] = [Math.floor(range.firstColumn / step), Math.ceil(range.lastColumn / step)];
    const [firstRow, lastRow] = [Math.floor(range.firstRow / step), Math.ceil(range.lastRow / step)];
    const count = (lastColumn - firstColumn) * (lastRow - firstRow);
    if (count > MOST_BOXES ** 2) return []; // too small to be seen
    const touches = this.touchedBy(area, count);
    const rings: Coordinate[][] = [];
    for (let row = firstRow; row < lastRow; row += 1) {
      for (let column = firstColumn; column < lastColumn; column += 1) {
        const [west, north] = [origin.x + column * width, origin.y - row * height];
        const box = [west, north - height, west + width, north];
        if (touches(box)) rings.push(fromExtent(box).getCoordinates()[0]!);
      }
    }
    return rings;
  }

  /** Return a function that returns true if an area, or its band, touches a box; always true if that takes too long. */
  private touchedBy(area: Area, boxCount: number): (box: Extent) => boolean {
    if (area.kind === "everything" || area.kind === "rectangle") return () => true;
    const geometries = featuresOf(area, this.service, this.projection).map((feature) => feature.getGeometry()!);
    const corners = geometries.reduce((sum, each) => sum + (each as Polygon).getFlatCoordinates().length / 2, 0);
    if (corners * boxCount > MOST_COMPARISONS) return () => true;
    const metres = "metres" in area ? (area.metres ?? 0) : 0;
    const margins = geometries.map((geometry) => (metres > 0 ? this.mapUnits(metres, geometry.getExtent()) : 0));
    const shifts = this.world.width ? [-this.world.width, 0, this.world.width] : [0];
    return ([west, south, east, north]) =>
      shifts.some((shift) => {
        const moved = [west! + shift, south!, east! + shift, north!];
        const inside = -TOUCHING * (east! - west!);
        return geometries.some((geometry, at) => geometry.intersectsExtent(buffer(moved, margins[at]! || inside)));
      });
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

  /** Move the view into the world, and what is edited next to the middle of the view: one map is like the other. */
  private settle(): void {
    if (!this.world.width || this.draw) return;
    const view = this.map.getView();
    const [x, y] = view.getCenter() as [number, number];
    const home = this.world.shiftTo(0, [x, y, x, y]);
    if (home) view.setCenter([x + home, y]);
    for (const feature of this.drawn.getFeatures()) {
      const geometry = feature.getGeometry()!;
      const shift = this.world.shiftTo(x + home, geometry.getExtent());
      if (shift) geometry.translate(shift, 0);
    }
  }

  /** Report the area of a feature, moved into the world; it may reach across the 180th meridian. */
  private report(feature: Feature): void {
    const geometry = feature.getGeometry()!.clone();
    geometry.translate(this.world.shiftHome(geometry.getExtent()), 0);
    const reference = this.service.spatialReference;
    if (geometry instanceof LineString) {
      this.changed({ kind: "route", paths: [geometry.getCoordinates()], reference, metres: 0 });
    } else if (geometry instanceof Polygon && feature.get("tool") === "rectangle") {
      const extent = this.within(geometry.getExtent());
      const [xmin, ymin, xmax, ymax] = extent as [number, number, number, number];
      this.changed({ kind: "rectangle", envelope: { xmin, ymin, xmax, ymax }, reference });
    } else if (geometry instanceof Polygon) {
      this.changed({ kind: "shape", rings: geometry.getCoordinates(), reference });
    }
  }

  /** Return the part of an extent in the service, beyond which there is nothing; all of it if there is none. */
  private within(extent: Extent): Extent {
    const parts = this.world.parts(extent);
    const inside = parts.reduce((all, part) => extend(all, part), createEmpty());
    if (isEmpty(inside)) return extent;
    return parts.length < 2 ? inside : [extent[0]!, inside[1]!, extent[2]!, inside[3]!];
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

function otherStyle(label: string): Style[] {
  return [
    new Style({ stroke: new Stroke({ color: "#fff", width: 4 }) }),
    new Style({
      fill: new Fill({ color: "#0b66c31a" }),
      stroke: new Stroke({ color: "#0b66c3", width: 2, lineDash: [4, 4] }),
      text: new Text({
        text: label,
        font: "600 14px system-ui, sans-serif",
        fill: new Fill({ color: "#06213d" }),
        stroke: new Stroke({ color: "#fff", width: 4 }),
        overflow: true,
      }),
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
