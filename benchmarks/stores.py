"""Stores that count requests, and hold packages larger than this machine."""

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from obstore.store import LocalStore
from zlib_ng.zlib_ng import crc32, crc32_combine

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.parts import CopiedPart, Part, checked_parts
from exporttiles.domain.plan import PlannedBundle
from exporttiles.formats.archives.zip_writer import ZipMember, local_header
from exporttiles.formats.bundles.v2 import (
    EMPTY_SLOT,
    HEADER_BYTES,
    RECORDS_OFFSET,
    bundle_path,
    parse_bundle_path,
    write_bundle,
)
from exporttiles.messages.fragment_report import FragmentReport
from tests.fakes import FakePackages

_FILE_SIZE = slice(24, 32)  # in the header of a bundle
_CHUNK_BYTES = 16 * 2**20


class CountedStore(ObstoreObjects):
    """A folder with the interface of S3.

    Attributes:
        folder: root of the store.
        requests: GET and PUT -> how many there were.
        transferred: GET and PUT -> bytes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(LocalStore(folder, mkdir=True))
        self.folder = folder
        self.requests: Counter[str] = Counter()
        self.transferred: Counter[str] = Counter()
        self._lock = Lock()

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        body = super().read(key)
        self._count("GET", len(body))
        return body

    def read_start(self, key: str, size_bytes: int) -> tuple[memoryview, int]:
        """Return the first bytes of an object, and its whole length."""
        found = super().read_start(key, size_bytes)
        self._count("GET", len(found[0]))
        return found

    def write(self, key: str, body: Any) -> None:
        """Store an object, given as bytes or as pieces."""
        super().write(key, body)
        self._count("PUT", len(body) if isinstance(body, bytes) else sum(map(len, body)))

    def create(self, key: str, body: bytes) -> bool:
        """Store an object if the key is free."""
        self._count("PUT", len(body))
        return super().create(key, body)

    def forget(self) -> None:
        """Set the counts to zero."""
        self.requests.clear()
        self.transferred.clear()

    def copy_part(self, key: str, start: int, package: str, offset: int) -> None:
        """Write a fragment, from a byte of it, to its place in a package."""
        with (self.folder / key).open("rb") as source, (self.folder / package).open("r+b") as target:
            source.seek(start)
            while copied := os.copy_file_range(source.fileno(), target.fileno(), _CHUNK_BYTES, offset_dst=offset):
                offset += copied

    def _read_range(self, key: str, span: tuple[int, int], version: str | None) -> memoryview:
        body = super()._read_range(key, span, version)
        self._count("GET", len(body))
        return body

    def _size_if_there(self, key: str) -> int | None:
        self._count("GET", 0)
        return super()._size_if_there(key)

    def _count(self, method: str, size_bytes: int) -> None:
        with self._lock:
            self.requests[method] += 1
            self.transferred[method] += size_bytes


class SimulatedStore(CountedStore):
    """Fragments that were never written: their bytes are generated when they are read.

    A bundle is an index of all its tiles, the first tile, and zeros.

    Args:
        folder: folder of all other objects; a package joined from such fragments is a sparse file there.
        tile: the first tile of every bundle, an encoded image.
        tile_bytes: size of a tile; at least that of the image and its size prefix.
    """

    selection: ExportSelection
    """The tiles of the job."""

    def __init__(self, folder: Path, tile: bytes, tile_bytes: int) -> None:
        super().__init__(folder)
        self._tile_bytes = tile_bytes
        self._template = b"".join(write_bundle({(0, 0): tile}))
        self._reports: dict[str, str] = {}  # fragment -> report
        self._parts: dict[str, list[tuple[int, str]]] = {}  # package -> offset of a part, and its report
        self._report = lru_cache(64)(lambda key: FragmentReport.from_json(ObstoreObjects.read(self, key)))
        self._start = lru_cache(256)(self._start_of_bundle)
        self._checksum = lru_cache(256)(self._checksum_of_bundle)

    def member(self, bundle: PlannedBundle) -> ZipMember:
        """Return a generated bundle."""
        mask = self.selection.mask(bundle.index).tobytes()
        size_bytes = bundle.size_bytes(self._tile_bytes)
        return ZipMember(f"tile/{bundle_path(bundle.index)}", size_bytes, self._checksum(mask, size_bytes))

    def hold(self, key: str, report_key: str, size_bytes: int) -> None:
        """Register a fragment by its report."""
        self._reports[key] = report_key
        self._count("PUT", size_bytes)

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        if key not in self._reports:
            return super().read(key)
        report = self._report(self._reports[key])
        body = memoryview(bytearray(report.fragment_bytes))
        self._lay(report, 0, body)
        self._count("GET", len(body))
        return bytes(body)

    def copy_part(self, key: str, start: int, package: str, offset: int) -> None:
        """Register the place of a fragment in a package."""
        del start  # always 0: nothing stands before the fragments of an archive
        self._parts.setdefault(package, []).append((offset, self._reports[key]))

    def make_real(self, package: str) -> None:
        """Write the first and the last bundle into the sparse file of a package, for readers that need a file."""
        offset, report_key = self._parts[package][-1]
        for start in (0, offset + self._report(report_key).members[-1].header_offset):
            body = self._read_range(package, (start, start + len(self._template) + self._tile_bytes), None)
            with (self.folder / package).open("r+b") as file:
                os.pwrite(file.fileno(), body, start)

    def _read_range(self, key: str, span: tuple[int, int], version: str | None) -> memoryview:
        body = super()._read_range(key, span, version)
        parts = self._parts.get(key, [])
        if parts:
            body = memoryview(bytearray(body))
        first = max(0, bisect_right(parts, span[0], key=itemgetter(0)) - 1)
        for offset, report_key in takewhile(lambda part: part[0] < span[1], parts[first:]):
            self._lay(self._report(report_key), offset - span[0], body)
        return body

    def _lay(self, report: FragmentReport, offset: int, body: memoryview) -> None:
        """Copy a fragment, except for its zeros, into a buffer, at an offset that may be negative."""
        for member in report.members:
            header = local_header(ZipMember(member.name, member.size_bytes, member.crc32))
            at = offset + member.header_offset
            if at < len(body) and at + len(header) + len(self._template) > 0:
                mask = self.selection.mask(parse_bundle_path(member.name.removeprefix("tile/"))).tobytes()
                for piece, place in ((header, at), (self._start(mask, member.size_bytes), at + len(header))):
                    start, stop = max(0, place), min(len(body), place + len(piece))
                    if start < stop:
                        body[start:stop] = piece[start - place : stop - place]

    def _start_of_bundle(self, mask: bytes, size_bytes: int) -> bytes:
        start = np.frombuffer(self._template, np.uint8).copy()
        start[_FILE_SIZE] = np.frombuffer(size_bytes.to_bytes(8, "little"), np.uint8)
        index = start[HEADER_BYTES:RECORDS_OFFSET].view("<u8")
        first, slots = index[0], np.flatnonzero(np.frombuffer(mask, np.bool_))
        index[:] = EMPTY_SLOT
        index[slots] = first + np.arange(len(slots), dtype=np.uint64) * self._tile_bytes
        return start.tobytes()

    def _checksum_of_bundle(self, mask: bytes, size_bytes: int) -> int:
        checksum, left = crc32(self._start(mask, size_bytes)), size_bytes - len(self._template)
        zeros, length = crc32(b"\0"), 1
        while left:
            if left & 1:
                checksum = crc32_combine(checksum, zeros, length)
            zeros, length, left = crc32_combine(zeros, zeros, length), 2 * length, left >> 1
        return int(checksum)


class FolderPackages(FakePackages):
    """Packages joined in the folder of a store, by the rules of S3 without its checksums.

    Attributes:
        parts: how many there were.
    """

    def __init__(self, objects: CountedStore) -> None:
        super().__init__(objects)
        self._store = objects
        self.parts = 0

    def join(
        self, key: str, upload_id: str, parts: Sequence[Part], crc32: int, has_time: Callable[[], bool] = lambda: True
    ) -> bool:
        """Join parts into one file, without its checksum: a hole of a terabyte would be read for it."""
        del upload_id, crc32, has_time
        path = self._store.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        end = 0
        for self.parts, part in checked_parts(parts):
            if isinstance(part, CopiedPart):
                self._store.copy_part(part.key, part.start, key, end)
            else:
                self.written_bytes += part.size_bytes
                with path.open("r+b") as package:
                    os.pwrite(package.fileno(), part.read(), end)
            end += part.size_bytes
        return True
