"""Checking iteminfo.json and thumbnail.png of a tile package.

Source: Esri/tile-package-spec, docs/iteminfo.md; spelling and types of the
keys as ArcGIS writes them.
"""

import re
from collections.abc import Mapping
from typing import Any

from exporttiles.domain.errors import AreaError, DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.checks.json_check import (
    NUMBER,
    JsonType,
    check_extent,
    check_reference,
    is_object,
    part,
    read_object,
    shown,
)
from exporttiles.formats.packages.tpkx import ITEMINFO, THUMBNAIL, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, TYPE_KEYWORDS
from exporttiles.formats.tiles.image import image_size, sniff

_EXTENT_SHARE = 0.02  # ArcGIS rounds extents in degrees outwards, by a percent or so
_GUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")

_ITEMINFO_TYPES: Mapping[str, JsonType] = {
    "creator": str,
    "name": str,
    "guid": str,
    "version": NUMBER,
    "created": NUMBER,
    "snippet": str,
    "description": str,
    "summary": str,
    "title": str,
    "tags": str,
    "type": str,
    "typeKeywords": list,
    "thumbnail": str,
    "extent": dict,
}


def check_iteminfo(data: bytes, root: Mapping[str, Any], extent: Extent | None, findings: Findings) -> None:
    """Check iteminfo.json, also against root.json and its fullExtent."""
    item = read_object(ITEMINFO, data, _ITEMINFO_TYPES, findings)
    for key, wanted in (
        ("name", root.get("name")),
        ("version", 1.0),
        ("type", TYPE_KEYWORDS[0]),
        ("thumbnail", f"./{THUMBNAIL}"),
    ):
        is_right = key not in item or wanted is None or item[key] == wanted
        findings.require(is_right, ITEMINFO, f"{key} is {shown(item.get(key))}, not {shown(wanted)}.")
    guid = str(item.get("guid", ""))
    findings.require(not guid or _GUID.fullmatch(guid), ITEMINFO, f"guid is '{guid[:40]}', not an upper-case UUID.")
    keywords = item.get("typeKeywords")
    complete = not isinstance(keywords, list) or all(word in keywords for word in TYPE_KEYWORDS)
    findings.require(complete, ITEMINFO, f"typeKeywords lacks one of {', '.join(TYPE_KEYWORDS)}.")
    if not is_object(item, "extent"):
        return
    check_reference(ITEMINFO, "extent", part(part(item, "extent"), "spatialReference"), findings)
    degrees = check_extent(ITEMINFO, "extent", part(item, "extent"), WGS84.is_same_as, findings)
    if degrees and extent:
        findings.require(
            _is_same_extent(degrees, extent), ITEMINFO, "extent is not the fullExtent of root.json in degrees."
        )


def check_thumbnail(data: bytes, findings: Findings, *, path: str = THUMBNAIL) -> None:
    """Check format and size of the thumbnail."""
    if findings.require(sniff(data) == "png", path, "It is not a PNG."):
        size = image_size(data)
        wanted = (THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)
        findings.require(size == wanted, path, f"It is not {THUMBNAIL_WIDTH} x {THUMBNAIL_HEIGHT} pixels large.")
        from exporttiles.formats.tiles.codec import decode

        try:
            decode(data)
        except DamagedCacheError as error:
            findings.add(path, str(error))


def _is_same_extent(degrees: Extent, extent: Extent) -> bool:
    try:
        wanted = extent.to(WGS84)
    except AreaError:
        return False
    slack_x = _EXTENT_SHARE * (wanted.xmax - wanted.xmin)
    slack_y = _EXTENT_SHARE * (wanted.ymax - wanted.ymin)
    same_x = abs(degrees.xmin - wanted.xmin) <= slack_x and abs(degrees.xmax - wanted.xmax) <= slack_x
    return same_x and abs(degrees.ymin - wanted.ymin) <= slack_y and abs(degrees.ymax - wanted.ymax) <= slack_y
