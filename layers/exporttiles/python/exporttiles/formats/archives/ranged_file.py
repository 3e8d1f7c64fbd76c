"""Files that are read by byte ranges, on a disk or in a store."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

Span = tuple[int, int]
"""Bytes ``[start, stop)`` of a file."""

_BATCH_RANGES = 256
_BATCH_BYTES = 64 * 2**20
"""Limits of one request: its ranges are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class RangedFile:
    """A file of a known length.

    Attributes:
        size_bytes: its length; ranges are cut to it.
        read_ranges: yields ranges of it, in their order.
        known: offset -> bytes that have been read before, for readers that keep them.
    """

    size_bytes: int
    read_ranges: Callable[[Sequence[Span]], Iterator[bytes | memoryview]]
    known: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, file: BinaryIO) -> "RangedFile":
        """Return a seekable binary file as a ranged file."""

        def read_ranges(spans: Sequence[Span]) -> Iterator[bytes]:
            for start, stop in spans:
                file.seek(start)
                yield file.read(stop - start)

        return cls(file.seek(0, 2), read_ranges)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``; fewer if the file ends before."""
        return bytes(next(self.ranges([(start, stop)])))

    def ranges(self, spans: Iterable[Span]) -> Iterator[bytes | memoryview]:
        """Yield bytes ``[start, stop)`` in the order of the spans; fewer where the file ends before.

        Only one batch of them is in memory at a time.
        """
        inside = ((start, max(start, min(stop, self.size_bytes))) for start, stop in spans)
        for batch in _batches(inside):
            found = self.read_ranges([(start, stop) for start, stop in batch if start < stop])
            for start, stop in batch:
                yield next(found) if start < stop else b""


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A file inside of a `RangedFile`: a member of an archive, or a file of a folder.

    Attributes:
        header_offset: where its local header begins in an archive.
        offset: where its contents begin.
        is_plain: the contents are neither compressed nor encrypted. Of other
            members only the name is known.
    """

    name: str
    size_bytes: int
    crc32: int
    header_offset: int
    offset: int
    is_plain: bool = True

    def head(self, size_bytes: int) -> Span:
        """Return the span of its first bytes, fewer if it is shorter."""
        return self.offset, self.offset + min(size_bytes, self.size_bytes)


def _batches(spans: Iterable[Span]) -> Iterator[list[Span]]:
    batch: list[Span] = []
    size_bytes = 0
    for start, stop in spans:
        if len(batch) >= _BATCH_RANGES or (batch and size_bytes + stop - start > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append((start, stop))
        size_bytes += stop - start
    if batch:
        yield batch
