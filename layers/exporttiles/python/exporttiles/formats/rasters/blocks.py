"""Decoding the blocks of a TIFF picture to arrays of bytes.

libtiff, in Pillow, decompresses what Python has no codec for: each block is
wrapped into a TIFF of its own, with sizes that were checked. JPEG and WebP
blocks are pictures themselves.
"""

import struct
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.wording import counted
from exporttiles.formats.rasters.directory import Directory, Tag
from exporttiles.formats.tiles.image import image_size, is_bomb

Samples = NDArray[np.generic]
"""(rows, columns, bands) samples of a block."""

_NONE, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _ZSTD, _WEBP = (
    1, 5, 7, 8, 32946, 32773, 34925, 50000, 50001,
)  # fmt: skip
COMPRESSIONS = {
    _NONE: "none",
    _LZW: "LZW",
    _JPEG: "JPEG",
    _DEFLATE: "Deflate",
    _OLD_DEFLATE: "Deflate",
    _PACKBITS: "PackBits",
    _LZMA: "LZMA",
    _ZSTD: "ZSTD",
    _WEBP: "WebP",
}
"""Compressions that can be read."""

PICTURES = frozenset({_JPEG, _WEBP})
"""Compressions whose blocks are pictures of their own."""

_UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, KeyError, struct.error, Image.DecompressionBombError)
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_BLACK_IS_ZERO, _YCBCR = 1, 6


def decode_block(directory: Directory, data: bytes | memoryview, row: int) -> Samples:
    """Return the samples of one block; of one band if the bands are stored apart.

    Args:
        directory: of the picture.
        data: the block as it is stored.
        row: of the block in the grid of blocks.

    Raises:
        DamagedCacheError: it cannot be decoded.
    """
    shape = (directory.block_rows(row), directory.block_shape[1], 1 if directory.is_planar else directory.bands)
    try:
        if directory.compression in PICTURES:
            return _samples(decode_picture(directory, data), shape)
        if directory.bits[0] < 8:
            return _bits(directory, data, shape)
        kind = np.dtype(f"{directory.byte_order}{'uif'[directory.sample_format - 1]}{directory.bits[0] // 8}")
        row_bytes = shape[1] * shape[2] * kind.itemsize
        body = _decompressed(directory.compression, data, row_bytes, shape[0])
        return _undo_predictor(directory.predictor, np.frombuffer(body, np.uint8).reshape(shape[0], -1), kind, shape)
    except _UNREADABLE as error:
        raise DamagedCacheError(f"A block cannot be decoded: {error}.") from error


def _decompressed(compression: int, data: bytes | memoryview, row_bytes: int, rows: int) -> bytes | memoryview:
    """Return the bytes of a block.

    Raises:
        DamagedCacheError: they are fewer than they should be.
    """
    size_bytes = row_bytes * rows
    if compression == _NONE:
        body: bytes | memoryview = data[:size_bytes]
    elif compression in {_DEFLATE, _OLD_DEFLATE}:
        try:
            body = zlib.decompressobj().decompress(data, size_bytes)
        except zlib.error as error:
            raise DamagedCacheError(f"A block cannot be decoded: {error}.") from error
    else:
        body = _by_libtiff(compression, data, row_bytes, rows, bits=8)
    if len(body) != size_bytes:
        raise DamagedCacheError(f"A block has {counted(len(body), 'byte')} instead of {size_bytes:,}.")
    return body


def _by_libtiff(compression: int, data: bytes | memoryview, width: int, rows: int, bits: int) -> bytes:
    """Return the bytes of a block, as if it were a gray picture."""
    entries = [
        (Tag.WIDTH, 4, width),
        (Tag.HEIGHT, 4, rows),
        (Tag.BITS, 3, bits),
        (Tag.COMPRESSION, 3, compression),
        (Tag.PHOTOMETRIC, 3, 1),
        (Tag.STRIP_OFFSETS, 4, 8),
        (Tag.BANDS, 3, 1),
        (Tag.ROWS_PER_STRIP, 4, rows),
        (Tag.STRIP_SIZES, 4, len(data)),
    ]
    at = 8 + len(data) + len(data) % 2
    file = bytearray(struct.pack("<2sHI", b"II", 42, at))
    file += data
    file += bytes(at - len(file)) + struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        file += struct.pack("<HHII", tag, kind, 1, value)
    image = Image.open(BytesIO(bytes(file + bytes(4))), formats=("TIFF",))
    image.load()
    return image.tobytes()


