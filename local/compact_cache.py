"""Pack a folder of `level/column/row.jpg` tiles into an ArcGIS cache folder with Compact Cache V2 bundles."""

from itertools import groupby
from pathlib import Path

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundle import DATASET_RECORD_COUNT, bundle_path, write_bundle

HALF_WORLD_METRES = 20037508.342787
RESOLUTION_0 = 156543.03392800014  # metres per pixel, in Esri's own digits
SCALE_0 = 591657527.591555

CONF_XML = """<?xml version="1.0" encoding="utf-8"?>
<CacheInfo xsi:type="typens:CacheInfo" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:typens="http://www.esri.com/schemas/ArcGIS/10.3">
<TileCacheInfo xsi:type="typens:TileCacheInfo">
<SpatialReference xsi:type="typens:ProjectedCoordinateSystem">
<WKT>PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",\
SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],\
PROJECTION["Mercator_Auxiliary_Sphere"],PARAMETER["False_Easting",0.0],PARAMETER["False_Northing",0.0],\
PARAMETER["Central_Meridian",0.0],PARAMETER["Standard_Parallel_1",0.0],PARAMETER["Auxiliary_Sphere_Type",0.0],\
UNIT["Meter",1.0],AUTHORITY["EPSG",3857]]</WKT>
<WKID>102100</WKID><LatestWKID>3857</LatestWKID>
</SpatialReference>
<TileOrigin xsi:type="typens:PointN"><X>-20037508.342787001</X><Y>20037508.342787001</Y></TileOrigin>
<TileCols>256</TileCols><TileRows>256</TileRows><DPI>96</DPI><PreciseDPI>96</PreciseDPI>
<LODInfos xsi:type="typens:ArrayOfLODInfo">
{lods}
</LODInfos>
</TileCacheInfo>
<TileImageInfo xsi:type="typens:TileImageInfo"><CacheTileFormat>JPEG</CacheTileFormat>\
<CompressionQuality>{quality}</CompressionQuality><Antialiasing>false</Antialiasing></TileImageInfo>
<CacheStorageInfo xsi:type="typens:CacheStorageInfo"><StorageFormat>esriMapCacheStorageModeCompactV2</StorageFormat>\
<PacketSize>128</PacketSize></CacheStorageInfo>
</CacheInfo>
"""

LOD_INFO = (
    '<LODInfo xsi:type="typens:LODInfo"><LevelID>{level}</LevelID>'
    "<Scale>{scale!r}</Scale><Resolution>{resolution!r}</Resolution></LODInfo>"
)

CONF_CDI = """<?xml version="1.0" encoding="utf-8"?>
<EnvelopeN xsi:type="typens:EnvelopeN" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:typens="http://www.esri.com/schemas/ArcGIS/10.3">
<XMin>{west!r}</XMin><YMin>{west!r}</YMin><XMax>{east!r}</XMax><YMax>{east!r}</YMax></EnvelopeN>
"""


def make_compact_cache(xyz_folder: Path, folder: Path, *, max_level: int, quality: int) -> None:
    """Write `conf.xml`, `conf.cdi` and the bundles below `_alllayers`.

    Args:
        xyz_folder: Web Mercator tiles of levels 0 to `max_level`.
        folder: is created.
        max_level: last level.
        quality: of the JPEG tiles; it is only written down.
    """
    levels = range(max_level + 1)
    folder.mkdir(parents=True, exist_ok=True)
    for level in levels:
        places = [(int(path.stem), int(path.parent.name)) for path in xyz_folder.glob(f"{level}/*/*.jpg")]
        by_bundle = sorted((BundleIndex.of_tile(level, row, column), row, column) for row, column in places)
        for bundle, tiles in groupby(by_bundle, lambda tile: tile[0]):
            path = folder / "_alllayers" / bundle_path(bundle)
            path.parent.mkdir(parents=True, exist_ok=True)
            images = {
                (row, column): (xyz_folder / str(level) / str(column) / f"{row}.jpg").read_bytes()
                for _, row, column in tiles
            }
            path.write_bytes(b"".join(write_bundle(images, record_count=DATASET_RECORD_COUNT)))
    lods = "\n".join(
        LOD_INFO.format(level=level, scale=SCALE_0 / 2**level, resolution=RESOLUTION_0 / 2**level) for level in levels
    )
    (folder / "conf.cdi").write_text(CONF_CDI.format(west=-HALF_WORLD_METRES, east=HALF_WORLD_METRES))
    (folder / "conf.xml").write_text(CONF_XML.format(lods=lods, quality=quality))  # last: with it the cache is complete
