"""Parts of the multipart upload of a package.

Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from exporttiles.domain.errors import PackageError

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_PART_BYTES = 5 * 1024 * 1024 * 1024
MAX_PARTS = 10_000

COPIERS = 64
"""Parts that are copied at a time."""

COPY_BYTES_PER_SECOND = 50_000_000
"""Rate at which S3 copies one part, assumed: s3fs renamed a file of 4 GB in 72 s (57 MB/s) with one copy, and in 20 s
with several (https://github.com/s3fs-fuse/s3fs-fuse/pull/940)."""


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part that the store copies from an object."""

    key: str
    size_bytes: int


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
