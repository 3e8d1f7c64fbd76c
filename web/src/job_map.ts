// The map on the page of a job: its area, and the part of it that is finished.

import { request } from "./api";
import {
  type Extent,
  Feature,
  Fill,
  type FrameState,
  Layer,
  MultiPolygon,
  type OlMap,
  Stroke,
  Style,
  VectorLayer,
  VectorSource,
  createEmpty,
  extend,
  getCenter,
  getWidth,
} from "./openlayers";
import type { MapData, ServiceDocument } from "./service";
import { serviceMap } from "./service_map";
import { projectionOf } from "./tiling";
import { counted } from "./wording";
import { World } from "./world";

type Polygons = number[][][][];

interface AreaDocument {
  name: string;
  levels: string;
  jobStatus: string;
  polygons: Polygons;
}

/** Tiles of finished bundles: half-open rows and columns. */
interface Block {
  level: number;
  rowStart: number;
  rowStop: number;
  columnStart: number;
  columnStop: number;
}

interface JobMapDocument extends Omit<MapData, "prices"> {
  /** The service still has tiles of this scheme. */
  hasTiles: boolean;
  areas: AreaDocument[];
  levels: { level: number; blocks: number; done: number }[];
  done: Block[];
}

const OPEN = "#0b66c3";
const DONE = "#17692d";
const FAILED = "#b3261e";
const PADDING = [20, 20, 40, 60]; // of the buttons and the scale
const DONE_OPACITY = 0.5;
const FAILURES = new Set(["esriJobFailed", "esriJobTimedOut", "esriJobCancelled", "esriJobDeleted"]);

export class JobMap {
  private areas = new VectorSource<Feature<MultiPolygon>>();
  private done = new DoneLayer();
  private map: Promise<OlMap> | undefined;

  /**
   * @param section of the page, which is shown once there is a map.
   * @param job path of the job.
   */
  constructor(
    private readonly section: HTMLElement,
    private readonly job: string,
  ) {}

  /** Show the area and the progress as they are now; do nothing if the server has no map of this job. */
  async renew(): Promise<void> {
    let found: JobMapDocument;
    try {
      found = await request<JobMapDocument>(`${this.job}/map`);
    } catch {
      return; // the page is useful without its map
    }
    this.areas.clear();
    this.areas.addFeatures(found.areas.map(areaFeature));
    this.done.show(found);
    this.section.querySelector(".legend")!.textContent = legend(found);
    this.section.hidden = false;
    this.map ??= this.draw(found);
    await this.map;
  }

  private async draw(found: JobMapDocument): Promise<OlMap> {
    const path = found.hasTiles ? this.job.replace(/\/jobs\/[^/]+$/, "") : null;
    const target = this.section.querySelector<HTMLElement>(".map")!;
    const outlines = new VectorLayer({ source: this.areas, style: (feature) => areaStyle(feature.get("status")) });
    const projection = await projectionOf(found);
    const { width } = new World(found.service, projection);
    this.done.worldWidth = width;
    // The outlines come first: a layer that follows would be drawn on the translucent canvas of the other.
    const map = serviceMap(target, found.service, projection, path, [outlines, this.done]);
    map.getView().fit(this.extent(width), { size: map.getSize() ?? [600, 300], padding: PADDING });
    return map;
  }

  /** Return the extent of all areas; across the 180th meridian, if it is narrower there. */
  private extent(worldWidth: number): Extent {
    const extents = this.areas
      .getFeatures()
      .flatMap((feature) => feature.getGeometry()!.getPolygons())
      .map((polygon) => polygon.getExtent());
    const moved = extents.map((each) => (getCenter(each)[0]! < 0 ? translated(each, worldWidth) : each));
    const [plain, across] = [extents, moved].map((each) => each.reduce(extend, createEmpty())) as [Extent, Extent];
    return getWidth(across) < getWidth(plain) ? across : plain;
  }
}

function translated([left, bottom, right, top]: Extent, distance: number): Extent {
  return [left! + distance, bottom!, right! + distance, top!];
}

function areaFeature({ polygons, jobStatus }: AreaDocument): Feature<MultiPolygon> {
  const feature = new Feature(new MultiPolygon(polygons));
  feature.set("status", jobStatus);
  return feature;
}

