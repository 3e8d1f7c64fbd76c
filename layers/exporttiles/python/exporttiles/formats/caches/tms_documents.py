"""Reading the documents of tile folders: tilemapresource.xml, and TileJSON by its several names.

Source: Tile Map Service specification 1.0.0 (OSGeo); gdal2tiles.py; TileJSON 3.0.0; MBTiles 1.3, metadata.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from exporttiles.domain.errors import DamagedCacheError, UnknownSpatialReferenceError
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, SpatialReference
from exporttiles.formats.esri.esri_xml import read_document
from exporttiles.formats.esri.values import DocumentValueError, number, positive_number, read_json, shown

TILE_MAP = "tilemapresource.xml"
TILE_JSONS = frozenset({"metadata.json", "tile.json", "tilejson.json", "tiles.json"})

Box = tuple[float, float, float, float]
"""Sides xmin, ymin, xmax, ymax, or west, south, east, north."""

_CODE = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|ESRI|OSGEO)(?::[\d.]*)?:(\d{1,9})", re.ASCII | re.IGNORECASE)
_OSGEO_MERCATORS = frozenset({41001, 45556})
"""The ids of OSGeo for Web Mercator, from before EPSG had one; the specification of TMS names the first."""

_MAX_LEVEL = 30
_MAX_COORDINATE = 1e9
_UNITS_PER_PIXEL = 1e-9, 1e6
_DEFAULT_TILE_PIXELS = 256


@dataclass(frozen=True, slots=True)
class TileJson:
    """Row order and bounds of tiles, from a TileJSON or the metadata of an MBTiles file.

    Attributes:
        scheme: ``tms``, ``xyz`` or another text, in lower case; '' if it is missing.
        bounds: degrees; None if they are missing or unusable.
        remark: why the bounds cannot be used; '' if they can, or there are none.
    """

    scheme: str
    bounds: Box | None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class TileMap:
    """A TMS tile map.

    Attributes:
        reference: None if the document names none.
        profile: in lower case.
        origin: lower left corner of the tile in row 0 and column 0.
        box: of the map, in whatever units a program wrote.
        units_per_pixel: by the name of the level's folder.
    """

    reference: SpatialReference | None
    profile: str
    origin: tuple[float, float] | None
    box: Box | None
    tile_size: int
    units_per_pixel: dict[int, float] = field(default_factory=dict)

    @property
    def is_placed(self) -> bool:
        """Return True if the document states anything about the position of its tiles."""
        return bool(self.reference or self.profile or self.origin or self.units_per_pixel)


def read_tile_json(body: bytes) -> TileJson:
    """Read a TileJSON or the metadata of an MBTiles file; empty if it is neither."""
    try:
        document = read_json(body)
    except DocumentValueError:
        return TileJson("", None)
    scheme = document.get("scheme")
    bounds, remark = _bounds(document.get("bounds"))
    return TileJson(scheme.strip().lower() if isinstance(scheme, str) else "", bounds, remark)


def read_tile_map(body: bytes, path: str = TILE_MAP) -> TileMap:
    """Read a tilemapresource.xml.

    Raises:
        DamagedCacheError: it cannot be used; the text begins with its path.
    """
    try:
        root = read_document(body)
        origin, size = root.find("{*}Origin"), root.find("{*}TileFormat")
        sets = root.find("{*}TileSets")
        return TileMap(
            reference=_reference((root.findtext("{*}SRS") or "").strip()),
            profile=(sets.get("profile") or "" if sets is not None else "").strip().lower(),
            origin=None if origin is None else (_number(origin, "x"), _number(origin, "y")),
            box=_box(root.find("{*}BoundingBox")),
            tile_size=_tile_size(size),
            units_per_pixel={} if sets is None else dict(map(_level, sets.findall("{*}TileSet"))),
        )
    except DocumentValueError as error:
        raise DamagedCacheError(f"{path}: {error}") from error


def _bounds(value: Any) -> tuple[Box | None, str]:
    if value is None:
        return None, ""
    sides = value.split(",") if isinstance(value, str) else value
    try:
        west, south, east, north = (number("bounds", side) for side in sides)
    except (DocumentValueError, TypeError, ValueError):
        return None, f"bounds '{shown(value)}' are not four numbers and are not used."
    if not (west < east and south < north and max(map(abs, (west, east))) <= 360 and max(-south, north) <= 90):
        return None, f"bounds '{shown(value)}' are empty or not in degrees and are not used."
    return (west, south, east, north), ""


def _reference(text: str) -> SpatialReference | None:
    if not text:
        return None
    match = _CODE.fullmatch(text)
    if match is None:
        reference = SpatialReference(wkt=text)
    elif match[1].upper() == "OSGEO":
        if int(match[2]) not in _OSGEO_MERCATORS:
            raise DocumentValueError(f"SRS '{shown(text)}' is not known. It must be EPSG:n, OSGEO:41001 or WKT.")
        reference = SpatialReference(102100, 3857)
    elif int(match[2]) in WEB_MERCATOR_WKIDS:
        reference = SpatialReference(102100, 3857)
    else:
        reference = SpatialReference(int(match[2]), int(match[2]))
    try:
        reference.crs  # noqa: B018 - whether it is known
    except UnknownSpatialReferenceError as error:
        raise DocumentValueError(f"SRS '{shown(text)}' is not known. It must be EPSG:n, OSGEO:41001 or WKT.") from error
    return reference.identified


def _level(tile_set: Element) -> tuple[int, float]:
    """Return the level that a tile set's folder is named after, and its units per pixel."""
    named = (tile_set.get("href") or "").rstrip("/").rpartition("/")[2]
    named = named if re.fullmatch(r"[0-9]{1,4}", named, re.ASCII) else (tile_set.get("order") or "")
    level = number("TileSet order", named)
    if not (level.is_integer() and 0 <= level <= _MAX_LEVEL):
        raise DocumentValueError(f"TileSet order '{shown(named)}' is not a level from 0 to {_MAX_LEVEL}.")
    stated = tile_set.get("units-per-pixel")
    units, (least, most) = positive_number("units-per-pixel", stated), _UNITS_PER_PIXEL
    if not least <= units <= most:
        raise DocumentValueError(f"units-per-pixel '{shown(stated)}' is not between {least:g} and {most:g}.")
    return int(level), units


def _box(element: Element | None) -> Box | None:
    try:
        sides = None if element is None else [_number(element, side) for side in ("minx", "miny", "maxx", "maxy")]
    except DocumentValueError:
        return None
    return (sides[0], sides[1], sides[2], sides[3]) if sides else None


def _tile_size(element: Element | None) -> int:
    if element is None:
        return _DEFAULT_TILE_PIXELS
    width, height = (positive_number(f"TileFormat {side}", element.get(side)) for side in ("width", "height"))
    if width != height or not width.is_integer():
        raise DocumentValueError(f"TileFormat width {width:g} and height {height:g} are not one whole number.")
    return int(width)


def _number(element: Element, name: str) -> float:
    tag = element.tag.rpartition("}")[2]
    found = number(f"{tag} {name}", element.get(name))
    if abs(found) > _MAX_COORDINATE:
        raise DocumentValueError(f"{tag} {name} '{shown(element.get(name))}' is too large for a coordinate.")
    return found
