"""Caches for a proof. Their bundles are copies of one, so that little is uploaded."""

import math
from io import BytesIO
from itertools import islice, product

import numpy as np
from PIL import Image

from deployment.facts import Size
from deployment.stack import Stack
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.v2 import DATASET_RECORD_COUNT, bundle_path, write_bundle
from exporttiles.formats.packages.conf import LEVELS_FOLDER
from local.compact_cache import cache_documents
from local.services import exporttiles

LARGE, DAMAGED = "Prove_Large", "Prove_Damaged"
_QUALITY = 75


def level_of(bundle_count: int) -> int:
    """Return the first level that has so many bundles."""
    return 7 + math.ceil(math.log(bundle_count, 4))


def put_cache(stack: Stack, name: str, size: Size) -> None:
    """Put a cache into the tile bucket, and publish it.

    Args:
        stack: whose bucket it is.
        name: of the service.
        size: of the cache; all bundles are equal.
    """
    s3, bucket, level = stack.client("s3"), stack.outputs["TileBucketName"], level_of(size.bundles)
    side = 2 ** (level - 7)
    places = islice(product(range(side), range(side)), size.bundles)
    first, *others = [
        bundle_key(name, BundleIndex(level, row * PACKET_SIZE, column * PACKET_SIZE)) for row, column in places
    ]
    s3.put_object(Bucket=bucket, Key=first, Body=_bundle(round(size.bundle_megabytes * 1e6)))
    for key in others:
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": first})
    for document, body in cache_documents(level, _QUALITY).items():
        s3.put_object(Bucket=bucket, Key=f"caches/{name}/{document}", Body=body)
    exporttiles(stack, "publish", name, f"s3://{bucket}/caches/{name}", "--max-tiles", str(4**level))


def bundle_key(name: str, bundle: BundleIndex) -> str:
    """Return the key of a bundle of a cache."""
    return f"caches/{name}/{LEVELS_FOLDER}/{bundle_path(bundle)}"


def _bundle(size_bytes: int) -> bytes:
    """Return a bundle of about a size, in which all tiles are equal and hardly compressed."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    tile = BytesIO()
    Image.fromarray(noise).save(tile, "JPEG", quality=_QUALITY)
    count = max(1, min(PACKET_SIZE**2, size_bytes // len(tile.getvalue())))
    images = {divmod(number, PACKET_SIZE): tile.getvalue() for number in range(count)}
    return b"".join(write_bundle(images, record_count=DATASET_RECORD_COUNT))
