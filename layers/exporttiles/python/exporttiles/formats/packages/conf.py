"""Writing the documents of a cache dataset: conf.xml, conf.cdi, conf.properties.

Source: files by ArcMap 10.3, in whose order elements are written, and numbers in
as many digits; the elements that GDAL, GeoWebCache and tpkutils read.
"""

from dataclasses import replace

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, TilingScheme
from exporttiles.formats.esri.esri_xml import document, element, number, text, write_spatial_reference

CONF_PROPERTIES = "conf.properties"
LEVELS_FOLDER = "_alllayers"


def scheme_from_0(scheme: TilingScheme, finest_level: int) -> TilingScheme:
    """Return a scheme up to one level, its levels numbered from 0.

    Readers of conf.xml use the position of a level in the list as the name of
    its folder: none may be missing at the beginning. Finer levels are left out, as
    ArcMap does: GDAL takes the last one for the resolution of the data, and
    cannot open a Web Mercator cache that lists level 23.
    """
    lods = [replace(lod, level=place) for place, lod in enumerate(scheme.lods)]
    return replace(scheme, lods=tuple(lods[: level_from_0(scheme, finest_level) + 1]))


def level_from_0(scheme: TilingScheme, level: int) -> int:
    """Return the position of a level in its scheme: its LevelID in conf.xml, and its folder."""
    return scheme.lods.index(scheme.lod(level))


def write_conf_xml(
    scheme: TilingScheme,
    storage_format: StorageFormat,
    tile_format: TileFormat,
    *,
    compression_quality: int,
    lerc_error: float = 0.0,
    tile_end: tuple[float, float] | None = None,
) -> bytes:
    """Return conf.xml: tiling scheme, tile format and storage format of a cache.

    Args:
        scheme: levels from 0, as `scheme_from_0` returns them.
        storage_format: of the bundles.
        tile_format: of the tiles.
        compression_quality: JPEG quality, 0 for other formats.
        lerc_error: greatest error of LERC tiles, in the unit of their values.
        tile_end: lower right corner of the tiles, for GDAL (see `gdal.tile_end`).
    """
    lods = (
        element(
            "LODInfo",
            number("LevelID", lod.level),
            number("Scale", lod.scale),
            number("Resolution", lod.resolution),
            esri_type="LODInfo",
        )
        for lod in scheme.lods
    )
    tiles = element(
        "TileCacheInfo",
        write_spatial_reference(scheme.spatial_reference),
        _point("TileOrigin", (scheme.origin_x, scheme.origin_y)),
        _point("TileEnd", tile_end) if tile_end else "",
        number("TileCols", scheme.tile_size),
        number("TileRows", scheme.tile_size),
        number("DPI", round(scheme.dpi)),
        number("PreciseDPI", scheme.dpi),
        element("LODInfos", *lods, esri_type="ArrayOfLODInfo"),
        esri_type="TileCacheInfo",
    )
    image = element(
        "TileImageInfo",
        text("CacheTileFormat", tile_format),
        number("CompressionQuality", compression_quality),
        text("Antialiasing", "false"),
        number("BandCount", 1),  # always 1, as in packages
        number("LERCError", lerc_error),
        esri_type="TileImageInfo",
    )
    storage = element(
        "CacheStorageInfo",
        text("StorageFormat", storage_format),
        number("PacketSize", PACKET_SIZE),
        esri_type="CacheStorageInfo",
    )
    return document("CacheInfo", tiles, image, storage)


def write_conf_cdi(extent: Extent) -> bytes:
    """Return conf.cdi: the envelope of the cache, in the reference of its scheme."""
    return document(
        "EnvelopeN",
        number("XMin", extent.xmin),
        number("YMin", extent.ymin),
        number("XMax", extent.xmax),
        number("YMax", extent.ymax),
        write_spatial_reference(extent.spatial_reference),
    )


def write_conf_properties() -> bytes:
    """Return conf.properties, which declares the content of the tiles as a map."""
    entry = text("Key", "CacheTileContentType") + "<Value xsi:type='xs:string'>Map</Value>"
    item = element("PropertySetProperty", entry, esri_type="PropertySetProperty")
    return document("PropertySet", element("PropertyArray", item, esri_type="ArrayOfPropertySetProperty"))


def _point(name: str, point: tuple[float, float]) -> str:
    x, y = point
    return element(name, number("X", x), number("Y", y), esri_type="PointN")
