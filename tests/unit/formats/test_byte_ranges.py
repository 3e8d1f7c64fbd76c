"""Coalescing of records into byte ranges."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.formats.bundles.byte_ranges import FREE_GAP_BYTES, coalesce, numbered_records, slice_records

records = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 2_000)), max_size=60)
KB = 1000


def columns(pairs):
    return [first for first, _ in pairs], [second for _, second in pairs]


def test_neighbours_are_read_at_once():
    assert coalesce([4, 108, 212], [100, 100, 100]) == [(4, 312)]


def test_nothing_wanted_is_nothing_read():
    assert coalesce([], []) == []
    assert slice_records([], [], [], []) == []


def test_gaps_shorter_than_the_headers_of_a_request_are_read_through():
    assert coalesce([0, 10 + FREE_GAP_BYTES], [10, 10], overfetch=0) == [(0, 20 + FREE_GAP_BYTES)]
    assert coalesce([0, 11 + FREE_GAP_BYTES], [10, 10], overfetch=0) == [
        (0, 10),
        (11 + FREE_GAP_BYTES, 21 + FREE_GAP_BYTES),
    ]


def test_the_smallest_gaps_are_read_through_until_the_budget_is_used():
    offsets, sizes = [0, 14 * KB, 25 * KB, 38 * KB], [10 * KB] * 4  # gaps of 4, 1 and 3 kB

    assert coalesce(offsets, sizes, overfetch=0.09) == [(0, 10 * KB), (14 * KB, 35 * KB), (38 * KB, 48 * KB)]
    assert coalesce(offsets, sizes, overfetch=0.10) == [(0, 10 * KB), (14 * KB, 48 * KB)]
    assert coalesce(offsets, sizes, overfetch=0.20) == [(0, 48 * KB)]


def test_no_range_is_longer_than_allowed_and_no_record_is_cut():
    assert coalesce([0, 10, 20, 30, 40], [10] * 5, max_range_bytes=25) == [(0, 20), (20, 40), (40, 50)]
    assert coalesce([0, 10, 110], [10, 100, 10], max_range_bytes=25) == [(0, 10), (10, 110), (110, 120)]


def test_a_shared_record_is_read_once():
    assert coalesce([50, 50, 50], [10, 10, 10]) == [(50, 60)]


@given(records, st.integers(1, 5_000), st.floats(0, 2))
def test_every_record_comes_back_whole(pairs, max_range_bytes, overfetch):
    offsets, sizes = columns(pairs)
    file = np.random.default_rng(0).bytes(22_000)

    ranges = coalesce(offsets, sizes, overfetch=overfetch, max_range_bytes=max_range_bytes)
    found = slice_records(ranges, [file[start:stop] for start, stop in ranges], offsets, sizes)

    assert [bytes(record) for record in found] == [file[offset : offset + size] for offset, size in pairs]


@given(records, st.floats(0, 2))
def test_unwanted_bytes_stay_within_the_budget(pairs, overfetch):
    wanted = {byte for offset, size in pairs for byte in range(offset, offset + size)}

    ranges = coalesce(*columns(pairs), overfetch=overfetch)

    unwanted = sum(stop - start for start, stop in ranges) - len(wanted)
    assert unwanted <= overfetch * len(wanted) + FREE_GAP_BYTES * len(pairs)
    assert ranges == sorted(ranges)


def test_records_of_a_range_come_before_the_next_range_is_asked_for():
    ranges, asked = [(0, 4), (10, 14)], []

    def bodies():
        for start, stop in ranges:
            asked.append(start)
            yield bytes(range(start, stop))

    found = numbered_records(ranges, bodies(), [12, 2, 0], [2, 2, 2])

    assert next(found) == (1, b"\2\3")
    assert next(found) == (2, b"\0\1")
    assert asked == [0]
    assert list(found) == [(0, b"\14\15")]
