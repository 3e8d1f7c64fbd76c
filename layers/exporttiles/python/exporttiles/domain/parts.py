"""Parts of the multipart upload of a package.

Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

from exporttiles.domain.errors import PackageError

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_PART_BYTES = 5 * 1024 * 1024 * 1024
MAX_PARTS = 10_000
WRITTEN_PART_BYTES = 8 * MIN_PART_BYTES

COPIERS = 64
"""Parts that are copied at a time."""

COPY_BYTES_PER_SECOND = 50_000_000
"""Rate at which S3 copies one part, assumed: s3fs renamed a file of 4 GB in 72 s (57 MB/s) with one copy, and in 20 s
with several (https://github.com/s3fs-fuse/s3fs-fuse/pull/940)."""


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part that the store copies from an object, from a byte of it to its end."""

    key: str
    size_bytes: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part that passes through memory, read when its turn comes."""

    size_bytes: int
    read: Callable[[], bytes]

    @classmethod
    def of(cls, body: bytes) -> "WrittenPart":
        """Return a part that is in memory already."""
        return cls(len(body), lambda: body)


Part = CopiedPart | WrittenPart


@dataclass(frozen=True, slots=True)
class StoredPiece:
    """A piece of a package that is an object in the store.

    Attributes:
        key: of the object.
        size_bytes: its length.
        read: returns bytes ``[start, stop)`` of it.
    """

    key: str
    size_bytes: int
    read: Callable[[int, int], bytes]


def parts_of(pieces: Iterable[WrittenPart | StoredPiece]) -> Iterator[Part]:
    """Yield the parts of a package, given in pieces of any length.

    Objects that are long enough are copied. Others, and bytes in memory, are gathered
    to written parts, which take as much of the next object as they need.
    """
    waiting: list[WrittenPart] = []
    for piece in pieces:
        gathered_bytes = _size_bytes(waiting)
        if isinstance(piece, WrittenPart):
            waiting.append(piece)
        elif piece.size_bytes < MIN_PART_BYTES:
            waiting.append(WrittenPart(piece.size_bytes, partial(piece.read, 0, piece.size_bytes)))
        else:
            start = max(0, MIN_PART_BYTES - gathered_bytes) if waiting else 0
            if piece.size_bytes - start < MIN_PART_BYTES:
                start = piece.size_bytes
            if start:
                waiting.append(WrittenPart(start, partial(piece.read, 0, start)))
            if waiting:
                yield _joined(waiting)
                waiting = []
            if start < piece.size_bytes:
                yield CopiedPart(piece.key, piece.size_bytes - start, start)
        if _size_bytes(waiting) >= WRITTEN_PART_BYTES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _size_bytes(parts: Sequence[WrittenPart]) -> int:
    return sum(part.size_bytes for part in parts)


def _joined(parts: Sequence[WrittenPart]) -> WrittenPart:
    """Return one part of several."""
    return WrittenPart(_size_bytes(parts), lambda: b"".join(part.read() for part in parts))


def check_part(part: Part, number: int, *, is_last: bool) -> None:
    """Check a part against the limits of S3, which emulators may not enforce.

    Args:
        part: to be uploaded.
        number: of the part, from 1.
        is_last: the last part has no minimum size.

    Raises:
        PackageError: there are too many parts, or this one is too small or too large.
    """
    if number > MAX_PARTS:
        raise PackageError(f"A package has at most {MAX_PARTS:,} parts.")
    smallest = 1 if is_last else MIN_PART_BYTES
    if not smallest <= part.size_bytes <= MAX_PART_BYTES:
        raise PackageError(
            f"Part {number} of the package has {part.size_bytes} bytes; {smallest} to {MAX_PART_BYTES} are allowed."
        )


def checked_parts(parts: Iterable[Part]) -> Iterator[tuple[int, Part]]:
    """Yield checked parts with their numbers, from 1.

    Raises:
        PackageError: as `check_part`.
    """
    for number, (part, after) in enumerate(pairwise(chain(parts, [None])), start=1):
        if part is not None:
            check_part(part, number, is_last=after is None)
            yield number, part


def copy_seconds(size_bytes: int) -> float:
    """Return about how long S3 takes to join a package of a size from its parts."""
    return size_bytes / (COPIERS * COPY_BYTES_PER_SECOND)
