"""The parts that a package is uploaded in.

Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from exporttiles.domain.errors import PackageError

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_PART_BYTES = 5 * 1024 * 1024 * 1024
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part that is an object already, copied by the store."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part that comes from memory."""

    body: bytes

    @property
    def size_bytes(self) -> int:
        """Return the length of the part."""
        return len(self.body)


Part = CopiedPart | WrittenPart


def check_part(part: Part, number: int, *, is_last: bool) -> None:
    """Refuse a part that the store would refuse; an emulator may be laxer.

    Args:
        part: what is about to be uploaded.
        number: its place, from 1.
        is_last: the last part may be as small as it likes.

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
    """Yield parts with their numbers, from 1, once it is known whether each is the last.

    Raises:
        PackageError: as `check_part`.
    """
    for number, (part, after) in enumerate(pairwise(chain(parts, [None])), start=1):
        if part is not None:
            check_part(part, number, is_last=after is None)
            yield number, part
