"""The map on the page of a service: its data, and the controls that the script of the page uses."""

import json
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.spatial_reference import WEB_MERCATOR_WKIDS, WGS84, SpatialReference
from exporttiles.rest.apps import apps_for

_QUALITIES = """<p>Pictures</p>
<label class="choice"><input type="radio" name="quality" value="original" checked> as in the map</label>
<label class="choice"><input type="radio" name="quality" value="smaller"> smaller file, less sharp</label>"""


def map_section(service: ImageService, document: Mapping[str, Any]) -> str:
    """Return the HTML of the map.

    Args:
        service: the service.
        document: its service document.
    """
    reference = service.tiling_scheme.spatial_reference
    data = {"service": document, "projection": _projection(reference)}
    apps = apps_for(document["exportStorageFormatTypes"])
    return _template().substitute(
        data=escape(json.dumps(data, separators=(",", ":"))),
        name=escape(service.map_title),
        units=escape(reference.crs.axis_info[0].unit_name),
        apps="".join(f'<option value="{escape(value)}">{escape(name)}</option>' for value, name in apps.items()),
        quality=_QUALITIES if service.tile_format in (TileFormat.JPEG, TileFormat.MIXED) else "",
    )


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("map.html").read_text(encoding="utf-8"))


def _projection(reference: SpatialReference) -> dict[str, Any] | None:
    """Return a spatial reference as PROJJSON; None if OpenLayers has it built in."""
    built_in = {*WEB_MERCATOR_WKIDS, WGS84.wkid}
    if {reference.wkid, reference.latest_wkid} & built_in:
        return None
    return reference.crs.to_json_dict()
