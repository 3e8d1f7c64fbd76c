"""The tiling schemes that everybody uses.

Their numbers are Esri's own, digit for digit: ArcGIS Earth refused packages
whose resolutions had been computed anew.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from exporttiles.domain.tiling import TilingScheme
from exporttiles.formats.esri_json import read_tile_info


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
