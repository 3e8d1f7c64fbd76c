// The page of a service: choose an area, levels and an app, see the size, and start the export.

import { Refusal, estimate, newToken, startExport } from "./api";
import { type Area, WGS84, areaParameters } from "./area";
import { CoordinateForms } from "./coordinates";
import { element, field, inputs } from "./dom";
import { FileProblem, readFile } from "./files";
import { LevelSliders } from "./levels";
import { type Tool, MapView } from "./map_view";
import { type Extent, type Projection, transformExtent } from "./openlayers";
import { comparePictures } from "./preview";
import { type MapData, type Prices, type ServiceDocument, readMapData, servicePath } from "./service";
import { extentOf, projectionOf } from "./tiling";
import { bytes, counted, dollars, duration } from "./wording";

const ESTIMATE_DELAY_MS = 500;
const ROUTE_METRES: Record<string, number> = { m: 1, km: 1000, mi: 1609.344 };
const ROUTE_LIMITS = [1, 1e6]; // metres, of the API
const START = "Choose an area to see the size of its package.";
const BAND_NOTE = "The band is drawn roughly; the package is exact.";
const HINTS: Record<Tool, string> = {
  rectangle: "On the map, click or tap one corner, then the opposite corner.",
  shape: "On the map, click or tap each corner. Then press Done, or click the first corner again.",
  route: "On the map, click or tap along the route. Then press Done, or click the last point again.",
};

/** Show the map of a service, and make its controls work. */
export async function showMapPage(panel: HTMLElement): Promise<void> {
  const data = readMapData(panel);
  const projection = await projectionOf(data);
  panel.hidden = false;
  new MapPage(data, projection).start();
}

class MapPage {
  private readonly service: ServiceDocument;
  private readonly prices: Prices;
  private readonly path = servicePath();
  private readonly view: MapView;
  private readonly levels: LevelSliders;
  private readonly coordinates: CoordinateForms;
  private area: Area | null = null;
  private prompt = START;
  private running: AbortController | undefined;
  private timer = 0;
  private token = newToken();
  private needsSignIn = false;

  private readonly tools = document.querySelectorAll<HTMLButtonElement>("[data-tool]");
  private readonly hint = element("area-hint");
  private readonly app = element<HTMLSelectElement>("app");
  private readonly result = element("estimate");
  private readonly costs = element("costs");
  private readonly retry = element<HTMLButtonElement>("retry");
  private readonly submit = element<HTMLButtonElement>("make-package");

  constructor(
    { service, prices }: MapData,
    private readonly projection: Projection,
  ) {
    this.service = service;
    this.prices = prices;
    this.view = new MapView(
      element("map"),
      this.service,
      projection,
      this.path,
      (area) => this.choose(area),
      (extent) => this.say(`About ${counted(this.levels.countTiles(extent), "tile")} …`),
    );
    this.levels = new LevelSliders(service, projection, () => this.renew());
    this.coordinates = new CoordinateForms(
      service,
      projection,
      (area) => this.chooseTyped(area),
      (place) => this.view.centreOn(place, this.levels.finestChosen().resolution * 2),
    );
  }

