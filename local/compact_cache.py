"""Pack a folder of `level/column/row.jpg` tiles into an ArcGIS cache folder with Compact Cache V2 bundles."""

from itertools import groupby
from pathlib import Path

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import TileFormat
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, bundle_path, write_bundle
from exporttiles.formats.caches.documents import CONF_CDI, CONF_XML
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.packages.conf import (
    LEVELS_FOLDER,
    scheme_from_0,
    write_conf_cdi,
    write_conf_xml,
)


def make_compact_cache(xyz_folder: Path, folder: Path, *, max_level: int, quality: int) -> None:
    """Write `conf.xml`, `conf.cdi` and the bundles below `_alllayers`.

    Args:
        xyz_folder: Web Mercator tiles of levels 0 to `max_level`.
        folder: folder to create.
        max_level: last level.
        quality: quality of the JPEG tiles, for conf.xml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for level in range(max_level + 1):
        places = [(int(path.stem), int(path.parent.name)) for path in xyz_folder.glob(f"{level}/*/*.jpg")]
        by_bundle = sorted((BundleIndex.of_tile(level, row, column), row, column) for row, column in places)
        for bundle, tiles in groupby(by_bundle, lambda tile: tile[0]):
            path = folder / LEVELS_FOLDER / bundle_path(bundle)
            path.parent.mkdir(parents=True, exist_ok=True)
            images = {
                (row, column): (xyz_folder / str(level) / str(column) / f"{row}.jpg").read_bytes()
                for _, row, column in tiles
            }
            path.write_bytes(b"".join(write_bundle(images, record_count=DATASET_RECORD_COUNT)))
    for name, body in cache_documents(max_level, quality).items():
        (folder / name).write_bytes(body)


def cache_documents(max_level: int, quality: int) -> dict[str, bytes]:
    """Return the documents of a Web Mercator cache by name; the last one completes the cache."""
    conf_xml = write_conf_xml(
        scheme_from_0(WEB_MERCATOR_256, max_level),
        StorageFormat.COMPACT_V2,
        TileFormat.JPEG,
        compression_quality=quality,
    )
    return {CONF_CDI: write_conf_cdi(WEB_MERCATOR_256.tile_extent(0, 0, 0)), CONF_XML: conf_xml}
