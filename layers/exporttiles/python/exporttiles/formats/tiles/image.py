"""Reading the format and the size of encoded tiles from their headers, without a decoder.

Source: ITU-T T.81 annex B (JPEG markers), PNG specification 11.2.2 (IHDR).
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

_FILL, _START_OF_SCAN = 0xFF, 0xDA
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01}


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
    """Return height and width in pixels from the header of a JPEG or PNG.

    Nothing is decoded. None if the header is incomplete, and for other formats.
    """
    found = _find_size(data)
    return found and found[:2]


def start_to_size(data: bytes | memoryview) -> bytes:
    """Return the beginning of a JPEG or PNG up to its size in pixels; b"" if there is none.

    Images that begin with the same bytes have the same format and size.
    """
    found = _find_size(data)
    return bytes(data[: found[2]]) if found else b""


def _find_size(data: bytes | memoryview) -> tuple[int, int, int] | None:
    """Return height, width, and where in the header they end."""
    try:
        image = sniff(data)
        if image == "png":
            width, height = struct.unpack_from(">2I", data, 16)
            return height, width, 24
        return _find_jpeg_size(data) if image == "jpeg" else None
    except (IndexError, struct.error):
        return None


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
