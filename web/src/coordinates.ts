// The forms in which coordinates are typed: a place to look at, and the sides of a rectangle.

import { type Area, WGS84, isInDegrees } from "./area";
import { element, field } from "./dom";
import { type Coordinate, type Extent, type Projection, fromLonLat, transformExtent } from "./openlayers";
import type { ServiceDocument } from "./service";
import { knowsDegrees } from "./tiling";

const PLACE = /^\s*(-?\d+(?:\.\d+)?)\s*°?\s*[,; ]\s*(-?\d+(?:\.\d+)?)\s*°?\s*$/;

export class CoordinateForms {
  private readonly sides = ["xmin", "ymin", "xmax", "ymax"].map(field);
  private readonly units = element<HTMLSelectElement>("coordinate-unit");
  private area: Area | null = null;
  private extent: Extent | null = null;

  /**
   * @param choose is called with a rectangle that was typed.
   * @param look is called with the coordinates of a place on the map.
   */
  constructor(
    private readonly service: ServiceDocument,
    private readonly projection: Projection,
    choose: (area: Area & { kind: "rectangle" }) => void,
    look: (place: Coordinate) => void,
  ) {
    if (!knowsDegrees(projection)) {
      this.units.querySelector("[value=degrees]")?.remove();
      element("go-to").hidden = true;
    }
    const here = element("here");
    here.hidden = !isSecureContext || !navigator.geolocation;
    here.addEventListener("click", () => {
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => look(fromLonLat([coords.longitude, coords.latitude], projection)),
        () => (element("place-problem").textContent = "This device does not know where it is, or does not tell it."),
      );
    });
    this.units.addEventListener("change", () => this.show(this.area, this.extent));
    element("coordinates").addEventListener("submit", (event) => {
      event.preventDefault();
      const area = this.read();
      if (area) choose(area);
    });
    element("go-to").addEventListener("submit", (event) => {
      event.preventDefault();
      const place = this.readPlace();
      if (place) look(place);
    });
  }

  /** Show the sides of an area: as they were typed, or those of its extent on the map. */
  show(area: Area | null, extent: Extent | null): void {
    [this.area, this.extent] = [area, extent];
    const inDegrees = this.units.value === "degrees";
    let shown = extent && inDegrees ? transformExtent(extent, this.projection, "EPSG:4326") : extent;
    if (area?.kind === "rectangle" && isInDegrees(area.reference) === inDegrees) {
      const { xmin, ymin, xmax, ymax } = area.envelope;
      shown = [xmin, ymin, xmax, ymax];
    }
    for (const [index, side] of this.sides.entries()) {
      side.value = shown ? String(Number(shown[index]!.toFixed(inDegrees ? 6 : 1))) : "";
    }
  }

  /** Return the rectangle in the fields, or say what is wrong with it. */
  private read(): (Area & { kind: "rectangle" }) | null {
    const values = this.sides.map((side) => side.valueAsNumber);
    const [xmin, ymin, xmax, ymax] = values as [number, number, number, number];
    const inDegrees = this.units.value === "degrees";
    let problem = "";
    if (!values.every(Number.isFinite)) problem = "Type a number into each of the four fields.";
    else if (xmin >= xmax && !(inDegrees && xmin > 0 && xmax < 0)) problem = "West must be less than east.";
    else if (ymin >= ymax) problem = "South must be less than north.";
    else if (inDegrees && (xmin < -180 || xmax > 180 || ymin < -90 || ymax > 90)) {
      problem = "Degrees go from -180 to 180 for west and east, and from -90 to 90 for south and north.";
    }
    element("coordinates-problem").textContent = problem;
    const reference = inDegrees ? WGS84 : this.service.spatialReference;
    return problem ? null : { kind: "rectangle", envelope: { xmin, ymin, xmax, ymax }, reference };
  }

  /** Return the place in the field, in the coordinates of the map, or say how it is typed. */
  private readPlace(): Coordinate | null {
    const [, latitude, longitude] = field("place").value.match(PLACE)?.map(Number) ?? [];
    const isPlace = Math.abs(latitude ?? NaN) <= 90 && Math.abs(longitude ?? NaN) <= 180;
    element("place-problem").textContent = isPlace
      ? ""
      : "Type the latitude, a comma and the longitude in degrees, such as 46.95, 7.44.";
    return isPlace ? fromLonLat([longitude!, latitude!], this.projection) : null;
  }
}
