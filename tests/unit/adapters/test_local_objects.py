"""LocalObjects: large fragments are written to their final place in the package."""

import errno
import os
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.adapters import local_objects
from exporttiles.adapters.local_objects import LocalObjects
from exporttiles.domain.parts import CopiedPart, WrittenPart
from exporttiles.ports.objects import StoredObject
from tests.fakes import join

SMALLEST = 8


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("exporttiles.domain.parts.MIN_PART_BYTES", SMALLEST)
    monkeypatch.setattr(local_objects, "MIN_PART_BYTES", SMALLEST)


def a_fragment(number):
    return f"fragment{number}".encode() * (number + 1)


@pytest.fixture
def copied(monkeypatch):
    """Bytes that were copied by the kernel."""
    spans, copy = [], os.copy_file_range

    def counted(source, target, count, **options):
        spans.append(count)
        return copy(source, target, count, **options)

    monkeypatch.setattr(os, "copy_file_range", counted)
    return spans


def test_parts_in_the_order_they_were_written_are_not_copied(tmp_path, copied):
    with closing(LocalObjects(tmp_path)) as objects:
        parts = []
        for number in range(3):
            objects.write(f"jobs/{number}", a_fragment(number))
            objects.write(f"jobs/{number}.json", b"{}")
            parts.append(CopiedPart(f"jobs/{number}", len(a_fragment(number))))

        join(objects, "packages/a.tpkx", [*parts, WrittenPart.of(b"the first of the tail"), WrittenPart.of(b"end")], 0)

        whole = b"".join(map(a_fragment, range(3))) + b"the first of the tail" + b"end"
        assert objects.path("packages/a.tpkx").read_bytes() == objects.read("packages/a.tpkx") == whole
        assert copied == []


def test_a_head_is_written_over_the_bytes_kept_free(tmp_path, copied):
    with closing(LocalObjects(tmp_path, head_bytes=4)) as objects:
        for number in (2, 3):
            objects.write(f"jobs/{number}", a_fragment(number))
        first = WrittenPart(4 + SMALLEST, lambda: b"HEAD" + next(objects.read_ranges("jobs/2", [(0, SMALLEST)])))
        rest = CopiedPart("jobs/2", len(a_fragment(2)) - SMALLEST, SMALLEST)

        join(objects, "packages/a", [first, rest, CopiedPart("jobs/3", len(a_fragment(3))), WrittenPart.of(b"tail")], 0)

        assert objects.read("packages/a") == b"HEAD" + a_fragment(2) + a_fragment(3) + b"tail"
        assert copied == []


@pytest.mark.parametrize("head", [b"HEAD", b"a longer one"])
def test_a_head_of_another_kind_costs_a_copy(tmp_path, head):
    with closing(LocalObjects(tmp_path, head_bytes=4)) as objects:
        objects.write("jobs/2", a_fragment(2))
        parts = [WrittenPart.of(head * 3), CopiedPart("jobs/2", len(a_fragment(2))), WrittenPart.of(b"tail")]

        join(objects, "packages/a", parts, 0)

        assert objects.read("packages/a") == head * 3 + a_fragment(2) + b"tail"
        assert objects.read("jobs/2") == a_fragment(2)


@given(
    written=st.lists(st.integers(0, 5), min_size=1, unique=True),
    order=st.lists(st.one_of(st.integers(0, 5), st.binary(min_size=SMALLEST, max_size=20)), min_size=1),
)
def test_parts_in_any_other_order_are_joined_as_well(tmp_path_factory, written, order):
    folder = tmp_path_factory.mktemp("objects")
    wanted = [part for part in order if isinstance(part, bytes) or part in written] or [written[0]]
    with closing(LocalObjects(folder)) as objects:
        for number in written:
            objects.write(f"jobs/{number}", a_fragment(number))

        join(
            objects,
            "packages/a",
            (
                WrittenPart.of(part) if isinstance(part, bytes) else CopiedPart(f"jobs/{part}", len(a_fragment(part)))
                for part in wanted
            ),
            0,
        )

        whole = b"".join(part if isinstance(part, bytes) else a_fragment(part) for part in wanted)
        assert objects.read("packages/a") == whole
        assert {number: objects.read(f"jobs/{number}") for number in written} == {
            number: a_fragment(number) for number in written
        }


def test_large_objects_are_listed_and_forgotten_like_small_ones(tmp_path):
    with closing(LocalObjects(tmp_path)) as objects:
        for key in ("jobs/c", "jobs/a"):
            objects.write(key, a_fragment(0))
        objects.write("jobs/b", b"small")

        sizes = {"jobs/a": len(a_fragment(0)), "jobs/b": 5, "jobs/c": len(a_fragment(0))}
        assert list(objects.list("jobs/")) == [StoredObject(key, size) for key, size in sizes.items()]
        objects.delete(["jobs/a", "jobs/b", "jobs/d"])
        assert [stored.key for stored in objects.list("")] == ["jobs/c"]
        with pytest.raises(KeyError):
            objects.read("jobs/a")


def test_a_part_that_could_not_be_written_whole_is_in_no_package(tmp_path, monkeypatch):
    def full(_file, _pieces):
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(LocalObjects(tmp_path)) as objects:
        monkeypatch.setattr(os, "writev", full)
        objects.write("jobs/0", a_fragment(0))  # on its way: the next part is read meanwhile
        for step in (
            lambda: objects.write("jobs/1", a_fragment(1)),
            lambda: objects.read("jobs/0"),
            lambda: join(objects, "packages/a", [CopiedPart("jobs/0", len(a_fragment(0)))], 0),
        ):
            with pytest.raises(OSError, match="No space left"):
                step()
        assert not objects.path("packages/a").exists()