  start(): void {
    for (const button of this.tools) {
      button.addEventListener("click", () => {
        this.use(button.dataset["tool"]!);
        if (button.dataset["tool"] === "file") field("file").click();
      });
    }
    element("finish-drawing").addEventListener("click", () => this.view.finishDrawing());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.view.isDrawing) this.use("clear");
    });
    for (const control of [this.app, ...inputs("quality")]) control.addEventListener("change", () => this.renew());
    for (const control of [field("route-width"), element("route-unit")]) {
      control.addEventListener("change", () => this.setRouteWidth());
    }
    const file = field("file");
    file.addEventListener("change", () => void this.useFile(file.files?.[0]));
    const target = element("map");
    target.addEventListener("dragover", (event) => event.preventDefault());
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      void this.useFile(event.dataTransfer?.files[0]);
    });
    field("show-tiles").addEventListener("change", () => this.showTiles());
    for (const details of document.querySelectorAll("#compare")) {
      details.addEventListener("toggle", () => void this.compare());
    }
    this.retry.addEventListener("click", () => (this.needsSignIn ? this.signIn() : this.renew()));
    this.submit.addEventListener("click", () => void this.makePackage());
    this.renew();
  }

  /** Open the page without its query, which may hold a token that scripts do not send. */
  private signIn(): void {
    location.assign(this.path);
  }

  private use(tool: string): void {
    for (const button of this.tools) button.setAttribute("aria-pressed", String(button.dataset["tool"] === tool));
    this.area = null;
    this.view.clear();
    element("route-options").hidden = tool !== "route";
    const isDrawn = tool === "rectangle" || tool === "shape" || tool === "route";
    this.offerDone(tool === "shape" || tool === "route");
    this.prompt = isDrawn ? HINTS[tool] : START;
    this.hint.textContent = "";
    if (isDrawn) {
      element("map").scrollIntoView({ block: "nearest" });
      this.view.startDrawing(tool);
      this.renew();
    } else if (tool === "view") {
      const extent = this.view.visibleExtent();
      if (extent) this.chooseRectangle(extent);
    } else if (tool === "file") {
      this.hint.textContent = "Choose a GeoJSON, KML, GPX or zipped shapefile. You can also drop it on the map.";
      this.renew();
    } else if (tool === "everything") {
      this.view.showAll();
      this.choose({ kind: "everything" });
    } else {
      this.renew();
    }
  }

  /** Show the button that ends a drawing in the place of the one that makes the package. */
  private offerDone(isOffered: boolean): void {
    element("finish-drawing").hidden = !isOffered;
    this.submit.hidden = isOffered;
  }

  private chooseRectangle(extent: Extent): void {
    this.view.showRectangle(extent);
    const [xmin, ymin, xmax, ymax] = extent as [number, number, number, number];
    this.choose({ kind: "rectangle", envelope: { xmin, ymin, xmax, ymax }, reference: this.service.spatialReference });
  }

  private chooseTyped(area: Area & { kind: "rectangle" }): void {
    for (const button of this.tools) button.setAttribute("aria-pressed", "false");
    element("route-options").hidden = true;
    const { xmin, ymin, xmax, ymax } = area.envelope;
    if (xmin > xmax) {
      const halves = [rectangle(xmin, ymin, 180, ymax), rectangle(-180, ymin, xmax, ymax)];
      this.view.showFile({ type: "MultiPolygon", coordinates: halves }, this.projection);
      this.choose(area);
      this.hint.textContent = "The rectangle crosses the 180th meridian.";
      return;
    }
    const extent =
      area.reference === WGS84
        ? transformExtent([xmin, Math.max(ymin, -89.9), xmax, Math.min(ymax, 89.9)], "EPSG:4326", this.projection)
        : [xmin, ymin, xmax, ymax];
    this.view.showRectangle(extent);
    this.view.fit(extent);
    this.choose(area);
  }

  private choose(area: Area): void {
    this.area = area.kind === "route" ? { ...area, metres: this.routeMetres() } : area;
    this.offerDone(false);
    this.view.showBand("metres" in this.area ? (this.area.metres ?? 0) : 0);
    if (area.kind === "everything") this.hint.textContent = "All of this map is chosen.";
    else if (area.kind === "route") this.hint.textContent = `To change the route, drag its corners. ${BAND_NOTE}`;
    else if (area.kind !== "file") this.hint.textContent = "To change the area, drag its corners on the map.";
    if (area.kind === "file") this.view.fit(this.extent());
    this.levels.suggest(this.extent());
    this.coordinates.show(area, this.view.drawnExtent());
    this.renew();
  }

  private routeMetres(): number {
    const unit = element<HTMLSelectElement>("route-unit").value;
    return field("route-width").valueAsNumber * ROUTE_METRES[unit]!;
  }

  private setRouteWidth(): void {
    if (this.area?.kind === "route" || (this.area?.kind === "file" && this.area.metres !== null)) {
      this.choose({ ...this.area, metres: this.routeMetres() });
    }
  }

  private async useFile(file: File | undefined): Promise<void> {
    if (!file) return;
    this.use("file");
    try {
      const { collection, isRoute, summary } = await readFile(file);
      this.view.showFile(collection, this.projection);
      this.hint.textContent = isRoute ? `${summary} ${BAND_NOTE}` : summary;
      element("route-options").hidden = !isRoute;
      this.choose({ kind: "file", collection, metres: isRoute ? this.routeMetres() : null });
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error;
      this.say(error.message, "error");
    }
    field("file").value = ""; // so that the same file can be chosen again
  }

  private showTiles(): void {
    if (field("show-tiles").checked && this.area) {
      this.view.showTiles(this.levels.finestChosen(), this.extent());
    } else {
      this.view.hideTiles();
    }
  }

  private async compare(): Promise<void> {
    const details = element<HTMLDetailsElement>("compare");
    if (!details.open) return;
    const url = this.view.tileInTheMiddle(this.levels.finestChosen());
    const isShown = await comparePictures(url, [element("picture-original"), element("picture-smaller")]);
    element("no-picture").hidden = isShown;
  }

  /** Return the extent of the chosen area on the map. */
  private extent(): Extent {
    return this.view.drawnExtent() ?? extentOf(this.service);
  }

  private isSmaller(): boolean {
    return inputs("quality").some(({ checked, value }) => checked && value === "smaller");
  }

  private parameters(area: Area): Record<string, string> {
    return {
      ...areaParameters(area),
      levels: this.levels
        .chosen()
        .map(({ level }) => level)
        .join(","),
      tilePackage: "true",
      storageFormatType: this.app.value,
      ...(this.isSmaller() ? { optimizeTilesForSize: "true" } : {}),
    };
  }

  /** Forget the present estimate, and request a new one soon. */
  private renew(): void {
    this.running?.abort();
    clearTimeout(this.timer);
    this.showTiles();
    this.levels.describe(this.extent());
    this.token = newToken();
    this.submit.disabled = true;
    const { area } = this;
    if (!this.service.exportTilesAllowed) {
      this.say("This service does not allow exports.", "error");
      return;
    }
    if (!area) {
      this.say(this.prompt);
      return;
    }
    if ("metres" in area && area.metres !== null && !isLegalWidth(area.metres)) {
      this.say("The distance to each side must be between 1 metre and 1,000 kilometres.", "error");
      return;
    }
    const total = this.levels.countTiles(this.extent());
    const limit = this.service.maxExportTilesCount;
    if ((area.kind === "rectangle" || area.kind === "everything") && total > limit) {
      this.refuse(total);
      return;
    }
    this.say("Calculating the size …");
    this.timer = setTimeout(() => void this.estimate(area), ESTIMATE_DELAY_MS);
  }

  private async estimate(area: Area): Promise<void> {
    const controller = new AbortController();
    this.running = controller;
    try {
      const found = await estimate(this.path, this.parameters(area), controller.signal);
      if (controller.signal.aborted) return;
      if (found.tiles > this.service.maxExportTilesCount) {
        this.refuse(found.tiles);
      } else if (!found.tiles) {
        this.say("There is no tile in this area. Choose another area or more levels.", "error");
      } else {
        this.say(`${counted(found.tiles, "tile")}, ${this.isSmaller() ? "less than" : "about"} ${bytes(found.bytes)}`, "good");
        const { tile, downloadedGigabyte } = this.prices;
        const price = tile * found.tiles + (downloadedGigabyte * found.bytes) / 1e9;
        const time = found.seconds === undefined ? "" : `Ready in ${duration(found.seconds)}. `;
        this.costs.textContent = `${time}Costs the operator ${dollars(price)}, with one download.`;
        this.submit.disabled = false;
      }
    } catch (error) {
      if (!controller.signal.aborted) this.report(error);
    }
  }

  private refuse(tiles: number): void {
    const limit = counted(this.service.maxExportTilesCount, "tile");
    this.say(`${counted(tiles, "tile")}: the limit is ${limit}. Choose less detail or a smaller area.`, "error");
  }

  private async makePackage(): Promise<void> {
    if (!this.area) return;
    this.submit.disabled = true;
    this.say("Starting …");
    try {
      const id = await startExport(this.path, this.parameters(this.area), this.token);
      location.assign(`${this.path}/jobs/${id}?f=html`);
    } catch (error) {
      this.report(error);
      this.submit.disabled = false;
    }
  }

  private report(error: unknown): void {
    if (!(error instanceof Refusal)) throw error;
    this.needsSignIn = error.needsSignIn;
    this.say(error.needsSignIn ? "You are not signed in any more." : error.message, "error");
    this.retry.textContent = error.needsSignIn ? "Sign in" : "Try again";
    this.retry.hidden = false;
  }

  private say(text: string, kind = ""): void {
    this.costs.textContent = "";
    this.retry.hidden = true;
    this.result.textContent = text;
    this.result.className = kind;
  }
}

function isLegalWidth(metres: number): boolean {
  return ROUTE_LIMITS[0]! <= metres && metres <= ROUTE_LIMITS[1]!;
}

/** Return the rings of a rectangle. */
function rectangle(west: number, south: number, east: number, north: number): number[][][] {
  return [
    [
      [west, south],
      [east, south],
      [east, north],
      [west, north],
      [west, south],
    ],
  ];
}
