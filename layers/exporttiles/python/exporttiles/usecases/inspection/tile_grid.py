"""The grid of tiles in files: the tiling scheme, and whether rows count from the top or from the bottom.

Documents beside the tiles state it, but may be wrong: mb-util writes the
metadata of an MBTiles file, whose rows count from the bottom, beside files
whose rows count from the top. So each reading is compared with the bounds of the map.

The specification of TMS counts tiles from the Origin. gdal2tiles, which most
tilemapresource.xml are by, writes the corner of the map there, in degrees, even
where its tiles are those of a well-known profile; x and y swapped before GDAL
2.3; and 0.703125 degrees a pixel where its tiles have 1.40625. So tiles of a
well-known profile lie as the profile says, and its BoundingBox decides
between the ways in which it can be meant.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.caches.tms_documents import TILE_JSONS, TILE_MAP, Box, TileMap, read_tile_json, read_tile_map
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.find_documents import name_of
from exporttiles.usecases.inspection.readings import (
    CHOICE,
    Reading,
    Spans,
    area_of_use,
    boxes_in,
    choose,
    fit,
    fits_better,
    rows_of_world,
)

_SAME_RESOLUTION = 1e-4
_GEODETIC_RESOLUTIONS = (0.703125, 1.40625)
"""Degrees per pixel at level 0 for tiles of 256 pixels: two tiles around the world, or one."""

_ROUNDING_ROWS = 0.01
_LEVELS = 24
_DPI = 96
_DEGREES = 360.0


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The grid of tiles in files.

    Attributes:
        reading: the tiling scheme, and the order of rows.
        scheme_source: the document that states the scheme; '' if none does.
        row_order: in words, with its source.
        messages: warnings about the documents.
    """

    reading: Reading
    scheme_source: str = ""
    row_order: str = "from the top"
    messages: tuple[Message, ...] = ()


def settle_grid(
    read: Callable[[str], bytes],
    documents: Collection[str],
    spans: Spans,
    scheme: TilingScheme,
    *,
    is_scheme_known: bool,
    is_from_bottom: bool | None,
) -> TileGrid:
    """Return the grid of tiles in files.

    Args:
        read: returns the bytes of a document.
        documents: paths of documents that may state the grid.
        spans: rows and columns of the tiles.
        scheme: of the cache, or assumed.
        is_scheme_known: an option or another document states it.
        is_from_bottom: the option; None lets the documents decide.

    Raises:
        DamagedCacheError: a document cannot be used, or the rows of the
            scheme cannot be counted from the bottom.
    """
    if is_from_bottom is not None and is_scheme_known:
        return _as_said(scheme, is_from_bottom=is_from_bottom)
    path = next((path for path in documents if name_of(path) == TILE_MAP), None)
    if path is not None:
        tile_map = read_tile_map(read(path), path)
        if tile_map.is_placed and not is_scheme_known:
            return _place_tile_map(tile_map, path, spans, is_from_bottom=is_from_bottom)
        if is_from_bottom is None:
            return _as_claimed(scheme, spans, None, path, "it is of TMS", is_from_bottom=True)
    if is_from_bottom is not None:
        return _as_said(scheme, is_from_bottom=is_from_bottom)
    for path in documents:
        if name_of(path) in TILE_JSONS:
            found = read_tile_json(read(path))
            if found.scheme or found.bounds or found.remark:
                reason = f"scheme is '{found.scheme[:20]}'" if found.scheme else "it states no scheme"
                is_tms = found.scheme == "tms"
                grid = _as_claimed(scheme, spans, found.bounds, path, reason, is_from_bottom=is_tms)
                remarks = [Message(MessageKind.INFORMATIVE, f"{path}: {found.remark}")] if found.remark else []
                return replace(grid, messages=(*grid.messages, *remarks))
    return TileGrid(Reading(scheme))


def _as_said(scheme: TilingScheme, *, is_from_bottom: bool) -> TileGrid:
    reading = Reading(scheme, rows_of_world(scheme) if is_from_bottom else ())
    return TileGrid(reading, row_order=f"{reading.words}, as the option says")


