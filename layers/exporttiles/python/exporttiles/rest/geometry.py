"""Areas as clients write them: envelopes, feature sets, polygons, GeoJSON.

Source: ArcGIS REST API, "Geometry objects"; RFC 7946 (GeoJSON), an extension here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from exporttiles.domain.area import Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.formats.esri_json import read_extent, read_spatial_reference
from exporttiles.rest.json_text import balance_brackets, read_object

MAX_REFERENCES = 8
"""Different spatial references in one area; each costs a search in a register."""

_LEGAL_EXTENT = "Legal are four numbers xmin,ymin,xmax,ymax, an envelope as JSON, or DEFAULT."
_LEGAL_AREA = (
    "Legal is a polygon or a set of polygon features as JSON, as in "
    '{"rings":[[[0,0],[0,1],[1,1],[0,0]]],"spatialReference":{"wkid":4326}}.'
)
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_MISTAKES = (KeyError, TypeError, ValueError, OverflowError, AttributeError)  # of JSON that is not what it should be

Geometry = dict[str, Any]
Rings = list[list[list[float]]]


def area_of_extent(name: str, text: str, service: ImageService) -> Area:
    """Return the area of an extent parameter, in the service's reference.

    Without a spatial reference the numbers are in the service's own.

    Raises:
        InvalidParameterError: the text is no extent.
        AreaError: the extent is empty, or not of this world.
    """
    if text.upper() in ("DEFAULT", "DEFAULTEXTENT"):
        return Area.from_extent(service.full_extent)
    target = service.tiling_scheme.spatial_reference
    return Area.from_extent(_read_extent(name, text, target), target)


def area_of_interest(name: str, text: str, service: ImageService) -> tuple[Area, tuple[str, ...]]:
    """Return the area of an area parameter in the service's reference, and warnings.

    A spatial reference is looked for on the geometry, on its feature, on the
    feature set, and is the service's where there is none.

    Raises:
        InvalidParameterError: the text is no polygon.
        AreaError: the area is empty, too complex, or not of this world.
    """
    document, is_repaired = _read_document(name, text)
    target = service.tiling_scheme.spatial_reference
    polygons: dict[SpatialReference, list[Rings]] = {}
    try:
        for geometry, reference in _geometries(document, target):
            polygons.setdefault(reference, []).extend(_polygons(geometry))
    except _MISTAKES as error:
        raise InvalidParameterError(name, text, _LEGAL_AREA) from error
    if len(polygons) > MAX_REFERENCES:
        raise AreaError(f"'{name}' has polygons in {len(polygons)} spatial references. Legal are {MAX_REFERENCES}.")
    polygons = polygons or {target: []}  # which holds no area, and is told so
    areas = [Area.from_rings(found, reference).to(target) for reference, found in polygons.items()]
    area = Area(tuple(polygon for part in areas for polygon in part.polygons), target)
    return area, (_repair_warning(name, next(iter(polygons))),) if is_repaired else ()


def _read_document(name: str, text: str) -> tuple[dict[str, Any], bool]:
    """Return a JSON object, and whether its brackets had to be balanced."""
    try:
        return read_object(name, text, _LEGAL_AREA), False
    except InvalidParameterError:
        repaired = balance_brackets(text)
        if repaired is None:
            raise
        try:
            return read_object(name, repaired, _LEGAL_AREA), True
        except InvalidParameterError:
            pass
        raise  # what is wrong with the client's own text, not with ours


def _repair_warning(name: str, reference: SpatialReference) -> str:
    return (
        f"Parameter '{name}' is not JSON: its brackets do not match. It was read as if they did, "
        f"with coordinates in {reference.crs.name[:60]}. Check the area."
    )


def _read_extent(name: str, text: str, default: SpatialReference) -> Extent:
    if not text.startswith("{"):
        sides = text.split(",")
        if len(sides) != 4 or not all(map(_NUMBER.fullmatch, sides)):
            raise InvalidParameterError(name, text, _LEGAL_EXTENT)
        xmin, ymin, xmax, ymax = map(float, sides)
        return Extent(xmin, ymin, xmax, ymax, default)
    document = read_object(name, text, _LEGAL_EXTENT)
    try:
        return read_extent(document, default)
    except _MISTAKES as error:
        raise InvalidParameterError(name, text, _LEGAL_EXTENT) from error


def _geometries(document: Geometry, default: SpatialReference) -> Iterator[tuple[Geometry, SpatialReference]]:
    """Yield the geometries of a feature set, a feature or a geometry, each with its reference."""
    for feature in document.get("features", [document]):
        geometry = feature.get("geometry", feature)
        if geometry is None:  # a feature without a place
            continue
        if "coordinates" in geometry:
            _require_longitude_latitude(document)
            yield geometry, WGS84
            continue
        named = [part["spatialReference"] for part in (geometry, feature, document) if part.get("spatialReference")]
        yield geometry, read_spatial_reference(named[0]) if named else default


def _require_longitude_latitude(document: Geometry) -> None:
    """Refuse GeoJSON of before RFC 7946 that names another reference."""
    named = json.dumps(document.get("crs"))
    if named != "null" and not re.search(r"CRS84|EPSG:+4326\b", named):
        raise ValueError("crs")


def _polygons(geometry: Geometry) -> list[Rings]:
    match geometry:
        case {"rings": list(rings)} | {"type": "Polygon", "coordinates": list(rings)}:
            polygons = [rings]
        case {"type": "MultiPolygon", "coordinates": list(polygons)}:
            pass
        case _:  # points and lines have no area: they select nothing
            raise KeyError("rings")
    for polygon in polygons:
        for ring in polygon:
            _require_vertices(ring)
    return polygons


def _require_vertices(ring: Any) -> None:
    """Refuse text, null and nested lists where numbers should be: a vertex is x, y and perhaps z, m.

    NumPy is not asked: it makes every text of a ring as long as the longest.
    """
    for vertex in ring:
        if not (type(vertex) is list and 2 <= len(vertex) <= 4 and all(type(number) is float for number in vertex)):
            raise ValueError("rings")
