// The page of a service: choose areas, levels and an app, see the size, and start the export.

import { type Estimate, Refusal, estimate, newToken, startExport } from "./api";
import { type Area, type AreaWithLevels, areaParameters } from "./area";
import { AreaList, type Entry } from "./area_list";
import { packageChoices, packageCount } from "./batch";
import { CoordinateForms } from "./coordinates";
import { element, field, inputs } from "./dom";
import { forgetDraft, loadDraft, saveDraft } from "./draft";
import { FileProblem } from "./file_problem";
import { readFiles } from "./files";
import { LevelSliders } from "./levels";
import { type Tool, MapView } from "./map_view";
import { type Extent, type Projection } from "./openlayers";
import { ExportOptions } from "./options";
import { comparePictures } from "./preview";
import { type MapData, type Prices, type ServiceDocument, readMapData, servicePath } from "./service";
import { extentOfFeatures, featuresOf } from "./shapes";
import { extentOf, projectionOf } from "./tiling";
import { bytes, counted, dollars, duration } from "./wording";
import { World } from "./world";

const ESTIMATE_DELAY_MS = 500;
const SPEECH_DELAY_MS = 1000; // screen readers hear the size once it has settled
const ROUTE_METRES: Record<string, number> = { m: 1, km: 1000, mi: 1609.344 };
const ROUTE_LIMITS = [1, 1e6]; // metres, of the API
const START = "Choose an area to see the size of its package.";
const BAND_NOTE = "The band is drawn roughly; the package is exact.";
const KEYS = "By keyboard: move the map, and press Enter to put a corner in its middle.";
const HINTS: Record<Tool, string> = {
  rectangle: "On the map, click or tap one corner, then the opposite corner.",
  shape: "On the map, click or tap each corner. Then press Done, or click the first corner again.",
  route: "On the map, click or tap along the route. Then press Done, or click the last point again.",
};
const KEPT = ["app", "clip", "clip-color", "tile-format", "overview", "route-width", "route-unit"];

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
  private readonly world: World;
  private readonly view: MapView;
  private readonly levels: LevelSliders;
  private readonly areas: AreaList;
  private readonly options: ExportOptions;
  private readonly coordinates: CoordinateForms;
  private prompt = START;
  private replaced: Area | null = null; // by what is being drawn
  private refusedTiles = 0;
  private readonly extents = new WeakMap<Area, Extent>(); // of files, which may be large
  private running: AbortController | undefined;
  private timer = 0;
  private speechTimer = 0;
  private token = "";
  private unanswered = ""; // the request with that token, until its answer has come
  private needsSignIn = false;
  private hasFailed = false;

  private readonly tools = document.querySelectorAll<HTMLButtonElement>("[data-tool]");
  private readonly hint = element("area-hint");
  private readonly overview = field("overview");
  private readonly packageBy = element<HTMLSelectElement>("package-by");
  private readonly result = element("estimate");
  private readonly costs = element("costs");
  private readonly retry = element<HTMLButtonElement>("retry");
  private readonly reduce = element<HTMLButtonElement>("less-detail");
  private readonly submit = element<HTMLButtonElement>("make-package");

  constructor(
    { service, prices }: MapData,
    private readonly projection: Projection,
  ) {
    this.service = service;
    this.prices = prices;
    this.world = new World(service, projection);
    this.view = new MapView(
      element("map"),
      this.service,
      projection,
      this.world,
      this.path,
      (area) => this.choose(area),
      (extent) => this.say(`About ${counted(this.levels.countTiles(extent), "tile")} …`),
    );
    this.levels = new LevelSliders(service, projection, this.world, () => this.renew());
    this.areas = new AreaList({ area: null, levels: this.levels.choice }, () => this.edit());
    this.options = new ExportOptions(service, () => this.renew());
    this.coordinates = new CoordinateForms(
      service,
      projection,
      (area) => this.chooseTyped(area),
      (place) => this.view.centreOn(place, this.levels.finestOf().resolution * 2),
    );
  }

  start(): void {
    for (const button of this.tools) {
      button.addEventListener("click", () => this.use(button.dataset["tool"]!));
    }
    document.addEventListener("click", ({ target }) => this.keepFocus(target));
    element("finish-drawing").addEventListener("click", () => this.view.finishDrawing());
    element("undo-corner").addEventListener("click", () => this.view.undoCorner());
    element("stop-drawing").addEventListener("click", () => this.stopDrawing());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.view.isDrawing) this.stopDrawing();
    });
    element("remove-area").addEventListener("click", () => this.areas.remove(this.areas.current));
    element("add-area").addEventListener("click", () => this.addArea());
    this.overview.addEventListener("change", () => this.renew());
    this.packageBy.addEventListener("change", () => this.setPackages());
    for (const control of [field("route-width"), element("route-unit")]) {
      control.addEventListener("change", () => this.setRouteWidth());
    }
    const file = field("file");
    file.addEventListener("change", () => void this.useFiles([...(file.files ?? [])]));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      void this.useFiles([...(event.dataTransfer?.files ?? [])]);
    });
    field("show-tiles").addEventListener("change", () => this.showTiles());
    for (const details of document.querySelectorAll("#compare")) {
      details.addEventListener("toggle", () => void this.compare());
    }
    this.retry.addEventListener("click", () => (this.needsSignIn ? this.signIn() : this.renew()));
    this.reduce.addEventListener("click", () => this.reduceDetail());
    window.addEventListener("pageshow", (event) => event.persisted && this.renew()); // by the back button
    window.addEventListener("pagehide", () => this.save());
    document.addEventListener("visibilitychange", () => document.hidden && this.save());
    window.addEventListener("online", () => this.hasFailed && !this.needsSignIn && this.renew());
    this.submit.addEventListener("click", () => void this.makePackage());
    if (!this.restore()) this.renew();
  }

  /** Open the page without its query, which may hold a token that scripts do not send. */
  private signIn(): void {
    location.assign(this.path);
  }

  /** Let the keyboard go on at the tools, if the button that was pressed has disappeared. */
  private keepFocus(pressed: EventTarget | null): void {
    const isGone = pressed instanceof HTMLButtonElement && !pressed.getClientRects().length;
    if (!isGone || document.activeElement?.matches("#area-list button")) return;
    const tools = [...this.tools];
    const tool = tools.find((each) => each.getAttribute("aria-pressed") === "true") ?? tools[0]!;
    tool.focus({ preventScroll: true });
  }

  private use(tool: string): void {
    if (tool === "file") {
      field("file").click(); // the area stays until a file is chosen
      this.hint.textContent = "Choose a GeoJSON, KML, KMZ, GPX or zipped shapefile. You can also drop it on the map.";
      return;
    }
    const isDrawn = tool === "rectangle" || tool === "shape" || tool === "route";
    if (isDrawn && !this.view.isDrawing) this.replaced = this.areas.current.area;
    this.clear(tool);
    if (isDrawn) {
      element("route-options").hidden = tool !== "route";
      this.offerDrawing(true, tool !== "rectangle");
      this.prompt = HINTS[tool] + (matchMedia("(pointer: fine)").matches ? ` ${KEYS}` : "");
      element("map").scrollIntoView({ block: "nearest" });
      this.view.startDrawing(tool);
      this.renew();
      this.speak(this.prompt);
      element("map").focus({ preventScroll: true });
    } else if (tool === "view") {
      const extent = this.view.visibleExtent();
      if (extent) this.chooseRectangle(extent);
      else this.renew();
    } else {
      this.view.showAll();
      this.choose({ kind: "everything" });
    }
  }

  /** Forget the area that is edited, and show which tool is used for the next one. */
  private clear(tool: string): void {
    for (const button of this.tools) button.setAttribute("aria-pressed", String(button.dataset["tool"] === tool));
    this.areas.current.area = null;
    this.view.clear();
    element("route-options").hidden = true;
    this.offerDrawing(false);
    this.prompt = START;
    this.hint.textContent = "";
  }

  /** Show the area again that was to be replaced. */
  private stopDrawing(): void {
    this.areas.current.area = this.replaced;
    this.edit();
  }

  /** Show the buttons of a drawing in the place of the one that makes the package. */
  private offerDrawing(isDrawn: boolean, hasDone = false): void {
    element("drawing-buttons").hidden = !isDrawn;
    element("finish-drawing").hidden = !hasDone;
    element("undo-corner").hidden = !hasDone;
    this.submit.hidden = isDrawn;
  }

  private chooseRectangle([xmin, ymin, xmax, ymax]: Extent): void {
    const envelope = { xmin: xmin!, ymin: ymin!, xmax: xmax!, ymax: ymax! };
    const area: Area = { kind: "rectangle", envelope, reference: this.service.spatialReference };
    this.view.show(area);
    this.choose(area);
  }

  private chooseTyped(area: Area & { kind: "rectangle" }): void {
    for (const button of this.tools) button.setAttribute("aria-pressed", "false");
    element("route-options").hidden = true;
    this.view.show(area);
    this.view.fit(this.extent());
    this.choose(area);
    if (area.envelope.xmin > area.envelope.xmax) this.hint.textContent = "The rectangle crosses the 180th meridian.";
  }

  /** Take an area that is shown on the map as the one that is edited. */
  private choose(area: Area): void {
    this.areas.current.area = area.kind === "route" ? { ...area, metres: this.routeMetres() } : area;
    this.offerDrawing(false);
    this.showBand();
    if (area.kind === "everything") this.hint.textContent = "All of this map is chosen.";
    else if (area.kind === "route") this.hint.textContent = `To change the route, drag its corners. ${BAND_NOTE}`;
    else if (area.kind !== "file") this.hint.textContent = "To change the area, drag its corners on the map.";
    if (area.kind === "file") this.view.fit(this.extent());
    this.levels.suggest(this.extent());
    this.coordinates.show(area, this.view.drawnExtent());
    this.renew();
  }

  private showBand(): void {
    const { area } = this.areas.current;
    this.view.showBand(area && "metres" in area ? (area.metres ?? 0) : 0);
  }

  /** Keep the area, and let another one be drawn: in more detail, unless there is no more. */
  private addArea(): void {
    const { coarsest, finest } = this.levels.choice;
    const isMore = finest < this.levels.levels.length - 1;
    this.areas.add(
      isMore ? { coarsest: finest + 1, finest: finest + 1, areChosen: false } : { coarsest, finest, areChosen: true },
    );
    this.hint.textContent = isMore ? "Choose an area that has more detail." : "Choose another area.";
    this.tools[0]!.focus();
  }

  /** Show the area that is to be edited now. */
  private edit(): void {
    const { area, levels } = this.areas.current;
    this.levels.choose(levels);
    for (const button of this.tools) button.setAttribute("aria-pressed", "false");
    this.offerDrawing(false);
    this.prompt = this.areas.entries.length > 1 ? "Choose the next area." : START;
    this.hint.textContent = "";
    if (area) {
      this.view.show(area);
      this.coordinates.show(area, this.view.drawnExtent());
    } else {
      this.view.clear();
    }
    this.showBand();
    element("route-options").hidden = !area || !("metres" in area) || area.metres === null;
    this.renew();
  }

  private routeMetres(): number {
    const unit = element<HTMLSelectElement>("route-unit").value;
    return field("route-width").valueAsNumber * ROUTE_METRES[unit]!;
  }

  private setRouteWidth(): void {
    const { area } = this.areas.current;
    if (area?.kind === "route" || (area?.kind === "file" && area.metres !== null)) {
      this.choose({ ...area, metres: this.routeMetres() });
    }
  }

  private async useFiles(files: File[]): Promise<void> {
    if (!files.length) return;
    this.clear("file");
    this.renew();
    try {
      const { name, collection, shown, isRoute, summary } = await readFiles(files, this.projection, this.service);
      const metres = isRoute ? this.routeMetres() : null;
      const area: Area = { kind: "file", name, collection, shown, metres, packageBy: "" };
      this.view.show(area);
      this.hint.textContent = isRoute ? `${summary} ${BAND_NOTE}` : summary;
      element("route-options").hidden = !isRoute;
      this.choose(area);
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error;
      this.say(error.message, "error");
      this.speak(error.message);
    }
    field("file").value = ""; // so that the same file can be chosen again
  }

  /** Offer one package for each value of an attribute of a file. */
  private offerPackages(): void {
    const { area } = this.areas.current;
    const isAlone = this.areas.entries.length === 1;
    const choices = area?.kind === "file" && isAlone ? packageChoices(area.collection) : [];
    element("package-options").hidden = !choices.length;
    if (area?.kind !== "file") return;
    if (!choices.some(({ attribute }) => attribute === area.packageBy)) area.packageBy = "";
    const options = choices.map(
      ({ attribute, count }) => new Option(`${count} packages, one for each ${attribute}`, attribute),
    );
    this.packageBy.replaceChildren(new Option("one package of all areas in the file", ""), ...options);
    this.packageBy.value = area.packageBy;
  }

  private setPackages(): void {
    const { area } = this.areas.current;
    if (area?.kind === "file") area.packageBy = this.packageBy.value;
    this.renew();
  }

  private showTiles(): void {
    const { drawn } = this.areas;
    const boxes = drawn.map((entry) => ({
      level: this.levels.finestOf(entry.levels),
      extent: this.extentOfEntry(entry),
      area: entry.area,
    }));
    this.view.showTiles(field("show-tiles").checked ? boxes : []);
  }

  private async compare(): Promise<void> {
    const details = element<HTMLDetailsElement>("compare");
    if (!details.open) return;
    const url = this.view.tileInTheMiddle(this.levels.finestOf());
    const isShown = await comparePictures(url, [element("picture-original"), element("picture-smaller")]);
    element("no-picture").hidden = isShown;
  }

  /** Return the extent of the area that is edited, on the map. */
  private extent(): Extent {
    return this.view.drawnExtent() ?? extentOf(this.service);
  }

  private extentOfEntry(entry: Entry): Extent {
    const { area } = entry;
    if (entry === this.areas.current || !area) return this.extent();
    const extent = this.extents.get(area) ?? extentOfFeatures(featuresOf(area, this.service, this.projection));
    this.extents.set(area, extent);
    return extent;
  }

  /** Return the levels of the whole map that are exported besides those of the areas. */
  private overviewLevels(): number[] {
    if (!this.overview.checked || element("overview-choice").hidden) return [];
    return this.levels.overview(this.finestOfAll()).map(({ level }) => level);
  }

  private finestOfAll(): number {
    return Math.max(...this.areas.entries.map(({ levels }) => levels.finest));
  }

  private parameters(): Record<string, string> {
    const named: AreaWithLevels[] = this.areas.drawn.map((entry) => ({
      name: this.areas.nameOf(entry),
      area: entry.area,
      levels: this.levels.chosen(entry.levels).map(({ level }) => level),
    }));
    return { ...areaParameters(named, this.overviewLevels()), ...this.options.parameters() };
  }

  /** Show the choices that depend on each other. */
  private describe(): void {
    const { drawn, current, others } = this.areas;
    const isEverything = drawn.length > 0 && drawn.every(({ area }) => area.kind === "everything");
    this.levels.describe(this.extent());
    element("overview-choice").hidden = !drawn.length || isEverything || this.finestOfAll() === 0;
    if (this.finestOfAll()) {
      element("overview-text").textContent = this.overview.checked
        ? this.levels.overviewText(this.levels.overview(this.finestOfAll()))
        : "";
    }
    element("overview-text").hidden = element("overview-choice").hidden;
    this.offerPackages();
    const isBatch = current.area?.kind === "file" && current.area.packageBy !== "";
    const add = element("add-area");
    add.hidden = isBatch || !this.areas.isOpen || !current.area;
    add.textContent =
      current.levels.finest < this.levels.levels.length - 1 ? "Add another area, in more detail" : "Add another area";
    element("remove-area").hidden = !current.area || drawn.length > 1;
    this.areas.show((entry) => this.levels.choiceText(entry.levels, this.extentOfEntry(entry)));
    const shown = others.filter((entry): entry is Entry & { area: Area } => entry.area !== null);
    this.view.showOthers(shown.map((entry) => ({ label: this.areas.nameOf(entry), area: entry.area })));
    this.options.update(!isEverything);
    this.showTiles();
  }

  /** Forget the present estimate, and request a new one soon. */
  private renew(): void {
    this.running?.abort();
    clearTimeout(this.timer);
    clearTimeout(this.speechTimer);
    this.areas.current.levels = this.levels.choice;
    this.describe();
    this.submit.disabled = true;
    this.submit.textContent = "Make the package";
    if (!this.service.exportTilesAllowed) {
      this.say("This service does not allow exports.", "error");
      return;
    }
    if (!this.areas.current.area) {
      this.say(this.prompt);
      return;
    }
    const widths = this.areas.drawn.map(({ area }) => ("metres" in area ? area.metres : null));
    if (widths.some((width) => width !== null && !isLegalWidth(width))) {
      this.say("The distance to each side must be between 1 metre and 1,000 kilometres.", "error");
      return;
    }
    if (this.isOutside()) {
      this.say("This area lies outside of the map. Press “All of it” to see where the map is.", "error");
      return;
    }
    const total = this.knownTiles();
    if (total > this.service.maxExportTilesCount) {
      this.refuse(total);
      return;
    }
    this.say("Calculating the size …");
    this.timer = setTimeout(() => void this.estimate(), ESTIMATE_DELAY_MS);
  }

  /** Return true if a rectangle touches nothing of the service. */
  private isOutside(): boolean {
    const { area } = this.areas.current;
    return area?.kind !== "everything" && !this.world.parts(this.extent()).length;
  }

  /** Return the number of tiles of a rectangle or of everything; 0 if only the API knows it. */
  private knownTiles(): number {
    const { drawn } = this.areas;
    const [only] = drawn;
    if (drawn.length !== 1 || !only) return 0;
    const isKnown =
      only.area.kind === "everything" ||
      (only.area.kind === "rectangle" && only.area.reference === this.service.spatialReference);
    return isKnown ? this.levels.countTiles(this.extent(), only.levels) : 0;
  }

  private async estimate(): Promise<void> {
    const controller = new AbortController();
    this.running = controller;
    try {
      const found = await estimate(this.path, this.parameters(), controller.signal);
      if (!controller.signal.aborted) this.showEstimate(found);
    } catch (error) {
      if (!controller.signal.aborted) this.report(error);
    }
  }

  private showEstimate(found: Estimate): void {
    if (found.tiles > this.service.maxExportTilesCount) {
      this.refuse(found.tiles);
      return;
    }
    if (!found.tiles) {
      this.say("There is no tile in this area. Choose another area or more levels.", "error");
      return;
    }
    const packages = this.packages();
    const size = this.options.isSmaller ? "less than" : "about";
    const several = packages > 1 ? `${counted(packages, "package")}: ` : "";
    const together = packages > 1 ? " together" : "";
    this.say(`${several}${counted(found.tiles, "tile")}, ${size} ${bytes(found.bytes)}${together}`, "good");
    const { tile, downloadedGigabyte } = this.prices;
    const price = tile * found.tiles + (downloadedGigabyte * found.bytes) / 1e9;
    const time = found.seconds === undefined ? "" : `Ready in ${duration(found.seconds)}. `;
    this.costs.textContent = `${time}Costs the operator ${dollars(price)}, with one download.`;
    this.submit.disabled = false;
    if (packages > 1) this.submit.textContent = `Make the ${counted(packages, "package")}`;
  }

  private packages(): number {
    const { area } = this.areas.current;
    return area?.kind === "file" && area.packageBy ? packageCount(area.collection, area.packageBy) : 1;
  }

  private refuse(tiles: number): void {
    const limit = this.service.maxExportTilesCount;
    const finest = this.finestWithinLimit(tiles);
    this.refusedTiles = tiles;
    const advice = finest === null ? "Choose a smaller area." : "Choose less detail or a smaller area.";
    this.say(`${counted(tiles, "tile")}: the limit is ${counted(limit, "tile")}. ${advice}`, "error");
    this.reduce.hidden = finest === null;
  }

  /** Return the finest position of the sliders with which the tiles are probably within the limit; null if there is none. */
  private finestWithinLimit(tiles: number): number | null {
    const { coarsest, finest } = this.levels.choice;
    const extent = this.extent();
    const all = this.areas.drawn.reduce(
      (sum, entry) => sum + this.levels.countTiles(this.extentOfEntry(entry), entry.levels),
      0,
    );
    const own = this.levels.countTiles(extent);
    for (let found = finest - 1; found >= coarsest; found -= 1) {
      const fewer = all - own + this.levels.countTiles(extent, { coarsest, finest: found, areChosen: true });
      if ((tiles * fewer) / all <= this.service.maxExportTilesCount) return found;
    }
    return null;
  }

  private reduceDetail(): void {
    const { coarsest } = this.levels.choice;
    const finest = this.finestWithinLimit(this.refusedTiles);
    if (finest === null) return;
    this.levels.choose({ coarsest, finest, areChosen: true });
    this.renew();
  }

  private async makePackage(): Promise<void> {
    this.submit.disabled = true;
    this.say("Starting …");
    const parameters = this.parameters();
    const request = JSON.stringify(parameters);
    if (request !== this.unanswered) [this.unanswered, this.token] = [request, newToken()];
    try {
      const id = await startExport(this.path, parameters, this.token);
      this.unanswered = "";
      location.assign(`${this.path}/jobs/${id}?f=html`);
    } catch (error) {
      this.report(error);
      this.submit.disabled = false;
    }
  }

  /** Keep in this tab what is chosen. */
  private save(): void {
    if (!this.areas.drawn.length) {
      forgetDraft();
      return;
    }
    const controls = Object.fromEntries(
      KEPT.map((id) => {
        const control = field(id);
        return [id, control.type === "checkbox" ? control.checked : control.value];
      }),
    );
    const quality = inputs("quality").find(({ checked }) => checked)?.value ?? "";
    saveDraft(this.path, { entries: this.areas.drawn, controls: { ...controls, quality } });
  }

  /** Show what was chosen before the page was loaded again. Return false if there is nothing. */
  private restore(): boolean {
    const draft = loadDraft(this.path, this.levels.levels.length);
    if (!draft) return false;
    for (const id of KEPT) {
      const [control, value] = [field(id), draft.controls[id]];
      if (typeof value === "boolean") control.checked = value;
      else if (value !== undefined) control.value = value;
    }
    for (const radio of inputs("quality")) radio.checked = radio.value === draft.controls["quality"];
    this.areas.restore(draft.entries);
    this.edit();
    if (this.areas.current.area?.kind !== "everything") this.view.fit(this.extent());
    return true;
  }

  private report(error: unknown): void {
    if (!(error instanceof Refusal)) throw error;
    this.needsSignIn = error.needsSignIn;
    this.say(error.needsSignIn ? "You are not signed in any more." : error.message, "error");
    this.hasFailed = true;
    this.retry.textContent = error.needsSignIn ? "Sign in" : "Try again";
    this.retry.hidden = false;
  }

  private say(text: string, kind = ""): void {
    this.costs.textContent = "";
    this.retry.hidden = true;
    this.reduce.hidden = true;
    this.hasFailed = false;
    this.result.textContent = text;
    this.result.className = kind;
    element("size").classList.toggle("idle", !kind && !this.areas.current.area && !this.view.isDrawing);
    if (kind) this.speak(text);
  }

  /** Let screen readers say a text, once it has not changed for a while. */
  private speak(text: string): void {
    clearTimeout(this.speechTimer);
    this.speechTimer = setTimeout(() => (element("spoken-size").textContent = text), SPEECH_DELAY_MS);
  }
}

function isLegalWidth(metres: number): boolean {
  return ROUTE_LIMITS[0]! <= metres && metres <= ROUTE_LIMITS[1]!;
}
