"""Well-known tiling schemes, with Esri's own numbers digit for digit.

ArcGIS Earth refused packages with recalculated resolutions.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from types import MappingProxyType

from exporttiles.domain.errors import UnknownSpatialReferenceError
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri.esri_json import read_tile_info


def _read(name: str) -> TilingScheme:
    document = files("exporttiles.domain").joinpath("tiling_schemes", f"{name}.json")
    return read_tile_info(json.loads(document.read_text(encoding="utf-8")))


WEB_MERCATOR_256 = _read("web_mercator_256")
"""ArcGIS Online's scheme, and Google's and OpenStreetMap's: levels 0-23, 256 pixels."""

WGS84_512 = _read("wgs84_512")
"""Longitude and latitude: levels 0-23, 512 pixels; the tile of level 0 is 360 degrees wide."""

WELL_KNOWN: Mapping[str, TilingScheme] = MappingProxyType(
    {"web_mercator_256": WEB_MERCATOR_256, "wgs84_512": WGS84_512}
)
"""Tiling schemes by name."""

_INVISIBLE_PIXELS = 1.0
"""Allowed shift of a tile at the edge of the world. Esri's level 23 is 0.7 pixels off the powers of two."""

_SAME_NUMBER = 1e-14  # relative difference of doubles printed with different precision
_SAME_SCALE = 1e-6
_INCH = 1e-5  # of the scales of one resolution: some count 39.37 inches to a metre, some 0.0254 metres to an inch


def snap_to_well_known(scheme: TilingScheme) -> TilingScheme:
    """Replace recalculated resolutions and scales by Esri's own numbers.

    ArcGIS compares digits: with the resolutions of WMTS, Web Mercator is another
    scheme for it. No tile moves by a visible amount. Levels that no well-known
    scheme has keep their numbers, and so does a scheme with another origin.
    """
    for well_known in WELL_KNOWN.values():
        if _has_same_origin(scheme, well_known) and _has_same_reference(scheme, well_known):
            lods = tuple(_snap_level(scheme, lod, well_known) for lod in scheme.lods)
            if lods != scheme.lods:
                return replace(scheme, origin_x=well_known.origin_x, origin_y=well_known.origin_y, lods=lods)
    return scheme


def completed(scheme: TilingScheme) -> TilingScheme:
    """Return the well-known scheme of which a scheme has some levels, under the same numbers, or the scheme itself."""
    snapped = snap_to_well_known(scheme)
    for well_known in WELL_KNOWN.values():
        esri = {lod.level: lod.resolution for lod in well_known.lods}
        is_part = all(
            math.isclose(lod.resolution, esri.get(lod.level, 0), rel_tol=_SAME_NUMBER) for lod in snapped.lods
        )
        is_part &= snapped.tile_size == well_known.tile_size
        if is_part and _has_same_origin(snapped, well_known) and _has_same_reference(snapped, well_known):
            return well_known
    return scheme


def _has_same_reference(scheme: TilingScheme, well_known: TilingScheme) -> bool:
    try:
        return scheme.spatial_reference.is_same_as(well_known.spatial_reference)
    except UnknownSpatialReferenceError:
        return False


def _has_same_origin(scheme: TilingScheme, well_known: TilingScheme) -> bool:
    return _origin_shift(scheme, well_known) < _INVISIBLE_PIXELS * well_known.lods[-1].resolution


def _origin_shift(scheme: TilingScheme, well_known: TilingScheme) -> float:
    return max(abs(scheme.origin_x - well_known.origin_x), abs(scheme.origin_y - well_known.origin_y))


def _snap_level(scheme: TilingScheme, lod: LevelOfDetail, well_known: TilingScheme) -> LevelOfDetail:
    world, shift = 2 * abs(well_known.origin_x), _origin_shift(scheme, well_known)
    for esri in well_known.lods:
        moved = shift + world * abs(lod.resolution / esri.resolution - 1)
        if moved < _INVISIBLE_PIXELS * esri.resolution:
            is_resolution = math.isclose(lod.resolution, esri.resolution, rel_tol=_SAME_NUMBER)
            is_scale = math.isclose(lod.scale, esri.scale, rel_tol=_SAME_NUMBER)
            is_almost_scale = math.isclose(lod.scale, esri.scale, rel_tol=_SAME_SCALE if is_resolution else _INCH)
            return LevelOfDetail(
                lod.level,
                lod.resolution if is_resolution else esri.resolution,
                esri.scale if is_almost_scale and not is_scale else lod.scale,
            )
    return lod
