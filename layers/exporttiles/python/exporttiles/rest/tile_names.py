"""The parameter `tiles`, which ArcGIS does not have: areas named by tiles of Web Mercator."""

import re
from collections.abc import Sequence

import mercantile

from exporttiles.domain.area import RINGS_LIMIT, Area
from exporttiles.domain.errors import AreaError, InvalidParameterError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.rest.json_text import read_json

MAX_ZOOM = 30
"""Largest zoom of a tile: 4 cm wide."""

_REFERENCE = SpatialReference(wkid=102100, latest_wkid=3857)
_XYZ = re.compile(r"([0-9]{1,2})/([0-9]{1,10})/([0-9]{1,10})", re.ASCII)
_QUADKEY = re.compile(rf"[0-3]{{1,{MAX_ZOOM}}}", re.ASCII)
_LEGAL = f"It must be zoom/x/y, with a zoom up to {MAX_ZOOM}, or a quadkey: 3/4/2 and 120 are the same tile."


def area_of_tiles(name: str, text: str, service: ImageService) -> Area:
    """Return the area of tiles in the service's reference.

    Args:
        name: name of the parameter.
        text: tiles, separated by commas or as a JSON list of texts; each zoom/x/y, counted from the north-west as in
            addresses of OpenStreetMap, or a quadkey.
        service: gives the reference.

    Raises:
        InvalidParameterError: a text is no tile.
        AreaError: there are too many tiles, or one lies outside of the service's reference.
    """
    names = _names(name, text)
    if len(names) > RINGS_LIMIT:
        raise AreaError(f"It has {len(names):,} tiles; {RINGS_LIMIT:,} are allowed.")
    boxes = (mercantile.xy_bounds(_tile(name, each)) for each in names)
    target = service.tiling_scheme.spatial_reference
    return Area.union(
        [Area.from_extent(Extent(box.left, box.bottom, box.right, box.top, _REFERENCE), target) for box in boxes]
    )


def _names(name: str, text: str) -> Sequence[str]:
    if not text.startswith("["):
        return [each.strip() for each in text.split(",")]
    names = read_json(name, text, _LEGAL)
    if not names or not all(isinstance(each, str) for each in names):
        raise InvalidParameterError(name, text, _LEGAL)
    return [each.strip() for each in names]


def _tile(name: str, text: str) -> mercantile.Tile:
    if _QUADKEY.fullmatch(text):
        return mercantile.quadkey_to_tile(text)
    found = _XYZ.fullmatch(text)
    zoom, x, y = map(int, found.groups()) if found else (MAX_ZOOM + 1, 0, 0)
    if zoom > MAX_ZOOM or max(x, y) >= 2**zoom:
        raise InvalidParameterError(name, text, _LEGAL)
    return mercantile.Tile(x, y, zoom)