def _as_claimed(
    scheme: TilingScheme, spans: Spans, bounds: Box | None, path: str, reason: str, *, is_from_bottom: bool
) -> TileGrid:
    """Return the order of rows that the document at a path states, or that its bounds show."""
    try:
        bottom = Reading(scheme, rows_of_world(scheme))
    except DamagedCacheError:
        if is_from_bottom:
            raise
        return TileGrid(Reading(scheme))
    top = Reading(scheme)
    stated, other = (bottom, top) if is_from_bottom else (top, bottom)
    boxes = boxes_in([bounds] if bounds else [], WGS84, scheme.spatial_reference)
    if fits_better(other, stated, spans, boxes):
        text = (
            f"{path}: rows are read {other.words}, because the tiles then lie within its bounds, "
            f"although {reason}. {CHOICE}."
        )
        order = f"{other.words}, by the bounds of {path}"
        return TileGrid(other, row_order=order, messages=_warnings(text))
    text = ""
    if path.lower().endswith(".json") and is_from_bottom and not fits_better(stated, other, spans, boxes):
        text = (
            f"{path}: rows are read from the bottom, because {reason}; no bounds confirm it, and some "
            f"programs write this beside rows from the top. {CHOICE}."
        )
    return TileGrid(stated, row_order=f"{stated.words}, by {path}", messages=_warnings(text))


def _warnings(text: str) -> tuple[Message, ...]:
    """Return a text as a warning; nothing if it is empty."""
    return (Message(MessageKind.WARNING, text),) if text else ()


def _place_tile_map(tile_map: TileMap, path: str, spans: Spans, *, is_from_bottom: bool | None) -> TileGrid:
    """Return the grid of a tile map.

    Args:
        tile_map: the contents of the document.
        path: of the document, for messages.
        spans: rows and columns of the tiles.
        is_from_bottom: the option; None lets the document decide.

    Raises:
        DamagedCacheError: the document cannot be followed; the message names the element.
    """
    reference = tile_map.reference or _reference_of_profile(tile_map.profile)
    if reference is None:
        raise DamagedCacheError(
            f"{path}: SRS is missing, and the profile '{tile_map.profile}' does not imply one. "
            "Name a tiling scheme with --scheme."
        )
    is_mercator = reference.is_same_as(WEB_MERCATOR_256.spatial_reference)
    if is_mercator and "mercator" in tile_map.profile:
        _require_mercator(tile_map, path)
        schemes = [WEB_MERCATOR_256]
    elif reference.is_geographic and "geodetic" in tile_map.profile:
        schemes = _geodetic(tile_map, reference, path)
    else:
        if is_from_bottom is False:
            raise DamagedCacheError(
                f"{path}: rows of the profile '{tile_map.profile}' can only be counted from its Origin at the bottom, "
                "against --rows-from-top. --scheme names another tiling scheme."
            )
        return _own_grid(tile_map, reference, path, spans)
    from_bottom = [Reading(scheme, rows_of_world(scheme)) for scheme in schemes]
    from_top = [Reading(scheme) for scheme in schemes]
    readings = {True: from_bottom, False: from_top, None: from_bottom + from_top}[is_from_bottom]
    boxes, stated = _boxes_of_world(tile_map.box, reference), readings[0]
    chosen = choose(readings, spans, boxes)
    text = ""
    if chosen is not stated:
        pixel = chosen.scheme.lods[0].resolution
        text = (
            f"{path}: the tiles lie within its BoundingBox if rows count {chosen.words} and a pixel of level 0 has "
            f"{pixel:g} units, and are read so, although it states otherwise. {CHOICE}."
        )
    elif not any(fit(chosen, level, spans, boxes) for level in spans):
        text = f"{path}: its BoundingBox holds none of the tiles. They are placed by its SRS and profile."
    return TileGrid(chosen, path, f"{chosen.words}, by {path}", _warnings(text))


def _reference_of_profile(profile: str) -> SpatialReference | None:
    if "mercator" in profile:
        return WEB_MERCATOR_256.spatial_reference
    return WGS84 if "geodetic" in profile else None


def _boxes_of_world(box: Box | None, reference: SpatialReference) -> list[Extent]:
    """Return the possible meanings of a BoundingBox: in degrees or map units, x and y swapped or not."""
    if box is None:
        return []
    is_degrees = max(map(abs, box)) <= _DEGREES
    swapped = box[1], box[0], box[3], box[2]
    return boxes_in([box, swapped], WGS84 if is_degrees else reference, reference)


def _require_mercator(tile_map: TileMap, path: str) -> None:
    """Compare resolutions with those of Web Mercator, for tiles of 256 pixels and for larger ones."""
    for level, units in tile_map.units_per_pixel.items():
        share = units * 2**level / WEB_MERCATOR_256.lods[0].resolution
        if not any(math.isclose(share, 0.5**step, rel_tol=_SAME_RESOLUTION) for step in range(4)):
            raise DamagedCacheError(
                f"{path}: units-per-pixel {units:.10g} of level {level} does not belong to the profile "
                f"'{tile_map.profile}'."
            )


