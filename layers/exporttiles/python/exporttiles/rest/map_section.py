"""The map on the page of a service: its data, and the controls that the script of the page uses."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from exporttiles.domain.cost import BUNDLE_TILE_DOLLARS, DRAWN_TILE_DOLLARS, EGRESS_GIGABYTE_DOLLARS, FILE_TILE_DOLLARS
from exporttiles.domain.service import CacheLayout, ImageService, TileFormat
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, WGS84, SpatialReference
from exporttiles.formats.packages.storage_formats import legal_formats
from exporttiles.rest import pages
from exporttiles.rest.apps import apps_for
from exporttiles.rest.parameters import DEFAULT_QUALITY, keeps_tiles

_CONVERSION_NAMES = {
    TileFormat.JPEG: "as JPEG: small, nothing transparent",
    TileFormat.PNG: "as PNG: large, keeps what is transparent",
    TileFormat.MIXED: "as JPEG, and as PNG where transparent",
}
_LEADS = {
    False: "Choose an area, and take this map offline.",
    True: "Choose an area, and take its heights offline. They are numbers, so that the map here stays empty.",
}
_QUALITIES = """<p>Pictures</p>
<label class="choice"><input type="radio" name="quality" value="original" checked> as in the map</label>
<label class="choice"><input type="radio" name="quality" value="smaller"> smaller file, less sharp</label>
<details id="compare">
<summary>Compare a tile in the middle of the map</summary>
<p id="no-picture" hidden>The middle of the map has no tile of the finest level.</p>
<div class="pair">
<figure id="picture-original"><img alt="The tile as it is in the map">
<figcaption>as in the map: <span></span></figcaption></figure>
<figure id="picture-smaller"><img alt="The same tile, smaller and less sharp">
<figcaption>smaller: about <span></span></figcaption></figure>
</div>
</details>"""


def map_section(service: ImageService, document: Mapping[str, Any]) -> str:
    """Return the HTML of the map.

    Args:
        service: the service.
        document: its service document.
    """
    reference = service.tiling_scheme.spatial_reference
    tile_dollars = {CacheLayout.FILES: FILE_TILE_DOLLARS, CacheLayout.RASTERS: DRAWN_TILE_DOLLARS}
    prices = {
        "tile": tile_dollars.get(service.cache.layout, BUNDLE_TILE_DOLLARS),
        "downloadedGigabyte": EGRESS_GIGABYTE_DOLLARS,
    }
    data = {"service": document, "projection": projection_document(reference), "prices": prices}
    formats = document["exportStorageFormatTypes"]
    return _template().substitute(
        data=escape(json.dumps(data, separators=(",", ":"))),
        name=escape(service.map_title),
        units=escape(reference.crs.axis_info[0].unit_name),
        apps=_app_options(service, formats),
        format=service.tile_format.value,
        conversions="".join(
            _option(target, name)
            for target, name in _CONVERSION_NAMES.items()
            if not keeps_tiles(service.tile_format, target)
        ),
        lead=_LEADS[service.tile_format is TileFormat.LERC],
        recent=pages.RECENT,
        quality=_QUALITIES if _has_smaller_pictures(service) else "",
    )


def _app_options(service: ImageService, formats: Collection[str]) -> str:
    """Return the apps to choose from: first those that show the tiles as they are."""
    is_picture = service.tile_format is not TileFormat.LERC
    converted = legal_formats(replace(service, tile_format=TileFormat.MIXED)) if is_picture else []
    options = [_option(each, name) for each, name in apps_for(formats).items()]
    others = apps_for({*converted} - {*formats})
    return "".join([*options, *(_option(each, name, " data-converted") for each, name in others.items())])


def _option(value: str, name: str, attributes: str = "") -> str:
    return f'<option value="{escape(value)}"{attributes}>{escape(name)}</option>'


def _has_smaller_pictures(service: ImageService) -> bool:
    """Return True if recompressing the tiles makes them smaller."""
    is_jpeg = service.tile_format in (TileFormat.JPEG, TileFormat.MIXED)
    return is_jpeg and not 0 < service.compression_quality <= DEFAULT_QUALITY


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("map.html").read_text(encoding="utf-8"))


def projection_document(reference: SpatialReference) -> dict[str, Any] | None:
    """Return a spatial reference as PROJJSON; None if OpenLayers has it built in."""
    built_in = {*WEB_MERCATOR_WKIDS, WGS84.wkid}
    if {reference.wkid, reference.latest_wkid} & built_in:
        return None
    return reference.crs.to_json_dict()
