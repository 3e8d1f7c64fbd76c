"""A whole tile package in memory, from tiles, for tests to show to other readers."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from io import BytesIO

from PIL import Image

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import CacheLayout, ImageService, TileCache, TileFormat
from exporttiles.domain.tiling import BundleIndex, TilingScheme
from exporttiles.formats.archives.zip_writer import ZipMember, central_directory, local_header
from exporttiles.formats.bundles.v2 import bundle_path, write_bundle
from exporttiles.formats.caches.documents import ROOT_JSON
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.packages.tpkx import (
    BUNDLE_FOLDER,
    ITEMINFO,
    THUMBNAIL,
    thumbnail,
    write_iteminfo,
    write_root,
)

Place = tuple[int, int, int]
MARKER_PIXELS = 32


def a_service(
    *,
    scheme: TilingScheme = WEB_MERCATOR_256,
    tile_format: TileFormat = TileFormat.PNG,
    quality: int = 0,
    description: str = "",
    copyright_text: str = "",
) -> ImageService:
    return ImageService(
        name="Maps/World",
        cache=TileCache("file:///cache", CacheLayout.FILES, "{level}/{row}/{column}", 1000),
        tiling_scheme=scheme,
        min_level=0,
        max_level=19,
        tile_format=tile_format,
        compression_quality=quality,
        full_extent=scheme.tile_extent(scheme.lods[0].level, 0, 0),
        description=description,
        copyright_text=copyright_text,
    )


def a_tile(place: Place, *, size: int = 256, image_format: str = "PNG", mode: str = "RGBA") -> bytes:
    """One colour that no other tile has, and a white mark in the north-west corner."""
    level, row, column = place
    code = zlib.crc32(b"%d/%d/%d" % place)
    colour = (code & 0x7F, (code >> 8) & 0x7F, (code >> 16) & 0x7F, 128 + (level + row + column) % 100)
    image = Image.new("RGBA", (size, size), colour)
    image.paste((255, 255, 255, 255), (0, 0, MARKER_PIXELS, MARKER_PIXELS))
    body = BytesIO()
    image.convert(mode).save(
        body, image_format, **({"quality": 90, "subsampling": 0} if image_format == "JPEG" else {})
    )
    return body.getvalue()


def extent_of(scheme: TilingScheme, places: Iterable[Place]) -> Extent:
    extents = [scheme.tile_extent(*place) for place in places]
    return Extent(
        min(extent.xmin for extent in extents),
        min(extent.ymin for extent in extents),
        max(extent.xmax for extent in extents),
        max(extent.ymax for extent in extents),
        scheme.spatial_reference,
    )


def build_members(service: ImageService, tiles: Mapping[Place, bytes]) -> dict[str, bytes]:
    """The members of a package, in order, by name."""
    extent = extent_of(service.tiling_scheme, tiles)
    bundles: defaultdict[BundleIndex, dict[tuple[int, int], bytes]] = defaultdict(dict)
    for (level, row, column), data in tiles.items():
        bundles[BundleIndex.of_tile(level, row, column)][row, column] = data
    top = min(level for level, _, _ in tiles)
    overview = {(row, column): data for (level, row, column), data in tiles.items() if level == top}
    return {
        ITEMINFO: write_iteminfo(service, extent, job_id="j0"),
        ROOT_JSON: write_root(service, [level for level, _, _ in tiles], extent),
        THUMBNAIL: thumbnail(overview),
        **{
            f"{BUNDLE_FOLDER}/{bundle_path(bundle)}": b"".join(write_bundle(bundles[bundle]))
            for bundle in sorted(bundles)
        },
    }


def pack(members: Mapping[str, bytes]) -> bytes:
    """One archive of members."""
    pieces: list[bytes] = []
    entries: list[tuple[ZipMember, int]] = []
    offset = 0
    for name, data in members.items():
        member = ZipMember(name, len(data), zlib.crc32(data))
        entries.append((member, offset))
        pieces += [local_header(member), data]
        offset += len(pieces[-2]) + len(data)
    return b"".join(pieces) + central_directory(entries)


def build_package(service: ImageService, tiles: Mapping[Place, bytes]) -> bytes:
    return pack(build_members(service, tiles))
