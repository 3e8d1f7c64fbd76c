"""What a cache says of itself: ``conf.xml`` and ``conf.cdi``, or ``root.json``.

Source: the tags of CacheInfo as ArcGIS Server 10.0 to 10.9 writes them;
tile-package-spec, docs/root.md.
"""

import json
import math
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.esri_json import read_extent, read_tile_info
from exporttiles.formats.esri_xml import read_document
from exporttiles.formats.tile_image import MAX_SIDE_PIXELS

COMPACT_V2 = "esriMapCacheStorageModeCompactV2"
_MAX_LEVELS = 64


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """A cache as its own documents describe it.

    Attributes:
        full_extent: None if the document does not tell.
    """

    tiling_scheme: TilingScheme
    storage_format: str
    tile_format: TileFormat
    compression_quality: int
    lerc_error: float
    full_extent: Extent | None


def read_root_json(body: bytes) -> CacheInfo:
    """Return what the root.json of an unpacked tile package tells.

    Raises:
        DamagedCacheError: a member is missing or unusable.
    """
    try:
        root: dict[str, Any] = json.loads(body)
        scheme = _usable(read_tile_info(root["tileInfo"]))
        image = root["tileImageInfo"]
        return CacheInfo(
            tiling_scheme=scheme,
            storage_format=str(root["storageInfo"]["storageFormat"]),
            tile_format=_tile_format(image["format"]),
            compression_quality=int(image.get("compressionQuality", 0)),
            lerc_error=float(image.get("lercError", 0)),
            full_extent=read_extent(root["fullExtent"], scheme.spatial_reference) if root.get("fullExtent") else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DamagedCacheError(f"root.json cannot be used: {type(error).__name__} {error}") from error


def read_conf_xml(conf: bytes, cdi: bytes | None) -> CacheInfo:
    """Return what the conf.xml, and the conf.cdi beside it, of a cache tell.

    Raises:
        DamagedCacheError: an element is missing or unusable.
    """
    try:
        info = read_document(conf)
        tiles, image = _child(info, "TileCacheInfo"), _child(info, "TileImageInfo")
        reference = SpatialReference(
            wkid=_id(tiles, "WKID"),
            latest_wkid=_id(tiles, "LatestWKID"),
            wkt=tiles.findtext("SpatialReference/WKT"),
        )
        scheme = TilingScheme(
            spatial_reference=reference,
            origin_x=float(_text(tiles, "TileOrigin/X")),
            origin_y=float(_text(tiles, "TileOrigin/Y")),
            tile_size=_tile_size(tiles),
            dpi=int(float(tiles.findtext("DPI") or 96)),
            lods=tuple(
                LevelOfDetail(
                    int(_text(lod, "LevelID")),
                    float(_text(lod, "Resolution")),
                    float(_text(lod, "Scale")),
                )
                for lod in tiles.findall("LODInfos/LODInfo")
            ),
        )
        return CacheInfo(
            tiling_scheme=_usable(scheme),
            storage_format=_text(info, "CacheStorageInfo/StorageFormat"),
            tile_format=_tile_format(_text(image, "CacheTileFormat")),
            compression_quality=int(image.findtext("CompressionQuality") or 0),
            lerc_error=float(image.findtext("LERCError") or 0),
            full_extent=_envelope(read_document(cdi), reference) if cdi else None,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DamagedCacheError(f"conf.xml cannot be used: {type(error).__name__} {error}") from error


def _usable(scheme: TilingScheme) -> TilingScheme:
    """Return a scheme whose numbers can be reckoned with.

    Raises:
        ValueError: they cannot.
    """
    if not 0 < len(scheme.lods) <= _MAX_LEVELS or len({lod.level for lod in scheme.lods}) < len(scheme.lods):
        raise ValueError(f"it has {len(scheme.lods)} levels of detail, or one of them twice")
    if not 0 < scheme.tile_size <= MAX_SIDE_PIXELS:
        raise ValueError(f"tiles are {scheme.tile_size} pixels wide")
    lengths = [length for lod in scheme.lods for length in (lod.resolution, lod.scale)]
    if not all(map(math.isfinite, (scheme.origin_x, scheme.origin_y, *lengths))) or min(lengths) <= 0:
        raise ValueError("the origin, a resolution or a scale is no number that can be used")
    return scheme


def is_counted_from_bottom(name: str, body: bytes) -> bool:
    """Tell whether a document says that rows are counted from the bottom, as TMS does.

    Args:
        name: of the document; ``tilemapresource.xml`` belongs to TMS alone.
        body: of a TileJSON or of the metadata of an MBTiles file, where
            ``scheme`` says so.
    """
    if name == "tilemapresource.xml":
        return True
    if not name.endswith(".json"):
        return False
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("scheme") == "tms"


def _envelope(root: Element, reference: SpatialReference) -> Extent:
    xmin, ymin, xmax, ymax = (float(_text(root, side)) for side in ("XMin", "YMin", "XMax", "YMax"))
    return Extent(xmin, ymin, xmax, ymax, reference)


def _child(parent: Element, path: str) -> Element:
    found = parent.find(path)
    if found is None:
        raise KeyError(path)
    return found


def _text(parent: Element, path: str) -> str:
    text = _child(parent, path).text
    if not text:
        raise KeyError(path)
    return text


def _tile_size(tiles: Element) -> int:
    columns, rows = _text(tiles, "TileCols"), _text(tiles, "TileRows")
    if columns != rows:
        raise ValueError(f"tiles are {columns} x {rows} pixels, not square")
    return int(columns)


def _id(tiles: Element, name: str) -> int | None:
    text = tiles.findtext(f"SpatialReference/{name}")
    return int(text) if text else None


def _tile_format(text: str) -> TileFormat:
    return TileFormat(text.upper())
