"""The objects of one export in a local folder, and the package that is joined from them.

A package is built in place: it begins with the large fragments in the order of
their work items, which is the order in which they are written. So they are
written where they belong, and not copied. One fragment is written while the
next is read.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import merge
from io import FileIO
from pathlib import Path

from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects, size_bytes
from exporttiles.domain.parts import MIN_PART_BYTES, CopiedPart, Part, WrittenPart, checked_parts
from exporttiles.ports.objects import StoredObject
from exporttiles.ports.tiles import Tile

_MAX_PIECES = 1024  # IOV_MAX of Linux


class LocalObjects(ObstoreObjects):
    """Objects as files; objects that can be parts of a package are appended to one file.

    Also a `PackageJoiner`. For a single writer.

    Attributes:
        folder: where all of it lies.

    Args:
        folder: an empty folder, not used by any other process.
        delivered: prefix of objects that are always files of their own.
        head_bytes: of the package before the first fragment, which are kept free.
    """

    def __init__(self, folder: Path, *, delivered: str = "packages/", head_bytes: int = 0) -> None:
        self.folder = folder
        self._files = folder / "files"
        self._files.mkdir()
        super().__init__(LocalStore(self._files))
        self._delivered = delivered
        self._parts = (folder / "parts").open("x+b", buffering=0)
        self._parts.truncate(head_bytes)
        self._head_bytes = head_bytes
        self._joined = folder / "joined"
        self._spans: dict[str, tuple[int, int]] = {}
        """Key of a part -> its bytes ``[start, stop)`` in the file of parts."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._written: Future[None] = self._writer.submit(_write, self._parts, [])

    def close(self) -> None:
        """Close the file of parts."""
        self._writer.shutdown()
        self._parts.close()

    def path(self, key: str) -> Path:
        """Return the path of a file or of a folder."""
        return self._files / key

    def write(self, key: str, body: bytes | Sequence[Tile]) -> None:
        """Store an object; errors of a large one are raised by the next write or read."""
        pieces: list[Tile] = [body] if isinstance(body, bytes) else [*body]
        if size_bytes(body) < MIN_PART_BYTES or key.startswith(self._delivered):
            path = self.path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb", buffering=0) as file:  # unbuffered: write errors such as a full disk are raised here
                _write(file, pieces)
        else:
            self._written.result()  # one at a time, to bound the memory
            start = self._parts.seek(0, os.SEEK_END)
            self._spans[key] = start, start + size_bytes(body)
            self._written = self._writer.submit(_write, self._parts, pieces)

    def create(self, key: str, body: bytes) -> bool:
        """Store an object. Return False if the key already exists."""
        is_free = not self.path(key).exists()
        if is_free:
            self.write(key, body)
        return is_free

    def read(self, key: str) -> bytes:
        """Return a whole object."""
        if key not in self._spans:
            return super().read(key)
        self._written.result()
        start, stop = self._spans[key]
        return os.pread(self._parts.fileno(), stop - start, start)

    def read_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> Iterator[memoryview]:
        """Yield byte ranges of one object."""
        if key not in self._spans:
            return super().read_ranges(key, ranges, version)
        self._written.result()
        begin, end = self._spans[key]
        spans = [(begin + start, min(begin + stop, end)) for start, stop in ranges]
        return (memoryview(os.pread(self._parts.fileno(), stop - start, start)) for start, stop in spans)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a prefix, in key order."""
        parts = [StoredObject(key, stop - start) for key, (start, stop) in sorted(self._spans.items())]
        found = (part for part in parts if part.key.startswith(prefix))
        return merge(found, super().list(prefix), key=lambda stored: stored.key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; the bytes of a part stay in the file of parts."""
        super().delete([key for key in keys if not self._spans.pop(key, None)])

    def begin(self, key: str) -> str:
        """Begin a package, which is joined in one call."""
        del key
        return ""

    def abort(self, key: str, upload_id: str) -> None:
        """Do nothing: an incomplete package is no file."""

    def join(
        self, key: str, upload_id: str, parts: Sequence[Part], crc32: int, has_time: Callable[[], bool] = lambda: True
    ) -> bool:
        """Join parts to one file; parts that are in place are not copied."""
        del crc32  # nothing between memory and this file could change a byte
        del upload_id, has_time
        self._written.result()
        checked = [part for _, part in checked_parts(parts)]
        end = self._put_head(checked)
        file = self._parts
        try:
            for part in checked[1:] if end else checked:
                start, stop = self._span(part)
                if file is not self._parts or start != end:
                    file = self._ending_at(end, file)
                    if isinstance(part, WrittenPart):
                        _write(file, [part.read()])
                    else:
                        _copy(self._parts, start, stop, file)
                end += part.size_bytes
            file = self._ending_at(end, file)
            self.path(key).parent.mkdir(parents=True, exist_ok=True)
            Path(file.name).rename(self.path(key))
        finally:
            if file is not self._parts:
                file.close()
                self._joined.unlink(missing_ok=True)
        return True

    def _put_head(self, parts: Sequence[Part]) -> int:
        """Write the first part over the bytes kept free, and over those of the first fragment, which it repeats.

        Returns:
            The end of the part; 0 if it is not such a part.
        """
        first, after = parts[0], self._span(parts[1])[0] if len(parts) > 1 else -1
        is_all = len(self._spans) == 1 and first.size_bytes == self._parts.seek(0, os.SEEK_END)
        if not self._head_bytes or isinstance(first, CopiedPart) or not (is_all or after == first.size_bytes):
            return 0
        os.pwrite(self._parts.fileno(), first.read(), 0)
        return first.size_bytes

    def _span(self, part: Part) -> tuple[int, int]:
        """Return the bytes of a copied part in the file of parts; -1 for others."""
        if not isinstance(part, CopiedPart):
            return -1, -1
        start = self._spans[part.key][0] + part.start
        return start, start + part.size_bytes

    def _ending_at(self, end: int, file: FileIO) -> FileIO:
        """Return a file that ends at an offset: the given one, or a copy of its beginning."""
        if file.seek(0, os.SEEK_END) == end:
            return file
        beginning = self._joined.open("xb", buffering=0)
        _copy(file, 0, end, beginning)
        return beginning


def _write(file: FileIO, pieces: list[Tile]) -> None:
    """Append pieces without joining them; remove each from the list, to free its memory."""
    while pieces:
        batch = pieces[:_MAX_PIECES]
        del pieces[:_MAX_PIECES]
        written = os.writev(file.fileno(), batch)
        if written < size_bytes(batch):  # one call writes 2 GiB at most
            left = memoryview(b"".join(batch))[written:]
            while left:
                left = left[file.write(left) :]


def _copy(source: FileIO, start: int, stop: int, target: FileIO) -> None:
    """Append bytes of one file to another, or to itself, in the kernel."""
    target.seek(0, os.SEEK_END)
    while start < stop:
        start += os.copy_file_range(source.fileno(), target.fileno(), stop - start, offset_src=start)
