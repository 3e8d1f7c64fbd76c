// A map of a service: its own tiles, in its own tiling scheme and projection.

import {
  Attribution,
  type Layer,
  OlMap,
  type Projection,
  ScaleLine,
  TileImage,
  TileLayer,
  View,
  Zoom,
  defaultInteractions,
  getCenter,
  getHeight,
  getWidth,
} from "./openlayers";
import type { ServiceDocument } from "./service";
import { drawnLevels, extentOf, tileGridOf } from "./tiling";
import { World } from "./world";

/**
 * Return a map of a service, below the given layers.
 *
 * @param path of the service, whose tiles are drawn; null leaves the map empty.
 */
export function serviceMap(
  target: HTMLElement,
  service: ServiceDocument,
  projection: Projection,
  path: string | null,
  layers: Layer[],
): OlMap {
  const extent = extentOf(service);
  const isRepeated = new World(service, projection).width > 0;
  const hasPictures = service.tileInfo.format !== "LERC"; // heights
  return new OlMap({
    target,
    controls: [new Zoom(), new ScaleLine(), new Attribution({ collapsible: false })],
    interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
    layers: [...(path !== null && hasPictures ? [tileLayer(service, projection, path, isRepeated)] : []), ...layers],
    view: new View({
      projection,
      extent: isRepeated ? [-Infinity, extent[1]!, Infinity, extent[3]!] : extent,
      constrainOnlyCenter: true,
      center: getCenter(extent),
      maxResolution: Math.max(getWidth(extent), getHeight(extent)) / 200,
      minResolution: drawnLevels(service).at(-1)!.resolution / 4,
      showFullExtent: true,
    }),
  });
}

function tileLayer(service: ServiceDocument, projection: Projection, path: string, wrapX: boolean): TileLayer {
  const levels = drawnLevels(service);
  return new TileLayer({
    source: new TileImage({
      attributions: service.copyrightText ? escaped(service.copyrightText) : [],
      projection,
      tileGrid: tileGridOf(service, levels),
      tileUrlFunction: ([z, column, row]) => `${path}/tile/${levels[z!]!.level}/${row}/${column}`,
      wrapX,
      transition: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
    }),
  });
}

function escaped(text: string): string {
  const element = document.createElement("span");
  element.textContent = text;
  return element.innerHTML;
}
