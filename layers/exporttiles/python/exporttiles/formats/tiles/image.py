"""Reading the format and the size of encoded tiles from their headers, without a decoder.

Source: ITU-T T.81 annex B (JPEG markers), PNG specification 11.2.2 (IHDR),
RFC 9649 (WebP) and RFC 6386 clause 9.1 (VP8 frame header).
"""

import struct
from collections.abc import Iterator
from typing import Literal

ImageFormat = Literal["jpeg", "png", "lerc", "webp"]

MAX_SIDE_PIXELS = 4096
"""Limit of width and height: a few bytes can claim to be a picture of gigabytes."""

MAX_SCANS = 100
"""Limit of the scans of a JPEG. Progressive ones have 10; each scan, however short, costs a pass over the picture."""

MAX_SEGMENTS = 1_000
"""Limit of the segments of a JPEG before its first scan; a dozen is usual."""

DAMAGED_WEBP = "WEBP, cut short or with a damaged header"
"""What `is_damaged_webp` finds, in words."""

_FILL, _START_OF_SCAN = 0xFF, 0xDA
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01}

_RIFF_HEADER_BYTES, _WEBP_CHUNK_OFFSET = 8, 20
_VP8_START, _VP8L_START = b"\x9d\x01\x2a", 0x2F
_SIDE_BITS = 0x3FFF


def sniff(data: bytes | memoryview) -> ImageFormat | None:
    """Return the image format by the first bytes of a tile; None if unknown."""
    if bytes(data[:3]) == b"\xff\xd8\xff":  # the most frequent by far
        return "jpeg"
    start = bytes(data[:12])
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith((b"Lerc2 ", b"CntZImage ")):
        return "lerc"
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return "webp"
    return None


def kind_of_compression(data: bytes | memoryview) -> str | None:
    """Return the compression by the first bytes of a tile; None if it is not compressed."""
    start = bytes(data[:4])
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if start == b"\x28\xb5\x2f\xfd" else None


def image_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """Return height and width in pixels from the header of a JPEG, PNG or WebP.

    Nothing is decoded. None if the header is incomplete, and for other formats.
    """
    found = _find_size(data)
    return found and found[:2]


def start_to_size(data: bytes | memoryview) -> bytes:
    """Return the beginning of a JPEG or PNG up to its size in pixels; b"" if there is none.

    Images that begin with the same bytes have the same format and size. There is none for a
    WebP, whose header holds its length.
    """
    found = _find_size(data)
    return bytes(data[: found[2]]) if found else b""


def _find_size(data: bytes | memoryview) -> tuple[int, int, int] | None:
    """Return height, width, and where in the header of a JPEG or PNG they end."""
    try:
        image = sniff(data)
        if image == "png":
            width, height = struct.unpack_from(">2I", data, 16)
            return height, width, 24
        if image == "webp":
            return _find_webp_size(data)
        return _find_jpeg_size(data) if image == "jpeg" else None
    except (IndexError, struct.error):
        return None


def is_damaged_webp(head: bytes | memoryview, size_bytes: int) -> bool:
    """Return True if a tile is a WebP that is shorter than its header states, or has no size in pixels.

    Args:
        head: the beginning of a tile of any format, at least 30 bytes if it has them.
        size_bytes: of the whole tile.
    """
    if sniff(head) != "webp":
        return False
    size = image_size(head)
    if size is None or 0 in size:
        return True
    (file_bytes,), (chunk_bytes,) = struct.unpack_from("<I", head, 4), struct.unpack_from("<I", head, 16)
    return bool(max(_RIFF_HEADER_BYTES + file_bytes, _WEBP_CHUNK_OFFSET + chunk_bytes) > size_bytes)


def is_bomb(data: bytes | memoryview) -> bool:
    """Check for decompression bombs: small JPEGs with too many scans or segments."""
    try:
        reaches_scan = any(marker == _START_OF_SCAN for marker, _ in _segments(data))
    except (IndexError, struct.error):
        return False  # it is cut short, and refused for that
    return not reaches_scan or bytes(data).count(b"\xff\xda") > MAX_SCANS


def _find_jpeg_size(data: bytes | memoryview) -> tuple[int, int, int] | None:
    for marker, at in _segments(data):
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">2H", data, at + 5)
            return height, width, at + 9
    return None


def _find_webp_size(data: bytes | memoryview) -> tuple[int, int, int] | None:
    chunk = bytes(data[12:16])
    if chunk == b"VP8X":
        width, width_high, height, height_high = struct.unpack_from("<HBHB", data, 24)
        return (height_high << 16 | height) + 1, (width_high << 16 | width) + 1, 0
    if chunk == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        return ((bits >> 14 & _SIDE_BITS) + 1, (bits & _SIDE_BITS) + 1, 0) if signature == _VP8L_START else None
    if chunk == b"VP8 ":
        tag, start, width, height = struct.unpack_from("<B2x3s2H", data, 20)
        is_key_frame = not tag & 1 and start == _VP8_START
        return (height & _SIDE_BITS, width & _SIDE_BITS, 0) if is_key_frame else None
    return None


def _segments(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Yield marker and offset of the segments of a JPEG to its first scan, `MAX_SEGMENTS` at most."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        if data[at] != _FILL:
            return
        marker = data[at + 1]
        if marker == _FILL:
            at += 1
            continue
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        at += 2 if marker in _WITHOUT_LENGTH else 2 + struct.unpack_from(">H", data, at + 2)[0]
