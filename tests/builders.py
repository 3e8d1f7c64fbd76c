"""Small caches, services and requests for tests."""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from exporttiles.adapters.archives import within
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.area import Area
from exporttiles.domain.export import ExportArea, ExportRequest, StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path, write_bundle
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.readings import XYZ, FileOrder

WEB_MERCATOR = WEB_MERCATOR_256.spatial_reference


@cache
def a_tile(level: int, row: int, column: int, *, quality: int = 75) -> bytes:
    """Return a JPEG that differs from every other tile, with enough texture to recompress."""
    random = np.random.default_rng([level, row, column])
    coarse = random.integers(0, 256, (16, 16, 3), np.uint8)
    body = BytesIO()
    Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(body, "JPEG", quality=quality)
    return body.getvalue()


def put_files(objects: ObstoreObjects, max_level: int, *, folder: str = "World") -> None:
    """Store a world cache with one file for each tile, ``World/z/x/y.jpg``."""
    for level in range(max_level + 1):
        for row in range(2**level):
            for column in range(2**level):
                key = f"{folder}/{level}/{column}/{row}.jpg"
                objects.write(key, a_tile(level, row, column))


def put_bundles(objects: ObstoreObjects, max_level: int, *, folder: str = "World") -> None:
    """Store the same cache as a Compact Cache V2; levels to 7."""
    for level in range(max_level + 1):
        tiles = {(row, column): a_tile(level, row, column) for row in range(2**level) for column in range(2**level)}
        key = f"{folder}/{bundle_path(BundleIndex(level, 0, 0))}"
        objects.write(key, b"".join(write_bundle(tiles)))


def a_service(
    objects: ObstoreObjects, *, name: str = "World_Imagery", url: str = "memory:///", order: FileOrder = XYZ
) -> ImageService:
    """Return the cache in a store as a service."""
    inside = within(objects, url.rpartition("/")[2])
    return InspectCache(inside, read_cache, WEB_MERCATOR_256, order)(name, url).service


def an_extent(xmin: float, ymin: float, xmax: float, ymax: float) -> Extent:
    """Return a box in degrees."""
    return Extent(xmin, ymin, xmax, ymax, WGS84)


def a_request(
    service: ImageService,
    levels: range | tuple[int, ...],
    *,
    extent: Extent | None = None,
    area: Area | None = None,
    quality: int | None = None,
) -> ExportRequest:
    """Return a request for a tile package."""
    reference = service.tiling_scheme.spatial_reference
    box = extent.to(reference) if extent else service.full_extent
    return ExportRequest(
        service_name=service.name,
        areas=(ExportArea(area or Area.from_extent(box), tuple(levels)),),
        tile_package=True,
        storage_format=StorageFormat.COMPACT_V2,
        compression_quality=quality,
    )
