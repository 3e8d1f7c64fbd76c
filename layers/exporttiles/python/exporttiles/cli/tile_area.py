"""The option --tile: areas named by tiles of Web Mercator."""

import json
import re
from collections.abc import Sequence

import mercantile

from exporttiles.domain.errors import InvalidParameterError

MAX_ZOOM = 30
"""Largest zoom of a tile: 4 cm wide."""

_XYZ = re.compile(r"([0-9]{1,2})/([0-9]{1,10})/([0-9]{1,10})", re.ASCII)
_QUADKEY = re.compile(rf"[0-3]{{1,{MAX_ZOOM}}}", re.ASCII)
_LEGAL = f"It must be zoom/x/y, with a zoom up to {MAX_ZOOM}, or a quadkey: 3/4/2 and 120 are the same tile."


def tile_parameters(tiles: Sequence[str]) -> dict[str, str]:
    """Return the request parameters that select the areas of tiles.

    Args:
        tiles: zoom/x/y, counted from the north-west as in addresses of OpenStreetMap, or a quadkey.

    Raises:
        InvalidParameterError: a text is no tile.
    """
    if not tiles:
        return {}
    boxes = [mercantile.xy_bounds(_tile(text.strip())) for text in tiles]
    sides = ("xmin", "ymin", "xmax", "ymax")
    return {
        "polygon": json.dumps(
            [dict(zip(sides, box, strict=True)) | {"spatialReference": {"wkid": 102100}} for box in boxes]
        )
    }


def _tile(text: str) -> mercantile.Tile:
    if _QUADKEY.fullmatch(text):
        return mercantile.quadkey_to_tile(text)
    found = _XYZ.fullmatch(text)
    zoom, x, y = map(int, found.groups()) if found else (MAX_ZOOM + 1, 0, 0)
    if zoom > MAX_ZOOM or max(x, y) >= 2**zoom:
        raise InvalidParameterError("tile", text, _LEGAL)
    return mercantile.Tile(x, y, zoom)
