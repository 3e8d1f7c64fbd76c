"""Documents of a tile package (.tpkx): root.json, iteminfo.json, thumbnail.png.

Source: Esri/tile-package-spec, docs/root.md and docs/iteminfo.md; spelling,
key sets and values as in packages written by ArcGIS Pro and ArcGIS Server,
which differ from the specification in places.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import PACKET_SIZE
from exporttiles.formats.caches.documents import ROOT_JSON
from exporttiles.formats.esri.esri_json import write_extent, write_spatial_reference, write_tile_info

ITEMINFO = "iteminfo.json"
THUMBNAIL = "thumbnail.png"
BUNDLE_FOLDER = "tile"
MEMBER_ORDER = (ITEMINFO, ROOT_JSON, THUMBNAIL)
"""The members before the bundles; these follow as ``tile/`` and `bundle_path`, by level."""

STORAGE_FORMAT = "esriMapCacheStorageModeCompactV2"
TYPE_KEYWORDS = ("Compact Tile Package", "Tile Package", "tpkx")
CREATOR = "ExportMapServerCache"

MIN_ROOT_BYTES = 512
"""GDAL recognizes no shorter root.json."""

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 200, 133
_BACKGROUND = (238, 238, 238)

_UNITS = {
    "degree": "esriDecimalDegrees",
    "metre": "esriMeters",
    "kilometre": "esriKilometers",
    "foot": "esriFeet",
    "US survey foot": "esriFeet",
}
_GUID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:exporttiles:job")


def write_root(service: ImageService, levels: Sequence[int], extent: Extent) -> bytes:
    """Return root.json: the tiling scheme, tile format and extents of the package.

    The tiling scheme is complete, whichever levels are packed. The visible
    scales are the service's, as the server writes them: clients draw the
    levels of the package larger or smaller where it has no tiles.

    Args:
        service: the cache that the tiles come from, with the format and quality of the packed ones.
        levels: those that are packed, at least one.
        extent: of the export, in the scheme's reference.
    """
    reference = service.tiling_scheme.spatial_reference.identified  # readers such as GDAL read ids alone
    scheme = replace(service.tiling_scheme, spatial_reference=reference)
    extent = replace(extent, spatial_reference=reference)
    return _json(
        {
            "tileImageInfo": {
                "format": service.tile_format.value,
                "compressionQuality": declared_quality(service),
                "bandCount": 1,  # always 1 in packages by ArcGIS
                "lercError": service.lerc_error,
            },
            "version": 1.0,
            # Readers look for this key in the first kilobyte: only short members may precede it.
            "tileBundlesPath": f"./{BUNDLE_FOLDER}",
            "name": service.short_name,
            "serviceDescription": service.description,
            "spatialReference": write_spatial_reference(scheme.spatial_reference),
            "units": units(scheme.spatial_reference),
            "minLOD": min(levels),
            "maxLOD": max(levels),
            "minScale": scheme.lod(service.min_level).scale,
            "maxScale": scheme.lod(service.max_level).scale,
            "resampling": True,
            "tileInfo": write_tile_info(scheme),
            "exportTilesAllowed": False,
            "storageInfo": {"storageFormat": STORAGE_FORMAT, "packetSize": PACKET_SIZE},
            "layers": [],
            "initialExtent": write_extent(extent),
            "fullExtent": write_extent(extent),
        }
    ).ljust(MIN_ROOT_BYTES)


def write_iteminfo(service: ImageService, extent: Extent, *, job_id: str) -> bytes:
    """Return iteminfo.json: the texts that a portal shows.

    The format has no place for a copyright: it is appended to the description.

    Args:
        service: the cache that the tiles come from.
        extent: of the export, in the scheme's reference; written in degrees.
        job_id: decides the item's id, so that equal jobs write equal bytes.

    Raises:
        AreaError: the extent cannot be expressed in degrees.
    """
    texts = (service.description, service.copyright_text)
    return _json(
        {
            "creator": CREATOR,
            "name": service.short_name,
            "guid": item_guid(job_id),
            "version": 1.0,
            "created": 0,  # as ArcGIS writes it
            "snippet": "",
            "description": "\n\n".join(text for text in texts if text),
            "summary": "",
            "title": service.map_title,
            "tags": "",
            "type": TYPE_KEYWORDS[0],
            "typeKeywords": list(TYPE_KEYWORDS),
            "thumbnail": f"./{THUMBNAIL}",
            "extent": write_extent(extent.to(WGS84)),
        }
    )


def item_guid(job_id: str) -> str:
    """Return the item id of a job: an upper-case UUID, always the same for a job."""
    return str(uuid.uuid5(_GUID_NAMESPACE, job_id)).upper()


def declared_quality(service: ImageService) -> int:
    """Return the JPEG quality for documents; 0 for formats without one."""
    return service.compression_quality if "jpeg" in service.tile_format.encodings else 0


def units(reference: SpatialReference) -> str:
    """Return Esri's name for the map units of a coordinate system."""
    return _UNITS.get(reference.crs.axis_info[0].unit_name, "esriUnknownUnits")


def thumbnail(tiles: Mapping[tuple[int, int], bytes | memoryview]) -> bytes:
    """Return the thumbnail of a package: an RGB PNG of 200 by 133 pixels.

    The tiles are laid out as on the map and fill the picture, cut to its
    middle. Missing, damaged and LERC tiles leave their place grey.

    Args:
        tiles: row and column -> encoded image, all of one level; few, since
            each visible one is decoded.
    """
    from PIL import Image

    from exporttiles.formats.tiles.codec import decode

    picture = Image.new("RGB", (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), _BACKGROUND)
    rows, columns = ([place[axis] for place in tiles] for axis in (0, 1))
    if tiles:
        height, width = max(rows) - min(rows) + 1, max(columns) - min(columns) + 1
        side = max(-(-THUMBNAIL_WIDTH // width), -(-THUMBNAIL_HEIGHT // height))
        top = (THUMBNAIL_HEIGHT - side * height) // 2 - side * min(rows)
        left = (THUMBNAIL_WIDTH - side * width) // 2 - side * min(columns)
    for (row, column), data in sorted(tiles.items(), key=lambda item: item[0]):
        y, x = top + side * row, left + side * column
        if -side < y < THUMBNAIL_HEIGHT and -side < x < THUMBNAIL_WIDTH:
            try:
                tile = decode(data).convert("RGBA").resize((side, side), reducing_gap=2.0)
            except DamagedCacheError:
                continue
            picture.paste(tile, (x, y), tile)
    body = BytesIO()
    picture.save(body, "PNG", optimize=True)
    return body.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    # One line without a byte order mark, as ArcGIS writes it; GDAL needs the latter.
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
