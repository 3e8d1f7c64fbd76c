"""Limits of GDAL, and so of QGIS, in reading tile packages and cache datasets.

Source: GDAL's ESRIC driver, 3.10 (frmts/esric/esric_dataset.cpp), and what it
draws of our own exports (tests/oracles/test_grids.py).
"""

from collections.abc import Sequence
from itertools import pairwise

from exporttiles.domain.extent import Extent
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme

MAX_PIXELS = 2**31 - 1
"""Most pixels in a row or a column of a raster."""

Corner = tuple[float, float]
"""x and y in map units."""


def tile_end(scheme: TilingScheme, extent: Extent) -> Corner | None:
    """Return the lower right corner for ``TileEnd`` in conf.xml, or None if GDAL needs none.

    Without it GDAL takes the point opposite of the origin, mirrored at 0, 0.
    Tiles beyond that point are drawn black. The corner is that of whole tiles
    of the coarsest level that leaves few enough pixels.

    Args:
        scheme: as conf.xml lists it.
        extent: of the tiles, in the scheme's reference.

    Returns:
        None as well if GDAL can show the extent with no corner at all.
    """
    if _can_show(scheme, scheme.lods, extent, _mirrored_origin(scheme)):
        return None
    corners = (_corner_of_tiles(scheme, lod, extent) for lod in scheme.lods)
    return next((corner for corner in corners if _can_show(scheme, scheme.lods, extent, corner)), None)


def dataset_obstacle(scheme: TilingScheme, extent: Extent) -> str:
    """Return why GDAL cannot show a cache dataset, or '' if it can.

    Args:
        scheme: as conf.xml lists it.
        extent: of the tiles, in the scheme's reference.
    """
    if not _is_descending(scheme.lods):
        return _LEVELS
    if _can_show(scheme, scheme.lods, extent, _mirrored_origin(scheme)) or tile_end(scheme, extent):
        return ""
    return _TOO_MANY_PIXELS


def package_obstacle(scheme: TilingScheme, levels: Sequence[int], extent: Extent) -> str:
    """Return why GDAL cannot show a tile package (.tpkx), or '' if it can.

    Args:
        scheme: as root.json lists it.
        levels: those from minLOD to maxLOD that hold tiles, at least one.
        extent: of the tiles, in the scheme's reference.
    """
    lods = [lod for lod in scheme.lods if min(levels) <= lod.level <= max(levels)]
    if not _is_descending(lods) or any(after.level != before.level + 1 for before, after in pairwise(lods)):
        return _LEVELS
    reference = scheme.spatial_reference.identified
    if not reference.has_known_id:
        return f"they know no WKID of its spatial reference '{reference.crs.name}', and read no WKT in a package"
    corner = _mirrored_origin(scheme)
    if _can_show(scheme, lods, extent, corner):
        return ""
    if corner[0] > scheme.origin_x and corner[1] < scheme.origin_y and _contains_extent(extent, corner, lods):
        return _TOO_MANY_PIXELS
    return (
        f"they look for tiles between the origin of the tiling scheme ({scheme.origin_x:.15g}, {scheme.origin_y:.15g}) "
        f"and its mirror image ({corner[0]:.15g}, {corner[1]:.15g}) alone"
    )


_LEVELS = "they take levels of detail to be numbered without a gap, each finer than the one before"
_TOO_MANY_PIXELS = f"the finest level has more than {MAX_PIXELS:,} pixels in a row or a column"


def _mirrored_origin(scheme: TilingScheme) -> Corner:
    return -scheme.origin_x, -scheme.origin_y


def _corner_of_tiles(scheme: TilingScheme, lod: LevelOfDetail, extent: Extent) -> Corner:
    """Return the lower right corner of the last tile of an extent at a level."""
    tiles, span = scheme.tile_range(extent, lod.level), scheme.tile_span(lod.level)
    return scheme.origin_x + tiles.column_stop * span, scheme.origin_y - tiles.row_stop * span


def _can_show(scheme: TilingScheme, lods: Sequence[LevelOfDetail], extent: Extent, corner: Corner) -> bool:
    """Return True if GDAL opens the levels and the extent lies between the origin and the corner."""
    sides = corner[0] - scheme.origin_x, scheme.origin_y - corner[1]
    counts = [side / lod.resolution for side in sides for lod in lods]
    return min(counts) >= 1 and max(counts) <= MAX_PIXELS and _contains_extent(extent, corner, lods)


def _contains_extent(extent: Extent, corner: Corner, lods: Sequence[LevelOfDetail]) -> bool:
    pixel = min(lod.resolution for lod in lods)  # tolerance for rounded origins and resolutions
    return extent.xmax <= corner[0] + pixel and extent.ymin >= corner[1] - pixel


def _is_descending(lods: Sequence[LevelOfDetail]) -> bool:
    return all(before.resolution > after.resolution for before, after in pairwise(lods))
