"""XYZ tiles in Web Mercator: the only grid that PMTiles and MBTiles have.

Source: OGC 17-083r4 (Two Dimensional Tile Matrix Set), annex D.1, WebMercatorQuad; mbtiles-spec 1.3.
"""

from collections.abc import Sequence

import mercantile

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, SpatialReference
from exporttiles.domain.tiling import TilingScheme

MAX_ZOOM = 30
"""Finest zoom that both formats, and mercantile, are known to hold."""

_WEB_MERCATOR = SpatialReference(wkid=102100, latest_wkid=3857)
_WORLD = mercantile.xy_bounds(0, 0, 0)
_SHIFT = 1.0  # pixel: as far as rounded origins and resolutions, such as those of Esri, may move a tile
_PLACES = 7  # of degrees: a centimetre, as PMTiles stores them
_FORMATS = {TileFormat.JPEG: "jpg", TileFormat.WEBP: "webp"}

Bounds = tuple[float, float, float, float]
"""West, south, east and north in degrees."""


def grid_obstacle(scheme: TilingScheme, levels: Sequence[int]) -> str:
    """Return why the tiles of a scheme are no XYZ tiles, or '' if they are.

    Level, row and column of an XYZ tile are its zoom, y and x.

    Args:
        scheme: of the tiles.
        levels: those to export, ascending, at least one.
    """
    reference = scheme.spatial_reference
    if not ({reference.wkid, reference.latest_wkid} & WEB_MERCATOR_WKIDS or reference.is_same_as(_WEB_MERCATOR)):
        return f"its tiling scheme is in '{reference.crs.name}'"
    for level in levels:
        pixel, span = scheme.lod(level).resolution, (_WORLD.right - _WORLD.left) / 2**level
        if level > MAX_ZOOM:
            return f"it has level {level}; zooms end at {MAX_ZOOM}"
        if abs(scheme.tile_span(level) - span) * 2**level > _SHIFT * pixel:
            return (
                f"a tile of level {level} is {scheme.tile_span(level):.10g} m wide, one of zoom {level} {span:.10g} m"
            )
        if max(abs(scheme.origin_x - _WORLD.left), abs(scheme.origin_y - _WORLD.top)) > _SHIFT * pixel:
            return f"the origin of its tiling scheme is {scheme.origin_x:.10g}, {scheme.origin_y:.10g}"
    return ""


def bounds(extent: Extent) -> Bounds:
    """Return an extent in Web Mercator in degrees, to 7 places, cut to the square of the tiles."""
    xmin, ymin = max(extent.xmin, _WORLD.left), max(extent.ymin, _WORLD.bottom)
    xmax, ymax = min(extent.xmax, _WORLD.right), min(extent.ymax, _WORLD.top)
    west, south = mercantile.lnglat(xmin, ymin)
    east, north = mercantile.lnglat(xmax, ymax)
    west, south, east, north = (round(side, _PLACES) + 0.0 for side in (west, south, east, north))  # no -0.0
    return west, south, east, north


def tile_extension(tile_format: TileFormat) -> str:
    """Return ``jpg``, ``png`` or ``webp``; MIXED is called PNG, so that readers expect transparency."""
    return _FORMATS.get(tile_format, "png")


def metadata(service: ImageService, levels: Sequence[int], extent: Extent) -> dict[str, str]:
    """Return the key-value pairs of MBTiles, by which readers of PMTiles go as well.

    Args:
        service: the cache that the tiles come from.
        levels: those with tiles, ascending, at least one.
        extent: of the export, in Web Mercator.
    """
    west, south, east, north = bounds(extent)
    texts = {
        "name": service.map_title,
        "format": tile_extension(service.tile_format),
        "bounds": f"{west:.7f},{south:.7f},{east:.7f},{north:.7f}",
        "center": f"{(west + east) / 2:.7f},{(south + north) / 2:.7f},{min(levels)}",
        "minzoom": str(min(levels)),
        "maxzoom": str(max(levels)),
        "attribution": service.copyright_text,
        "description": service.description,
        "type": "baselayer",
        "version": "1",
    }
    return {name: text for name, text in texts.items() if text}