def _undo_predictor(
    predictor: int, rows: NDArray[np.uint8], kind: np.dtype[np.generic], shape: tuple[int, int, int]
) -> Samples:
    """Return samples from rows of bytes (n, bytes), as section 14 of TIFF 6.0 and Adobe's technical note 3 define."""
    if predictor == 3:
        planes = _added(rows.reshape(shape[0], -1, shape[2])).reshape(shape[0], kind.itemsize, -1)
        ordered = planes.transpose(0, 2, 1)  # the most significant byte first
        return np.ascontiguousarray(ordered).view(kind.newbyteorder(">")).reshape(shape)
    if predictor == 2:  # of the bits, also where these are floating-point numbers
        integers = np.dtype(f"{kind.byteorder}u{kind.itemsize}")
        found: Samples = _added(rows.view(integers).reshape(shape).astype(integers.newbyteorder("="), copy=False))
        return found.view(kind.newbyteorder("="))
    return rows.view(kind).reshape(shape)


def _added(differences: Samples) -> Samples:
    sums: Samples = np.add.accumulate(differences, axis=1, dtype=differences.dtype)
    return sums


def _bits(directory: Directory, data: bytes | memoryview, shape: tuple[int, int, int]) -> Samples:
    """Return a block of samples of less than a byte; each row begins with a byte."""
    bits = directory.bits[0]
    row_bits = shape[1] * shape[2] * bits
    row_bytes = -(-row_bits // 8)
    body = _decompressed(directory.compression, data, row_bytes, shape[0])
    unpacked = np.unpackbits(np.frombuffer(body, np.uint8).reshape(shape[0], row_bytes), axis=1)
    weights = np.left_shift(1, np.arange(bits)[::-1]).astype(np.uint8)
    return unpacked[:, :row_bits].reshape(*shape, bits) @ weights


def decode_picture(directory: Directory, data: bytes | memoryview) -> Image.Image:
    """Return a block that is a JPEG or WebP as a picture.

    Raises:
        DamagedCacheError: it cannot be decoded.
    """
    is_jpeg = directory.compression == _JPEG
    body = jpeg_start(directory) + bytes(data[2:]) if is_jpeg else bytes(data)
    size = image_size(body)
    if size is None or size[0] > directory.block_shape[0] or size[1] != directory.block_shape[1]:
        shown = f"{size[1]} x {size[0]} pixels" if size else "of unknown size"
        raise DamagedCacheError(f"A block of {directory.block_shape[1]} pixels in width is {shown}.")
    if is_jpeg and is_bomb(body):
        raise DamagedCacheError("A JPEG block has too many scans or segments.")
    try:
        image = Image.open(BytesIO(body), formats=("JPEG" if is_jpeg else "WEBP",))
        image.load()
    except _UNREADABLE as error:
        raise DamagedCacheError(f"A block cannot be decoded: {error}.") from error
    return image


def _samples(image: Image.Image, shape: tuple[int, int, int]) -> Samples:
    samples: Samples = np.asarray(image)
    if image.mode == "CMYK":  # four bands; Pillow inverts them, as Adobe does
        samples = 255 - samples.astype(np.uint8)
    samples = samples.reshape(*samples.shape[:2], -1)
    if samples.shape != shape:
        raise DamagedCacheError(f"A block has {samples.shape[2]} bands instead of {shape[2]}.")
    return samples


def is_plain_jpeg(directory: Directory) -> bool:
    """Return True if blocks are JPEGs in the colours that every reader of tiles expects: gray or YCbCr."""
    is_common = (directory.photometric, directory.bands) in {(_BLACK_IS_ZERO, 1), (_YCBCR, 3)}
    return directory.compression == _JPEG and directory.is_tiled and is_common


def jpeg_start(directory: Directory) -> bytes:
    """Return the header that replaces the first two bytes of JPEG blocks: a marker of their colours, and shared tables.

    Source: TIFF Technical Note 2 (1995), and the Adobe marker of ITU-T T.872, clause 6.5.3.
    """
    tables = directory.data(Tag.JPEG_TABLES)
    shared = tables[2:-2] if tables.startswith(_SOI) and tables.endswith(_EOI) else b""
    samples = 1 if directory.is_planar else directory.bands
    transform = 1 if directory.photometric == _YCBCR else 0
    colours = b"" if samples == 1 else b"\xff\xee\x00\x0eAdobe" + struct.pack(">HHHB", 100, 0, 0, transform)
    return _SOI + colours + shared
