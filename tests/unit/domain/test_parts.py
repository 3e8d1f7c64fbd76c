"""Parts of a package obey the limits of S3, which emulators do not enforce."""

import pytest

from exporttiles.domain.errors import PackageError
from exporttiles.domain.parts import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES, CopiedPart, WrittenPart, check_part


def copied(size_bytes):
    return CopiedPart("fragment", size_bytes)


@pytest.mark.parametrize(
    ("part", "number", "is_last"),
    [
        (copied(MIN_PART_BYTES), 1, False),
        (copied(MAX_PART_BYTES), 2, False),
        (copied(MIN_PART_BYTES), MAX_PARTS, True),
        (WrittenPart.of(b"x"), 1, True),
    ],
)
def test_legal_parts_pass(part, number, is_last):
    check_part(part, number, is_last=is_last)


@pytest.mark.parametrize(
    ("part", "number", "is_last", "words"),
    [
        (copied(MIN_PART_BYTES - 1), 1, False, "5242879 bytes"),
        (WrittenPart.of(b"x"), 3, False, "Part 3"),
        (copied(MAX_PART_BYTES + 1), 1, True, "5368709121 bytes"),
        (WrittenPart.of(b""), 1, True, "0 bytes"),
        (copied(MIN_PART_BYTES), MAX_PARTS + 1, True, "at most 10,000 parts"),
    ],
)
def test_parts_beyond_the_limits_of_s3_are_refused(part, number, is_last, words):
    with pytest.raises(PackageError, match=words):
        check_part(part, number, is_last=is_last)
