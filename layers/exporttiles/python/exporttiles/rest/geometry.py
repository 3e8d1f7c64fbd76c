"""Parse areas as clients send them: envelopes, feature sets, polygons, GeoJSON.

Source: ArcGIS REST API, "Geometry objects"; RFC 7946 (GeoJSON) and its
predecessor of 2008, extensions here.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from exporttiles.domain.area import VERTICES_LIMIT, Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.rings import Box
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.wording import counted
from exporttiles.formats.areas.curve_rings import trace_ring
from exporttiles.formats.areas.geojson import read_crs, reference_of_name
from exporttiles.formats.caches.file_kinds import kind_of_text
from exporttiles.formats.esri.esri_json import read_spatial_reference
from exporttiles.rest.json_text import balance_brackets, read_json, read_object

MAX_REFERENCES = 8
"""Limit of different spatial references in one area; each costs a look-up in the PROJ database."""

LOOKS_LIKE_DEGREES = 360.0, 90.0
"""Largest x and y of coordinates that look like degrees; x may run on past the antimeridian."""

_LEGAL_EXTENT = "It must be four numbers xmin,ymin,xmax,ymax, an envelope as JSON, or DEFAULT."
_LEGAL_AREA = (
    "It must be a polygon or a set of polygon features as JSON, such as "
    '{"rings":[[[0,0],[0,1],[1,1],[0,0]]],"spatialReference":{"wkid":4326}}, or as GeoJSON.'
)
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_LAST_DEGREES = 540.0, 90.000001  # x may run on past the antimeridian by half a world; y is sometimes rounded
_MAX_DEPTH = 32  # of collections inside collections
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_LEFT_OUT = {  # member of an Esri geometry without an area -> singular and plural of its kind
    "paths": ("polyline (paths)", "polylines (paths)"),
    "curvePaths": ("polyline (curvePaths)", "polylines (curvePaths)"),
    "points": ("multipoint (points)", "multipoints (points)"),
    "x": ("point (x, y)", "points (x, y)"),
}

Rings = list[list[list[float]]]


class _GeometryError(ValueError):
    """A geometry in JSON is malformed; the message says where."""


def area_of_extent(
    name: str, text: str, service: ImageService, *, must_name_reference: bool = False
) -> tuple[Area, tuple[str, ...]]:
    """Return the area of an extent parameter in the service's reference, and warnings.

    Numbers without a spatial reference are in that of the service.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        service: gives the reference and the full extent.
        must_name_reference: refuse numbers that look like degrees but have no
            reference while that of the service is projected. By default a
            warning says how they were read.

    Raises:
        InvalidParameterError: the text is not an extent.
        AreaError: the extent is empty, or outside its reference's bounds.
    """
    if text.upper() in ("DEFAULT", "DEFAULTEXTENT"):
        return Area.of_all(service.full_extent), ()
    target = service.tiling_scheme.spatial_reference
    extent, is_named = _read_extent(name, text, target)
    area = Area.from_extent(extent, target)
    warnings = [*_check_units(name, extent, is_named=is_named, must_be_named=must_name_reference)]
    if extent.xmin > extent.xmax:
        warnings.append(
            f"{name}: xmin ({extent.xmin:g}) is greater than xmax ({extent.xmax:g}), so the extent was taken to cross "
            "the antimeridian."
        )
    return area, tuple(warnings)


def area_of_interest(
    name: str, text: str, service: ImageService, *, must_name_reference: bool = False
) -> tuple[Area, tuple[str, ...]]:
    """Return the area of an area parameter in the service's reference, and warnings.

    The spatial reference is that of the geometry, else of its feature, else of the
    feature set. Without any, GeoJSON is in degrees and all else in the reference of
    the service. Points and lines are left out, with a warning.

    Args:
        name: name of the parameter.
        text: value of the parameter.
        service: gives the reference.
        must_name_reference: as for `area_of_extent`.

    Raises:
        InvalidParameterError: the text is not a polygon.
        AreaError: the area is empty, too complex, or outside its reference's bounds.
    """
    document, is_repaired = _read_document(name, text)
    target = service.tiling_scheme.spatial_reference
    geometries = _Geometries()
    try:
        geometries.add(document, None)
    except _GeometryError as error:
        raise InvalidParameterError(name, text, f"{error} {_LEGAL_AREA}") from error
    references = {reference or target for reference in geometries.polygons}
    if len(references) > MAX_REFERENCES:
        raise AreaError(
            f"It has polygons in {len(references)} spatial references; at most {MAX_REFERENCES} are possible."
        )
    warnings = [_repair_warning(name, next(iter(references), target))] if is_repaired else []
    if geometries.left_out:
        left_out = " and ".join(counted(count, *kind) for kind, count in geometries.left_out.items())
        if not geometries.polygons and not geometries.envelopes:
            raise AreaError(f"There is no polygon in it, only {left_out}: without an area nothing is selected.")
        warnings.append(f"{name}: Left out, without an area: {left_out}.")
    if not geometries.polygons and not geometries.envelopes:
        raise AreaError("The area has no coordinates.")
    areas = []
    for reference, polygons in geometries.polygons.items():
        area = Area.from_rings(polygons, reference or target)
        warnings += _check_units(name, area.extent, is_named=reference is not None, must_be_named=must_name_reference)
        areas.append(area.to(target))
    for sides, reference in geometries.envelopes:
        extent = Extent(*sides, reference or target)
        areas.append(Area.from_extent(extent, target))
        warnings += _check_units(name, extent, is_named=reference is not None, must_be_named=must_name_reference)
    return Area(tuple(polygon for area in areas for polygon in area.polygons), target), tuple(warnings)


@dataclass(slots=True)
class _Geometries:
    """The geometries of a document.

    Attributes:
        polygons: by their reference; None means that of the service.
        envelopes: sides and reference of each.
        left_out: number of geometries without an area, by singular and plural of their kind.
    """

    polygons: dict[SpatialReference | None, list[Rings]] = field(default_factory=dict)
    envelopes: list[tuple[Box, SpatialReference | None]] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    _curve_vertices_left: int = VERTICES_LIMIT

    def add(self, value: Any, reference: SpatialReference | None, depth: int = 0) -> None:
        """Add all geometries of a feature set, a feature, a collection, a list or a geometry.

        Args:
            value: JSON.
            reference: inherited from the enclosing document; None if that names none.
            depth: nesting depth of the value.

        Raises:
            _GeometryError: the value is none of these, or contains such a value.
            AreaError: its curves take too many vertices.
        """
        if depth > _MAX_DEPTH:
            raise _GeometryError("It is nested too deep.")
        if value is None:  # a feature without a geometry
            return
        members = _members(value)
        if isinstance(value, dict):
            reference = _named_reference(value) or reference
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
            case (("Point" | "MultiPoint" | "LineString" | "MultiLineString"), _):
                self.left_out[kind, f"{kind}s"] += 1
            case (("Polygon" | "MultiPolygon"), _):
                raise _GeometryError(f"The coordinates of a {kind} are no list.")
            case _:
                raise _GeometryError(f"{_shown(kind)} is no type of a GeoJSON geometry.")

    def _add_esri(self, geometry: dict[str, Any], reference: SpatialReference | None) -> None:
        if geometry.get("type") == "Topology":
            raise _GeometryError("It is TopoJSON: convert it to GeoJSON.")
        for member in ("curveRings", "rings"):
            if geometry.get(member) is not None:
                if not isinstance(geometry[member], list):
                    raise _GeometryError(f"'{member}' is no list.")
                rings = map(self._traced, geometry[member]) if member == "curveRings" else geometry[member]
                self._add_polygons([[*rings]], reference)
                return
        if "xmin" in geometry:
            self.envelopes.append((_sides(geometry), reference))
            return
        kind = next((kind for member, kind in _LEFT_OUT.items() if member in geometry), None)
        if kind is None and "attributes" in geometry:  # a feature whose geometry is empty is sent without it
            return
        if kind is None:
            raise _GeometryError(f"{_shown(geometry)} is no polygon.")
        self.left_out[kind] += 1

    def _add_polygons(self, polygons: list[Any], reference: SpatialReference | None) -> None:
        for polygon in polygons:
            if not isinstance(polygon, list):
                raise _GeometryError(f"{_shown(polygon)} is no list of rings.")
            for ring in polygon:
                _require_vertices(ring)
        self.polygons.setdefault(reference, []).extend(polygons)

    def _traced(self, ring: Any) -> list[Any]:
        """Convert a ring of curves to vertices."""
        if not isinstance(ring, list):
            raise _GeometryError(f"{_shown(ring)} is no ring.")
        try:
            vertices = list(islice(trace_ring(ring), self._curve_vertices_left + 1))
        except (ValueError, OverflowError) as error:
            raise _GeometryError(f"A ring of curveRings cannot be read: {error}.") from error
        self._curve_vertices_left -= len(vertices)
        if self._curve_vertices_left < 0:
            raise AreaError(f"Its curves take more than {VERTICES_LIMIT:,} vertices.")
        return vertices


def _members(value: Any) -> list[Any] | None:
    """Return the members of a list, a collection or a feature; None for a geometry."""
    if isinstance(value, list) and value and all(isinstance(member, dict) for member in value):
        return value
    if not isinstance(value, dict):
        raise _GeometryError(f"{_shown(value)} is no geometry.")
    for collection in ("features", "geometries"):
        if collection in value:
            members = value[collection]
            if not isinstance(members, list):
                raise _GeometryError(f"'{collection}' is no list.")
            return members
    return [value["geometry"]] if "geometry" in value else None


def _read_document(name: str, text: str) -> tuple[Any, bool]:
    """Return the JSON, or a list with the JSON of each line, and True if its brackets were repaired."""
    kind = kind_of_text(text)
    if kind:
        raise InvalidParameterError(name, text, f"It is {kind}: convert it to GeoJSON. {_LEGAL_AREA}")
    try:
        return read_json(name, text, _LEGAL_AREA, float), False
    except InvalidParameterError:
        try:
            lines = [line for line in re.split(r"[\n\x1e]", text) if line.strip()]
            if len(lines) > 1 and all(line.strip()[0] + line.strip()[-1] == "{}" for line in lines):
                return [read_json(name, line, _LEGAL_AREA, float) for line in lines], False
            repaired = balance_brackets(text)
            if repaired is not None:
                return read_object(name, repaired, _LEGAL_AREA), True
        except InvalidParameterError:
            pass
        raise  # report the error in the client's text, not in the repaired one


def _repair_warning(name: str, reference: SpatialReference) -> str:
    return (
        f"{name}: It is not JSON, for its brackets do not match. It was read as if they did, "
        f"with coordinates in {reference.crs.name[:60]}. Check the area."
    )


def _read_extent(name: str, text: str, default: SpatialReference) -> tuple[Extent, bool]:
    """Return an envelope, and True if it names its reference."""
    if not text.startswith("{"):
        sides = text.split(",")
        if len(sides) != len(_SIDES) or not all(map(_NUMBER.fullmatch, sides)):
            raise InvalidParameterError(name, text, _LEGAL_EXTENT)
        xmin, ymin, xmax, ymax = map(float, sides)
        return Extent(xmin, ymin, xmax, ymax, default), False
    document = read_object(name, text, _LEGAL_EXTENT)
    try:
        reference = _named_reference(document)
        return Extent(*_sides(document), reference or default), reference is not None
    except _GeometryError as error:
        raise InvalidParameterError(name, text, f"{error} {_LEGAL_EXTENT}") from error


def _sides(envelope: dict[str, Any]) -> Box:
    for side in _SIDES:
        value = envelope.get(side)
        if type(value) is not float and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            raise _GeometryError(f"{side} is {_shown(value)}, which is no number.")
    xmin, ymin, xmax, ymax = (float(envelope[side]) for side in _SIDES)
    return xmin, ymin, xmax, ymax


def _named_reference(value: dict[str, Any]) -> SpatialReference | None:
    """Return the spatial reference that a part of a document names, or None."""
    named, crs = value.get("spatialReference"), value.get("crs")
    if named not in (None, "", {}):
        try:
            found = reference_of_name(named) if isinstance(named, str) else None
            return found or read_spatial_reference(named if isinstance(named, dict) else {"wkid": named})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _GeometryError(f"spatialReference {_shown(named)} names no coordinate system.") from error
    if crs is None:
        return None
    try:
        return read_crs(crs)
    except (ValueError, OverflowError) as error:
        raise _GeometryError(f"{error}. It must be a name such as EPSG:25832.") from error


def _require_vertices(ring: Any) -> None:
    """Check that a ring is a list of vertices: numbers x, y and optionally z, m.

    Do not leave this to NumPy: it pads every text in a ring to the longest one.
    """
    if not isinstance(ring, list):
        raise _GeometryError(f"{_shown(ring)} is no ring.")
    for vertex in ring:
        if not (type(vertex) is list and 2 <= len(vertex) <= 4 and type(vertex[0]) is float is type(vertex[1])):
            raise _GeometryError(f"{_shown(vertex)} is no vertex: x and y must be numbers.")
        for further in vertex[2:]:  # z and m, which are not used
            if further is not None and type(further) is not float and further != "NaN":
                raise _GeometryError(f"{_shown(vertex)} is no vertex: z and m must be numbers.")


def _check_units(name: str, extent: Extent, *, is_named: bool, must_be_named: bool) -> list[str]:
    """Check that coordinates fit their units. Return a warning if they look like degrees.

    Raises:
        AreaError: they do not fit.
    """
    reference = extent.spatial_reference
    far_x, far_y = (max(map(abs, sides)) for sides in (extent.sides[::2], extent.sides[1::2]))
    if reference.is_geographic:
        if far_x > _LAST_DEGREES[0] or far_y > _LAST_DEGREES[1]:
            swapped = " Does latitude come before longitude?" if far_x <= 90 and far_y <= 180 else ""
            raise AreaError(
                f"Coordinates reach to {far_x:.10g}, {far_y:.10g}; longitude and latitude in degrees end at 180, 90."
                f"{swapped} Give the reference of other units, as spatialReference or crs."
            )
        return []
    if is_named or far_x > LOOKS_LIKE_DEGREES[0] or far_y > LOOKS_LIKE_DEGREES[1]:
        return []
    doubt = "The coordinates look like degrees but name no spatial reference"
    wkid = reference.latest_wkid or reference.wkid
    known = f"{reference.crs.name[:60]}{f' ({wkid})' if wkid else ''}"
    if must_be_named:
        raise AreaError(
            f"{doubt}, and the cache is in {known}. Give the reference, such as 4326 for degrees: "
            "--extent-wkid for an extent, spatialReference in the JSON of an area."
        )
    return [f"{name}: {doubt}: they were read as map units of {known}. For degrees add spatialReference 4326."]


def _shown(value: Any) -> str:
    """Return a JSON value as text, cut to 60 characters."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "What is nested too deep"
    return text if len(text) <= 60 else f"{text[:60]}..."
