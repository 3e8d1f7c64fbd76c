"""The index of a mosaic: an object beside the descriptor of a service, which lists its rasters.

It begins with a header (little-endian): the magic bytes, the number of files, the number of their boxes, and the
lengths of two sections that follow, compressed with zlib: the keys of the files, a JSON list; and the numbers:
owners (int32), boxes (float64) and, for each file, where its record ends (int64). The records follow, so that those
of a few files are read by ranges. A record is compressed with zlib, too: a line of JSON with the ETag, the length of
the file, and the offsets and lengths of bytes of it; then these bytes.
"""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.mosaic import OpenedFile
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.byte_ranges import coalesce, slice_records

_MAGIC = b"MOSAIC1\n"
_HEADER = struct.Struct("<8sIIII")

_MAX_FILES = 100_000
_MAX_BOXES = 2 * _MAX_FILES
_MAX_KEY_BYTES = 1_100  # of JSON, for each file
_MAX_RECORD_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Table:
    keys: list[str]
    owners: NDArray[np.int32]
    boxes: NDArray[np.float64]
    ends: NDArray[np.int64]


def write_index(files: MosaicFiles) -> bytes:
    """Return the index of some rasters."""
    records = [_write_record(opened) for opened in files.opened(range(len(files)))]
    keys = zlib.compress(json.dumps(list(files.keys), ensure_ascii=False).encode(errors="surrogatepass"))
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    arrays = (files.owners.astype("<i4"), files.boxes.astype("<f8"), ends.astype("<i8"))
    numbers = zlib.compress(b"".join(values.tobytes() for values in arrays))
    header = _HEADER.pack(_MAGIC, len(files), len(files.owners), len(keys), len(numbers))
    return b"".join([header, keys, numbers, *records])


def read_index(file: RangedFile) -> MosaicFiles:
    """Return the rasters of an index; their records are read when they are wanted.

    Raises:
        DamagedCacheError: it cannot be used.
        SourceError: the store failed or did not answer.
    """
    try:
        table, records_start = _read_table(file.read)
    except (RecursionError, struct.error, ValueError, zlib.error) as error:
        raise DamagedCacheError(f"It is not the index of a mosaic: {error}.") from error
    starts = records_start + np.concatenate([[0], table.ends[:-1]])
    stops = records_start + table.ends

    def opened(numbers: Sequence[int]) -> Sequence[OpenedFile]:
        wanted = np.array(numbers, np.int64)
        offsets, sizes = starts[wanted], stops[wanted] - starts[wanted]
        ranges = coalesce(offsets, sizes, overfetch=1.0)
        return [_read_record(bytes(body)) for body in slice_records(ranges, file.ranges(ranges), offsets, sizes)]

    return MosaicFiles(table.keys, table.owners, table.boxes, opened)


def _read_table(read: Callable[[int, int], bytes]) -> tuple[_Table, int]:
    """Return the table of an index, and where its records start."""
    magic, file_count, box_count, key_bytes, number_bytes = _HEADER.unpack(read(0, _HEADER.size))
    if magic != _MAGIC or file_count > _MAX_FILES or box_count > _MAX_BOXES:
        raise ValueError("its first bytes are not those of one")
    keys_start, numbers_start = _HEADER.size, _HEADER.size + key_bytes
    keys = json.loads(_expanded(read(keys_start, numbers_start), file_count * _MAX_KEY_BYTES + 2))
    size_bytes = 36 * box_count + 8 * file_count
    body = _expanded(read(numbers_start, numbers_start + number_bytes), size_bytes)
    if len(body) != size_bytes or not isinstance(keys, list) or len(keys) != file_count:
        raise ValueError("its table is cut short")
    owners = np.frombuffer(body, "<i4", box_count)
    boxes = np.frombuffer(body, "<f8", 4 * box_count, 4 * box_count).reshape(-1, 4)
    ends = np.frombuffer(body, "<i8", file_count, 36 * box_count)
    if (np.diff(owners, prepend=0) < 0).any() or (np.diff(ends, prepend=0) < 0).any() or (owners >= file_count).any():
        raise ValueError("its table is not in order")
    if not np.isfinite(boxes).all():
        raise ValueError("a box of it is not finite")
    return _Table([str(key) for key in keys], owners, boxes, ends), numbers_start + number_bytes


def _write_record(opened: OpenedFile) -> bytes:
    spans = [(at, len(body)) for at, body in opened.known.items()]
    head = json.dumps({"version": opened.version, "sizeBytes": opened.size_bytes, "known": spans})
    return zlib.compress(b"".join([head.encode(), b"\n", *opened.known.values()]))


def _read_record(body: bytes) -> OpenedFile:
    try:
        head, _, rest = _expanded(body, _MAX_RECORD_BYTES).partition(b"\n")
        document, known, start = json.loads(head), {}, 0
        for at, length in document["known"]:
            known[int(at)] = rest[start : start + int(length)]
            start += int(length)
        return OpenedFile(str(document["version"]), int(document["sizeBytes"]), known)
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError, zlib.error) as error:
        raise DamagedCacheError(f"A record of the index of the mosaic cannot be used: {error}.") from error


def _expanded(body: bytes, most_bytes: int) -> bytes:
    """Return bytes that were compressed.

    Raises:
        ValueError: they are cut short, or more than a limit.
    """
    stream = zlib.decompressobj()
    found = stream.decompress(body, most_bytes + 1)
    if not stream.eof:
        raise ValueError("it is cut short, or too large")
    return found