function areaStyle(status: string): Style[] {
  const color = status === "esriJobSucceeded" ? DONE : FAILURES.has(status) ? FAILED : OPEN;
  const fill = status === "esriJobSucceeded" ? `${DONE}40` : "#0000";
  return [
    new Style({ stroke: new Stroke({ color: "#fff", width: 5 }) }),
    new Style({ fill: new Fill({ color: fill }), stroke: new Stroke({ color, width: 3 }) }),
  ];
}

/** Return the meaning of the colours, and the progress of the levels. */
function legend({ areas, levels, done, hasTiles }: JobMapDocument): string {
  const parts = hasTiles ? [] : ["The map itself is not published any more."];
  const named = areas.filter(({ name }) => name).length;
  if (named) {
    parts.push("Green districts are done, red ones failed, blue ones are still to come.");
  } else if (levels.length) {
    const shown = levels.find(({ level }) => level === done[0]?.level);
    if (shown) {
      const share = `${shown.done.toLocaleString("en")} of ${counted(shown.blocks, "block")}`;
      parts.push(`Green shows the finished part of level ${shown.level}: ${share} of tiles.`);
    }
    const finer = levels.filter(({ level }) => level > (shown?.level ?? -1)).length;
    if (finer) parts.push(`${counted(finer, shown ? "finer level" : "level")} to come.`);
  }
  return parts.join(" ");
}

/** Fills the finished blocks of tiles, as far as they lie in the area. */
class DoneLayer extends Layer {
  private readonly canvas = document.createElement("canvas");
  private service: ServiceDocument | undefined;
  private polygons: Polygons = [];
  private blocks: Block[] = [];
  /** Distance at which the map repeats; 0 if it does not. */
  worldWidth = 0;

  constructor() {
    super({});
    this.canvas.style.position = "absolute";
  }

  show({ service, areas, done }: JobMapDocument): void {
    this.service = service;
    this.polygons = areas.flatMap(({ polygons }) => polygons);
    this.blocks = done;
    this.changed();
  }

  override getSourceState(): "ready" {
    return "ready";
  }

  override render({ size, extent, pixelRatio, coordinateToPixelTransform: at }: FrameState): HTMLElement {
    const [width, height] = size as [number, number];
    const { canvas } = this;
    canvas.width = Math.round(width * pixelRatio);
    canvas.height = Math.round(height * pixelRatio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.style.opacity = String(DONE_OPACITY);
    const context = canvas.getContext("2d")!;
    context.scale(pixelRatio, pixelRatio);
    context.transform(at[0]!, at[1]!, at[2]!, at[3]!, at[4]!, at[5]!);
    context.fillStyle = DONE;
    const blocks = new Path2D();
    for (const block of this.blocks) this.addBlock(blocks, block);
    for (const world of this.worlds(extent!)) {
      context.save();
      context.translate(world * this.worldWidth, 0);
      for (const polygon of this.polygons) {
        context.save();
        context.clip(outline(polygon), "evenodd");
        context.fill(blocks);
        context.restore();
      }
      context.restore();
    }
    return canvas;
  }

  /** Return the numbers of the repeated worlds within an extent; 0 is the world itself. */
  private worlds([left, , right]: Extent): number[] {
    if (!this.worldWidth) return [0];
    const first = Math.floor(left! / this.worldWidth + 0.5);
    const last = Math.floor(right! / this.worldWidth + 0.5);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }

  private addBlock(path: Path2D, { level, rowStart, rowStop, columnStart, columnStop }: Block): void {
    const { origin, cols, lods } = this.service!.tileInfo;
    const span = cols * lods.find((each) => each.level === level)!.resolution;
    const [x, y] = [origin.x + columnStart * span, origin.y - rowStop * span];
    path.rect(x, y, (columnStop - columnStart) * span, (rowStop - rowStart) * span);
  }
}

function outline(polygon: number[][][]): Path2D {
  const path = new Path2D();
  for (const ring of polygon) {
    for (const [index, [x, y]] of ring.entries()) path[index ? "lineTo" : "moveTo"](x!, y!);
    path.closePath();
  }
  return path;
}
