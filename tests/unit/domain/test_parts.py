"""Parts of a package obey the limits of S3, which emulators do not enforce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain import parts
from exporttiles.domain.errors import PackageError
from exporttiles.domain.parts import (
    MAX_PART_BYTES,
    MAX_PARTS,
    MIN_PART_BYTES,
    CopiedPart,
    StoredPiece,
    WrittenPart,
    check_part,
    checked_parts,
    parts_of,
)


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


def stored(body, reads=None):
    """An object whose key is its body."""

    def read(start, stop):
        if reads is not None:
            reads.append(stop - start)
        return body[start:stop].encode()

    return StoredPiece(body, len(body), read)


def body_of(part):
    return part.key.encode()[part.start :] if isinstance(part, CopiedPart) else part.read()


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), min_size=1, max_size=20))
def test_parts_of_any_pieces_are_legal_and_make_the_same_package(pieces):
    letters = [(is_stored, chr(97 + number) * size) for number, (is_stored, size) in enumerate(pieces)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MIN_PART_BYTES", 10)
        patch.setattr(parts, "WRITTEN_PART_BYTES", 25)
        reads = []

        made = list(
            parts_of(stored(body, reads) if is_stored else WrittenPart.of(body.encode()) for is_stored, body in letters)
        )

        assert [number for number, _ in checked_parts(made)] == list(range(1, len(made) + 1))
        assert b"".join(map(body_of, made)) == "".join(body for _, body in letters).encode()
        assert all(part.size_bytes == len(body_of(part)) for part in made)
        assert max(reads, default=0) < 2 * 10


def test_large_objects_are_copied_whole_and_small_neighbours_gathered():
    large, small = "a" * MIN_PART_BYTES * 2, "b"

    made = list(parts_of([stored(large), stored(large), stored(small), stored(small), WrittenPart.of(b"directory")]))

    assert made[:2] == [CopiedPart(large, len(large))] * 2
    assert body_of(made[2]) == b"bbdirectory"


def test_bytes_before_a_large_object_take_of_it_what_a_part_needs():
    large = "a" * MIN_PART_BYTES * 3

    head, rest, tail = parts_of([WrittenPart.of(b"head"), stored(large), WrittenPart.of(b"tail")])

    assert (head.size_bytes, body_of(head)[:5]) == (MIN_PART_BYTES, b"heada")
    assert rest == CopiedPart(large, len(large) - MIN_PART_BYTES + 4, MIN_PART_BYTES - 4)
    assert body_of(tail) == b"tail"
