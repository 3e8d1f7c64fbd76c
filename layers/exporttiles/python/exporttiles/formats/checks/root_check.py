"""Checking root.json of a tile package.

Source: Esri/tile-package-spec, docs/root.md; spelling and types of the keys as
ArcGIS writes them; sizes and places as GDAL needs them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from exporttiles.domain.errors import ExportTilesError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ESRI_TILE_FORMATS
from exporttiles.domain.tiling import PACKET_SIZE, LevelOfDetail, TilingScheme
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.documents import ROOT_JSON
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
from exporttiles.formats.esri.esri_json import read_tile_info
from exporttiles.formats.esri.scheme_values import MAX_LEVELS
from exporttiles.formats.esri.tiling_schemes import snap_to_well_known
from exporttiles.formats.esri.values import DocumentValueError
from exporttiles.formats.packages.tpkx import BUNDLE_FOLDER, MIN_ROOT_BYTES, STORAGE_FORMAT, units

_FIRST_KILOBYTE = 1024
_FIRST_BLOCK = 8192  # GDAL reads on to here from version 3.9.1, where it finds a key of a tile package before
_MAX_TILE_SIZE = 8192

_ROOT_TYPES: Mapping[str, JsonType] = {
    "name": str,
    "version": NUMBER,
    "serviceDescription": str,
    "tileBundlesPath": str,
    "spatialReference": dict,
    "units": str,
    "minLOD": int,
    "maxLOD": int,
    "resampling": bool,
    "tileInfo": dict,
    "storageInfo": dict,
    "tileImageInfo": dict,
    "exportTilesAllowed": bool,
    "layers": list,
    "initialExtent": dict,
    "fullExtent": dict,
}


def check_root(data: bytes, findings: Findings) -> dict[str, Any]:
    """Check root.json; return its members as far as they can be read."""
    long_enough = len(data) >= MIN_ROOT_BYTES
    findings.require(long_enough, ROOT_JSON, f"It has {counted(len(data), 'byte')}; GDAL needs {MIN_ROOT_BYTES}.")
    start = data[:_FIRST_KILOBYTE]
    looked_through = data[:_FIRST_BLOCK] if any(key in start for key in (b'"tileInfo"', b'"tileImageInfo"')) else start
    early = b'"tileBundlesPath"' in looked_through
    findings.require(
        early,
        ROOT_JSON,
        f"tileBundlesPath is not in the first {counted(len(looked_through), 'byte')}, where GDAL looks.",
    )
    root = read_object(ROOT_JSON, data, _ROOT_TYPES, findings)

    for key, wanted in (("version", 1.0), ("tileBundlesPath", f"./{BUNDLE_FOLDER}")):
        is_right = key not in root or root[key] == wanted
        findings.require(is_right, ROOT_JSON, f"{key} is {shown(root.get(key))} instead of {shown(wanted)}.")
    # Members that are missing or of another type are reported already.
    if is_object(root, "storageInfo"):
        storage_info = root["storageInfo"]
        for key, value in (("storageFormat", STORAGE_FORMAT), ("packetSize", PACKET_SIZE)):
            text = f"storageInfo.{key} is {shown(storage_info.get(key))} instead of {shown(value)}."
            findings.require(storage_info.get(key) == value, ROOT_JSON, text)
    if is_object(root, "tileImageInfo"):
        _check_image_info(root["tileImageInfo"], findings)
    for key in ("spatialReference", "tileInfo", "initialExtent", "fullExtent"):
        if is_object(root, key):
            inner = root[key] if key == "spatialReference" else part(root[key], "spatialReference")
            check_reference(ROOT_JSON, key, inner, findings)
    return root


def _check_image_info(image_info: Mapping[str, Any], findings: Findings) -> None:
    bands = image_info.get("bandCount")
    findings.require(bands == 1, ROOT_JSON, f"tileImageInfo.bandCount is {shown(bands)} instead of 1.")
    image_format = image_info.get("format")
    findings.require(image_format in ESRI_TILE_FORMATS, ROOT_JSON, f"tileImageInfo.format is {shown(image_format)}.")
    quality = image_info.get("compressionQuality")
    legal = isinstance(quality, int) and 0 <= quality <= 100
    findings.require(legal, ROOT_JSON, f"tileImageInfo.compressionQuality is {shown(quality)}, not 0-100.")


def check_scheme(root: Mapping[str, Any], findings: Findings) -> TilingScheme | None:
    """Check the tiling scheme; return it, or None if it cannot be read."""
    try:
        scheme = read_tile_info(part(root, "tileInfo"))
        own_units = units(scheme.spatial_reference)
    except (ExportTilesError, DocumentValueError) as error:
        findings.add(ROOT_JSON, f"tileInfo cannot be used: {error}")
        return None
    is_right = "units" not in root or root["units"] == own_units
    findings.require(is_right, ROOT_JSON, f"units is {shown(root.get('units'))}, not '{own_units}'.")
    reference = part(root, "spatialReference")
    same = not is_object(root, "spatialReference") or reference.get("wkid") == scheme.spatial_reference.wkid
    findings.require(same, ROOT_JSON, "spatialReference is not the one of tileInfo.")
    if not findings.require(is_usable(scheme), ROOT_JSON, "tileInfo has numbers that no tiling scheme can have."):
        return None
    check_lods(ROOT_JSON, scheme, findings, used=[lod for lod in scheme.lods if _is_packed(root, lod.level)])
    return scheme


def _is_packed(root: Mapping[str, Any], level: int) -> bool:
    """Return True if a level lies from minLOD to maxLOD; ignore a bound that is not a number."""
    lowest, highest = root.get("minLOD"), root.get("maxLOD")
    is_above = isinstance(lowest, int) and level < lowest
    is_below = isinstance(highest, int) and level > highest
    return not is_above and not is_below


def check_lods(path: str, scheme: TilingScheme, findings: Findings, *, used: Sequence[LevelOfDetail]) -> None:
    """Check that levels of detail are in order, and not almost those of a well-known scheme.

    Args:
        path: of the document.
        scheme: that it describes.
        findings: faults are added here.
        used: the levels from the first with tiles to the last, as they are listed.
    """
    for finer, coarser in zip(used[1:], used, strict=False):
        text = f"The levels are not in order and without gaps: level {finer.level} stands behind level {coarser.level}."
        if findings.require(finer.level == coarser.level + 1, path, text):
            falling = 0 < finer.resolution < coarser.resolution and 0 < finer.scale < coarser.scale
            findings.require(falling, path, f"Level {finer.level} is not finer than level {coarser.level}.")
    for lod, esri in zip(scheme.lods, snap_to_well_known(scheme).lods, strict=True):
        for name in ("resolution", "scale"):
            found, wanted = getattr(lod, name), getattr(esri, name)
            text = f"Level {lod.level}: {name} {found} is almost Esri's {wanted}; ArcGIS wants it exactly."
            findings.require(found == wanted, path, text)


def check_extents(root: Mapping[str, Any], scheme: TilingScheme, findings: Findings) -> Extent | None:
    """Check the extents of root.json; return fullExtent if it can be used."""
    extents: dict[str, Extent | None] = {}
    for key in ("initialExtent", "fullExtent"):
        if not is_object(root, key):
            continue
        extents[key] = extent = check_extent(
            ROOT_JSON, key, part(root, key), scheme.spatial_reference.is_same_as, findings
        )
        if extent:
            edge = scheme.lods[0].resolution
            inside = extent.xmin >= scheme.origin_x - edge and extent.ymax <= scheme.origin_y + edge
            findings.require(inside, ROOT_JSON, f"{key} reaches beyond the origin of the tiling scheme.")
    return extents.get("fullExtent")


def is_usable(scheme: TilingScheme) -> bool:
    """Return True if all numbers of a scheme are finite and in their ranges."""
    numbers = [scheme.origin_x, scheme.origin_y, *(lod.resolution for lod in scheme.lods)]
    legal_lods = 0 < len(scheme.lods) <= MAX_LEVELS and all(lod.resolution > 0 for lod in scheme.lods)
    return legal_lods and all(map(math.isfinite, numbers)) and 0 < scheme.tile_size <= _MAX_TILE_SIZE
