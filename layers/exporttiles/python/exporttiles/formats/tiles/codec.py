"""Decoding tiles and recompressing JPEGs. `image` does not import Pillow, which would slow down cold starts."""

import struct
import zlib
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.tiles.image import (
    DAMAGED_WEBP,
    MAX_SCANS,
    MAX_SEGMENTS,
    MAX_SIDE_PIXELS,
    image_size,
    is_bomb,
    is_damaged_webp,
    sniff,
)

Steps = tuple[int, ...]
"""The 64 steps of a quantization table, in the order of Pillow."""

PNG_OPTIONS = {"compress_level": 3}
"""Measured for tiles of 256 pixels, against the usual level 6: photographs take 4.5 instead of 10.9 ms and 6 % fewer
bytes, drawings 3.5 instead of 6.4 ms and 5 % more bytes."""

IMAGERY_PNG_OPTIONS = {"compress_type": zlib.Z_RLE}
"""For photographs alone, which seldom repeat: against level 6, 3.5 instead of 20 ms and 7 % fewer bytes, because only
runs are sought; a drawing would take 6 % more bytes."""

_PNG_DEPTH_OFFSET = 24
_DEEP = 16
_PILLOW_FORMATS = ("JPEG", "PNG", "WEBP")
_MAX_BASELINE_STEP = 255
_TABLES = 64  # cached; the tiles of a cache share few
_UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, KeyError, struct.error, Image.DecompressionBombError)


def decode(data: bytes | memoryview) -> Image.Image:
    """Return the decoded picture of a JPEG, PNG or WebP tile.

    Raises:
        DamagedCacheError: it is none of them, cannot be decoded, or is larger than
            `MAX_SIDE_PIXELS`.
    """
    image = _open(data)
    _load(image)
    return image


def decode_whole(data: bytes) -> Image.Image:
    """Return the decoded picture of a tile that is to be encoded again: with 8 bits at most for each channel.

    Raises:
        DamagedCacheError: as `decode`, or the tile is a PNG of 16 bits for each channel.
    """
    image = decode(data)
    if image.format == "PNG" and data[_PNG_DEPTH_OFFSET] == _DEEP:
        raise DamagedCacheError("A PNG of 16 bits for each channel, which can only be copied.")
    return image


def recompress_jpeg(data: bytes, quality: int) -> bytes:
    """Return a JPEG tile at a lower quality, if that makes it smaller.

    Never coarser than asked for and never finer than the source: each step of
    quantization is the larger of the two. Chroma subsampling stays, metadata
    goes, Huffman tables are fitted to the tile. Other formats and CMYK tiles
    are returned as they are. Safe in threads.

    Args:
        data: an encoded tile of any format.
        quality: 1-95, on the scale of libjpeg.

    Returns:
        Fewer bytes than `data`, or the very same object.

    Raises:
        DamagedCacheError: the tile claims to be a JPEG and cannot be decoded.
    """
    if sniff(data) != "jpeg":
        return data
    image = _open(data)
    if not isinstance(image, JpegImageFile) or image.mode not in {"L", "RGB"}:
        return data
    source = _steps(image)
    target = _coarser(source, quality)
    if target == source:
        return data
    sampling = get_sampling(image)
    if not _is_stored_as_rgb(image):
        image.draft("YCbCr", image.size)  # the stored colours, unrounded; does nothing to grey
    _load(image)
    body = BytesIO()
    # Fitted Huffman tables save more than 15 points of quality do.
    image.save(body, "JPEG", qtables=target, subsampling=sampling, optimize=True, comment=b"")
    smaller = body.getvalue()
    return smaller if len(smaller) < len(data) else data


def jpeg_options(image: JpegImageFile, quality: int | None) -> dict[str, Any]:
    """Return the options to save a decoded JPEG with as it was stored.

    Args:
        image: from `decode`.
        quality: 1-95, on the scale of libjpeg, if it is to be coarser than it was.

    Raises:
        DamagedCacheError: a quantization table is missing.
    """
    steps = _steps(image)
    tables = steps if quality is None else _coarser(steps, quality)
    return {"qtables": tables, "subsampling": get_sampling(image), "optimize": True}


def estimate_jpeg_quality(data: bytes) -> int:
    """Return the quality, on the scale of libjpeg, whose luma steps are nearest a tile's.

    Raises:
        DamagedCacheError: it is not a JPEG that can be read.
    """
    image = _open(data)
    if not isinstance(image, JpegImageFile):
        raise DamagedCacheError("The tile is not a JPEG.")
    return _nearest_quality(_steps(image)[0])


@lru_cache(maxsize=_TABLES)
def _nearest_quality(luma: Steps) -> int:
    def distance(quality: int) -> int:
        steps = _quality_steps(quality)[0]
        return sum(abs(ours - theirs) for ours, theirs in zip(luma, steps, strict=True))

    return min(range(1, 101), key=distance)


def _open(data: bytes | memoryview) -> Image.Image:
    size = image_size(data)
    if size is None:
        raise DamagedCacheError("The tile has no readable JPEG, PNG or WebP header.")
    if not 0 < min(size) <= max(size) <= MAX_SIDE_PIXELS:
        raise DamagedCacheError(f"The tile claims to be {size[1]} x {size[0]} pixels large.")
    if sniff(data) == "jpeg" and is_bomb(data):
        raise DamagedCacheError(f"The tile has more than {MAX_SCANS} scans or {MAX_SEGMENTS:,} segments, or no scan.")
    if is_damaged_webp(data, len(data)):
        raise DamagedCacheError(f"The tile is {DAMAGED_WEBP}.")
    try:
        image = Image.open(BytesIO(data), formats=_PILLOW_FORMATS)
    except _UNREADABLE as error:
        raise DamagedCacheError(f"The tile cannot be read: {error}.") from error
    if (image.height, image.width) != size:
        raise DamagedCacheError("The tile has two headers with different sizes.")
    return image


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except _UNREADABLE as error:
        raise DamagedCacheError(f"The tile cannot be decoded: {error}.") from error


def _steps(image: JpegImageFile) -> tuple[Steps, ...]:
    """Return the quantization steps of luma, and of chroma if there is any."""
    try:
        return _finest(tuple(tuple(image.quantization[layer[3]]) for layer in image.layer))
    except KeyError as error:
        raise DamagedCacheError(f"The tile lacks quantization table {error}.") from error


@lru_cache(maxsize=_TABLES)
def _finest(tables: tuple[Steps, ...]) -> tuple[Steps, ...]:
    luma, chroma = tables[0], tables[1:]
    finest = [luma, *([tuple(map(min, *chroma))] if len(chroma) > 1 else [])]
    return tuple(tuple(min(step, _MAX_BASELINE_STEP) for step in table) for table in finest)


@lru_cache(maxsize=_TABLES)
def _coarser(source: tuple[Steps, ...], quality: int) -> tuple[Steps, ...]:
    return tuple(tuple(map(max, *pair)) for pair in zip(source, _quality_steps(quality), strict=False))


def _is_stored_as_rgb(image: JpegImageFile) -> bool:
    return image.info.get("adobe_transform") == 0 or [layer[0] for layer in image.layer] == list(b"RGB")


@cache
def _quality_steps(quality: int) -> list[Steps]:
    # From the codec itself, so that a quality means the same here as in other programs.
    body = BytesIO()
    Image.new("RGB", (8, 8)).save(body, "JPEG", quality=quality)
    return [tuple(table) for table in JpegImageFile(BytesIO(body.getvalue())).quantization.values()]
