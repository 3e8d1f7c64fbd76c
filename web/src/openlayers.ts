// The parts of OpenLayers that the pages use; nothing else of it is bundled.

export { default as Feature } from "ol/Feature";
export { default as OlMap } from "ol/Map";
export type { FrameState } from "ol/Map";
export { default as View } from "ol/View";
export { buffer, createEmpty, extend, getCenter, getHeight, getIntersection, getWidth, isEmpty } from "ol/extent";
export type { Extent } from "ol/extent";
export { default as GeoJSON } from "ol/format/GeoJSON";
export { default as Circle } from "ol/geom/Circle";
export { default as LineString } from "ol/geom/LineString";
export { default as MultiLineString } from "ol/geom/MultiLineString";
export { default as MultiPolygon } from "ol/geom/MultiPolygon";
export { default as MultiPoint } from "ol/geom/MultiPoint";
export { default as Point } from "ol/geom/Point";
export { default as Polygon, fromExtent } from "ol/geom/Polygon";
export type { default as Geometry } from "ol/geom/Geometry";
export type { Coordinate } from "ol/coordinate";
export { default as Attribution } from "ol/control/Attribution";
export { default as ScaleLine } from "ol/control/ScaleLine";
export { default as Zoom } from "ol/control/Zoom";
export { defaults as defaultInteractions } from "ol/interaction/defaults";
export { default as Draw, createBox } from "ol/interaction/Draw";
export { default as Modify } from "ol/interaction/Modify";
export { default as Layer } from "ol/layer/Layer";
export { default as TileLayer } from "ol/layer/Tile";
export { default as VectorLayer } from "ol/layer/Vector";
export {
  addCoordinateTransforms,
  addProjection,
  get as getProjection,
  getPointResolution,
  getTransform,
  toLonLat,
  fromLonLat,
  transformExtent,
} from "ol/proj";
export { default as Projection } from "ol/proj/Projection";
export { default as TileImage } from "ol/source/TileImage";
export { default as VectorSource } from "ol/source/Vector";
export { default as Fill } from "ol/style/Fill";
export { default as Stroke } from "ol/style/Stroke";
export { default as Style } from "ol/style/Style";
export { default as Text } from "ol/style/Text";
export { default as CircleStyle } from "ol/style/Circle";
export { default as TileGrid } from "ol/tilegrid/TileGrid";
