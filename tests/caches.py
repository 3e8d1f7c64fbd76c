"""The same tiles in every layout of a cache.

Each function stores tiles, level, row and column -> bytes, and returns the
address to publish.
"""

import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v1 import bundlx_path, write_bundle_v1
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, PACKAGE_RECORD_COUNT, bundle_path, write_bundle
from exporttiles.formats.caches.path_template import TilePlace, path_md5
from exporttiles.formats.tiles.image import sniff

Tiles = Mapping[tuple[int, int, int], bytes]
FOLDER = "memory:///"


def put_xyz(objects: ObstoreObjects, tiles: Tiles) -> str:
    """One file a tile, ``World/5/31/10.jpg``; each with the extension of its own format."""
    for (level, row, column), tile in tiles.items():
        objects.write(f"World/{level}/{column}/{row}.{extension(tile)}", tile)
    return FOLDER


def put_tms(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Rows from the bottom, as ``tilemapresource.xml`` states."""
    for (level, row, column), tile in tiles.items():
        objects.write(f"{level}/{column}/{2**level - 1 - row}.{extension(tile)}", tile)
    objects.write("tilemapresource.xml", b"<TileMap version='1.0.0'/>")
    return FOLDER


def put_sharded(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Spread over prefixes by a hash of the path."""
    for (level, row, column), tile in tiles.items():
        path = f"{level}/{column}/{row}.{extension(tile)}"
        objects.write(f"tiles/{path_md5(TilePlace(level, row, column), path)[:4]}/{path}", tile)
    return FOLDER


def put_exploded(objects: ObstoreObjects, tiles: Tiles) -> str:
    """One file a tile, as ArcGIS names them."""
    for (level, row, column), tile in tiles.items():
        key = f"Layers/_alllayers/L{level:02d}/R{row:08x}/C{column:08x}.{extension(tile)}"
        objects.write(key, tile)
    return FOLDER


def put_v1(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Compact Cache V1."""
    for path, body in v1_files(tiles):
        objects.write(f"Layers/_alllayers/{path}", body)
    return FOLDER


def put_v2(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Compact Cache V2 with the header of the specification."""
    for path, body in v2_files(tiles, DATASET_RECORD_COUNT):
        objects.write(f"Layers/_alllayers/{path}", body)
    return FOLDER


def put_v2_of_arcgis(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Compact Cache V2 with the header that ArcGIS writes."""
    for path, body in v2_files(tiles, PACKAGE_RECORD_COUNT):
        objects.write(f"tile/{path}", body)
    return FOLDER


def put_tpkx(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Compact Cache V2 in an archive."""
    return _put_archive(objects, "World.tpkx", "tile/", v2_files(tiles, PACKAGE_RECORD_COUNT))


def put_tpk(objects: ObstoreObjects, tiles: Tiles) -> str:
    """Compact Cache V1 in an archive, with local headers longer than most."""
    return _put_archive(objects, "World.tpk", "v101/Layers/_alllayers/", v1_files(tiles), extra=b"\0" * 400)


def put_pmtiles(objects: ObstoreObjects, tiles: Tiles) -> str:
    """PMTiles, as its own library writes it."""
    body = BytesIO()
    writer = Writer(body)
    for level, row, column in sorted(tiles, key=lambda place: zxy_to_tileid(place[0], place[2], place[1])):
        writer.write_tile(zxy_to_tileid(level, column, row), tiles[level, row, column])
    west, south, east, north = -1_800_000_000, -850_511_287, 1_800_000_000, 850_511_287
    writer.finalize(
        {
            "tile_type": TileType.UNKNOWN,
            "tile_compression": Compression.NONE,
            "min_lon_e7": west,
            "min_lat_e7": south,
            "max_lon_e7": east,
            "max_lat_e7": north,
            "center_zoom": 0,
            "center_lon_e7": 0,
            "center_lat_e7": 0,
        },
        {},
    )
    objects.write("World.pmtiles", body.getvalue())
    return f"{FOLDER}World.pmtiles"


CACHES: dict[str, Callable[[ObstoreObjects, Tiles], str]] = {
    "XYZ": put_xyz,
    "TMS": put_tms,
    "sharded": put_sharded,
    "exploded": put_exploded,
    "Compact V1": put_v1,
    "Compact V2": put_v2,
    "Compact V2 of ArcGIS": put_v2_of_arcgis,
    "tpkx": put_tpkx,
    "tpk": put_tpk,
    "PMTiles": put_pmtiles,
}


def extension(tile: bytes) -> str:
    """Return the usual extension of a tile's format."""
    return {"jpeg": "jpg"}.get(image := sniff(tile) or "dat", image)


def v1_files(tiles: Tiles) -> Iterator[tuple[str, bytes]]:
    """Yield path and body of the files of a Compact Cache V1."""
    for bundle, images in _bundles(tiles).items():
        pieces, offsets = write_bundle_v1(images)
        yield bundle_path(bundle), b"".join(pieces)
        yield bundlx_path(bundle), offsets


def v2_files(tiles: Tiles, record_count: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and body of the files of a Compact Cache V2."""
    for bundle, images in _bundles(tiles).items():
        yield bundle_path(bundle), b"".join(write_bundle(images, record_count=record_count))


def _bundles(tiles: Tiles) -> Mapping[BundleIndex, dict[tuple[int, int], bytes]]:
    bundles: dict[BundleIndex, dict[tuple[int, int], bytes]] = defaultdict(dict)
    for (level, row, column), tile in tiles.items():
        bundles[BundleIndex.of_tile(level, row, column)][row, column] = tile
    return bundles


def _put_archive(
    objects: ObstoreObjects, name: str, folder: str, files: Iterator[tuple[str, bytes]], *, extra: bytes = b""
) -> str:
    """Store files in an archive, one of them with a local header that has an extra field."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for path, content in files:
            info = zipfile.ZipInfo(folder + path)
            info.extra = extra and b"\xfe\xca" + len(extra).to_bytes(2, "little") + extra
            archive.writestr(info, content)
    objects.write(name, body.getvalue())
    return FOLDER + name