def _geodetic(tile_map: TileMap, reference: SpatialReference, path: str) -> list[TilingScheme]:
    """Return the possible schemes of a geodetic tile map, the stated one first."""
    size = tile_map.tile_size
    firsts = [units * 2**level for level, units in tile_map.units_per_pixel.items()] or [180 / size]
    if any(not math.isclose(first, firsts[0], rel_tol=_SAME_RESOLUTION) for first in firsts):
        raise DamagedCacheError(f"{path}: units-per-pixel is not half of that of the level before.")
    stated = next((known for known in _GEODETIC_RESOLUTIONS if math.isclose(firsts[0], known, rel_tol=1e-6)), firsts[0])
    known = _GEODETIC_RESOLUTIONS if stated in _GEODETIC_RESOLUTIONS else (stated,)
    same = WGS84 if reference.is_same_as(WGS84) else reference
    schemes = []
    for first in sorted(known, key=lambda resolution: resolution != stated):
        top = -90.0 + max(1, math.ceil(180 / (first * size) - _ROUNDING_ROWS)) * first * size
        lods = {level: first / 2**level for level in range(_LEVELS)}
        schemes.append(_scheme(same, -180.0, top, size, lods))
    return schemes


def _own_grid(tile_map: TileMap, reference: SpatialReference, path: str, spans: Spans) -> TileGrid:
    """Return the grid that begins at the Origin of a tile map, as TMS specifies."""
    if tile_map.origin is None or not tile_map.units_per_pixel:
        missing = "Origin" if tile_map.origin is None else "TileSet"
        raise DamagedCacheError(
            f"{path}: {missing} is missing; tiles of the profile '{tile_map.profile}' cannot be placed without it."
        )
    x, bottom = tile_map.origin
    coarsest, finest = min(tile_map.units_per_pixel), max(tile_map.units_per_pixel)
    first = tile_map.units_per_pixel[coarsest] * 2**coarsest
    lods = {level: tile_map.units_per_pixel.get(level, first / 2**level) for level in range(finest + 1)}
    if any(not math.isclose(units * 2**level, first, rel_tol=_SAME_RESOLUTION) for level, units in lods.items()):
        raise DamagedCacheError(f"{path}: units-per-pixel is not half of that of the level before.")
    heights = [rows[1] * lods[level] for level, (rows, _) in spans.items() if level in lods]
    height = max([*(rows * tile_map.tile_size for rows in heights), tile_map.box[3] - bottom if tile_map.box else 0.0])
    span = lods[coarsest] * tile_map.tile_size
    count = max(1, math.ceil(height / span - _ROUNDING_ROWS))
    scheme = _scheme(reference, x, bottom + count * span, tile_map.tile_size, lods)
    level_rows = tuple(max(1, math.ceil(count * 2.0 ** (level - coarsest))) for level in lods)
    reading = Reading(scheme, level_rows)
    boxes = [Extent(*tile_map.box, reference)] if tile_map.box else []
    _require_use(reading, spans, path)
    text = ""
    if boxes and not any(fit(reading, level, spans, boxes) for level in spans):
        text = f"{path}: its BoundingBox holds none of the tiles. They are placed by its Origin and units-per-pixel."
    return TileGrid(reading, path, f"{reading.words}, by {path}", _warnings(text))


def _require_use(reading: Reading, spans: Spans, path: str) -> None:
    """Compare a grid with the area of use of its reference: gdal2tiles has written x and y of Origin swapped."""
    area = area_of_use(reading.scheme.spatial_reference)
    known = spans.keys() & {lod.level for lod in reading.scheme.lods}
    if area and not any(fit(reading, level, spans, [area]) for level in known):
        raise DamagedCacheError(
            f"{path}: its Origin and units-per-pixel put all tiles outside of the area in which its SRS is used. "
            "Are x and y of Origin swapped?"
        )


def _scheme(
    reference: SpatialReference, x: float, top: float, size: int, resolutions: Mapping[int, float]
) -> TilingScheme:
    scale = reference.metres_per_unit * _DPI / 0.0254
    lods = tuple(LevelOfDetail(level, units, units * scale) for level, units in resolutions.items())
    return TilingScheme(reference, x, top, size, _DPI, lods)
