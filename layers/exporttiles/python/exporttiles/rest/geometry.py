"""Parse geometries in JSON: those of Esri, feature sets, GeoJSON.

Source: ArcGIS REST API, "Geometry objects"; RFC 7946 (GeoJSON) and its
predecessor of 2008, extensions here.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from exporttiles.domain.area import VERTICES_LIMIT
from exporttiles.domain.errors import AreaError
from exporttiles.domain.rings import Box
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.formats.areas.curve_rings import trace_ring
from exporttiles.formats.areas.geojson import read_crs, reference_of_name
from exporttiles.formats.esri.esri_json import read_spatial_reference

SIDES = ("xmin", "ymin", "xmax", "ymax")
"""Members of an envelope."""

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_MAX_DEPTH = 32  # of collections inside collections
_LEFT_OUT = {  # member of an Esri geometry without an area -> singular and plural of its kind
    "paths": ("polyline (paths)", "polylines (paths)"),
    "curvePaths": ("polyline (curvePaths)", "polylines (curvePaths)"),
    "points": ("multipoint (points)", "multipoints (points)"),
    "x": ("point (x, y)", "points (x, y)"),
}

Rings = list[list[list[float]]]


class GeometryError(ValueError):
    """A geometry in JSON is malformed; the message says where."""


@dataclass(slots=True)
class Geometries:
    """The geometries of a document.

    Attributes:
        polygons: by their reference; None means that of the service.
        envelopes: sides and reference of each.
        paths: vertices of lines, and of points as lines of one vertex, by their reference.
        left_out: number of geometries without an area, by singular and plural of their kind.
        has_paths: read lines and points; otherwise they are left out.
    """

    has_paths: bool = False
    polygons: dict[SpatialReference | None, list[Rings]] = field(default_factory=dict)
    envelopes: list[tuple[Box, SpatialReference | None]] = field(default_factory=list)
    paths: dict[SpatialReference | None, list[list[Any]]] = field(default_factory=dict)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    _curve_vertices_left: int = VERTICES_LIMIT

    def add(self, value: Any, reference: SpatialReference | None, depth: int = 0) -> None:
        """Add all geometries of a feature set, a feature, a collection, a list or a geometry.

        Args:
            value: JSON.
            reference: inherited from the enclosing document; None if that names none.
            depth: nesting depth of the value.

        Raises:
            GeometryError: the value is none of these, or contains such a value.
            AreaError: its curves take too many vertices.
        """
        if depth > _MAX_DEPTH:
            raise GeometryError("It is nested too deeply.")
        if value is None:  # a feature without a geometry
            return
        members = _members(value)
        if isinstance(value, dict):
            reference = named_reference(value) or reference
        if members is not None:
            for member in members:
                self.add(member, reference, depth + 1)
        elif "coordinates" in value:
            self._add_geojson(value, reference or WGS84)
        else:
            self._add_esri(value, reference)

    def _add_geojson(self, geometry: dict[str, Any], reference: SpatialReference) -> None:
        kind, coordinates = geometry.get("type"), geometry["coordinates"]
        match kind, coordinates:
            case "Polygon", list(rings):
                self._add_polygons([rings], reference)
            case "MultiPolygon", list(polygons):
                self._add_polygons(polygons, reference)
            case (("Point" | "MultiPoint" | "LineString" | "MultiLineString"), _) if not self.has_paths:
                self.left_out[kind, f"{kind}s"] += 1
            case "Point", list(position):
                self._add_paths([[position]] if position else [], reference)
            case "MultiPoint", list(positions):
                self._add_paths([[position] for position in positions], reference)
            case "LineString", list(positions):
                self._add_paths([positions], reference)
            case "MultiLineString", list(lines):
                self._add_paths(lines, reference)
            case (("Point" | "MultiPoint" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon"), _):
                raise GeometryError(f"The coordinates of a {kind} are not a list.")
            case _:
                raise GeometryError(f"{_shown(kind)} is not a type of GeoJSON geometry.")

    def _add_esri(self, geometry: dict[str, Any], reference: SpatialReference | None) -> None:
        if geometry.get("type") == "Topology":
            raise GeometryError("It is TopoJSON: convert it to GeoJSON.")
        for member in ("curveRings", "rings"):
            if geometry.get(member) is not None:
                if not isinstance(geometry[member], list):
                    raise GeometryError(f"'{member}' is not a list.")
                rings = map(self._traced, geometry[member]) if member == "curveRings" else geometry[member]
                self._add_polygons([[*rings]], reference)
                return
        if "xmin" in geometry:
            self.envelopes.append((sides_of(geometry), reference))
            return
        kind = next((kind for member, kind in _LEFT_OUT.items() if member in geometry), None)
        if kind is None and "attributes" in geometry:  # a feature whose geometry is empty is sent without it
            return
        if kind is None:
            raise GeometryError(f"{_shown(geometry)} is not a polygon.")
        if self.has_paths:
            self._add_paths(self._esri_paths(geometry), reference)
        else:
            self.left_out[kind] += 1

    def _esri_paths(self, geometry: dict[str, Any]) -> list[Any]:
        """Return the vertices of a polyline, a multipoint or a point, which may be empty."""
        for member in ("curvePaths", "paths", "points"):
            if geometry.get(member) is None:
                continue
            if not isinstance(geometry[member], list):
                raise GeometryError(f"'{member}' is not a list.")
            if member == "points":
                return [[point] for point in geometry[member]]
            return [*map(self._traced, geometry[member])] if member == "curvePaths" else geometry[member]
        if geometry.get("x") in (None, "NaN"):
            return []
        return [[[geometry["x"], geometry.get("y")]]]

    def _add_polygons(self, polygons: list[Any], reference: SpatialReference | None) -> None:
        for polygon in polygons:
            if not isinstance(polygon, list):
                raise GeometryError(f"{_shown(polygon)} is not a list of rings.")
            for ring in polygon:
                _require_vertices(ring)
        self.polygons.setdefault(reference, []).extend(polygons)

    def _add_paths(self, paths: list[Any], reference: SpatialReference | None) -> None:
        for path in paths:
            _require_vertices(path, "line")
            if path:
                self.paths.setdefault(reference, []).append(path)

    def _traced(self, ring: Any) -> list[Any]:
        """Convert a ring or a path of curves to vertices."""
        if not isinstance(ring, list):
            raise GeometryError(f"{_shown(ring)} is not a ring.")
        try:
            vertices = list(islice(trace_ring(ring), self._curve_vertices_left + 1))
        except (ValueError, OverflowError) as error:
            raise GeometryError(f"A ring of curveRings cannot be read: {error}.") from error
        self._curve_vertices_left -= len(vertices)
        if self._curve_vertices_left < 0:
            raise AreaError(f"Its curves take more than {VERTICES_LIMIT:,} vertices.")
        return vertices


def sides_of(envelope: dict[str, Any]) -> Box:
    """Return the sides of an envelope.

    Raises:
        GeometryError: a side is not a number.
    """
    for side in SIDES:
        value = envelope.get(side)
        if type(value) is not float and not (isinstance(value, str) and is_number(value)):
            raise GeometryError(f"{side} is {_shown(value)}, which is not a number.")
    xmin, ymin, xmax, ymax = (float(envelope[side]) for side in SIDES)
    return xmin, ymin, xmax, ymax


def named_reference(value: dict[str, Any]) -> SpatialReference | None:
    """Return the spatial reference that a part of a document names, or None.

    Raises:
        GeometryError: no coordinate system is known under that name.
    """
    named, crs = value.get("spatialReference"), value.get("crs")
    if named not in (None, "", {}):
        try:
            found = reference_of_name(named) if isinstance(named, str) else None
            return found or read_spatial_reference(named if isinstance(named, dict) else {"wkid": named})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise GeometryError(f"spatialReference {_shown(named)} does not name a coordinate system.") from error
    if crs is None:
        return None
    try:
        return read_crs(crs)
    except (ValueError, OverflowError) as error:
        raise GeometryError(f"{error}. It must be a name such as EPSG:25832.") from error


def is_number(text: str) -> bool:
    """Return True if a text is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def _members(value: Any) -> list[Any] | None:
    """Return the members of a list, a collection or a feature; None for a geometry."""
    if isinstance(value, list) and value and all(isinstance(member, dict) for member in value):
        return value
    if not isinstance(value, dict):
        raise GeometryError(f"{_shown(value)} is not a geometry.")
    for collection in ("features", "geometries"):
        if collection in value:
            members = value[collection]
            if not isinstance(members, list):
                raise GeometryError(f"'{collection}' is not a list.")
            return members
    return [value["geometry"]] if "geometry" in value else None


def _require_vertices(ring: Any, noun: str = "ring") -> None:
    """Check that a ring or a line is a list of vertices: numbers x, y and optionally z, m.

    Do not leave this to NumPy: it pads every text in a ring to the longest one.
    """
    if not isinstance(ring, list):
        raise GeometryError(f"{_shown(ring)} is not a {noun}.")
    for vertex in ring:
        if not (type(vertex) is list and 2 <= len(vertex) <= 4 and type(vertex[0]) is float is type(vertex[1])):
            raise GeometryError(f"{_shown(vertex)} is not a vertex: x and y must be numbers.")
        for further in vertex[2:]:  # z and m, which are not used
            if further is not None and type(further) is not float and further != "NaN":
                raise GeometryError(f"{_shown(vertex)} is not a vertex: z and m must be numbers.")


def _shown(value: Any) -> str:
    """Return a JSON value as text, cut to 60 characters."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "(nested too deeply)"
    return text if len(text) <= 60 else f"{text[:60]}..."
