"""Work items: whole bundles, in order, of similar cost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import AreaError
from exporttiles.domain.parts import MAX_PART_BYTES, MAX_PARTS
from exporttiles.domain.plan import (
    FRAGMENT_TARGET_BYTES,
    MAX_BUNDLES,
    MAX_WORK_ITEMS,
    FragmentSize,
    PlannedBundle,
    concurrency,
    file_readers,
    group_bundles,
    largest_fragment_bytes,
    limited,
    require_time,
    shares,
    worker_seconds,
)
from exporttiles.domain.tiling import BundleIndex

TILE_BYTES = 15_000

bundles = st.lists(
    st.builds(
        PlannedBundle,
        st.builds(BundleIndex, st.integers(0, 20), st.integers(0, 99), st.integers(0, 99)),
        st.integers(1, 16_384),
    ),
    max_size=200,
)


def groups_of(found):
    return list(group_bundles(found, TILE_BYTES, FragmentSize(FRAGMENT_TARGET_BYTES, FRAGMENT_TARGET_BYTES // 2)))


@given(bundles)
def test_every_bundle_is_in_one_group_in_its_order(found):
    assert [bundle for group in groups_of(found) for bundle in group] == found


@given(bundles)
def test_every_group_but_the_last_costs_about_the_target(found):
    for group in groups_of(found)[:-1]:
        sizes = [bundle.size_bytes(TILE_BYTES) for bundle in group]
        assert sum(sizes) >= FRAGMENT_TARGET_BYTES // 2
        assert sum(sizes[:-1]) < FRAGMENT_TARGET_BYTES


def test_a_heavy_bundle_stands_alone():
    gathered = [PlannedBundle(BundleIndex(level, 0, 0), 4**level) for level in range(6)]
    heavy = PlannedBundle(BundleIndex(7, 0, 0), 16_384)

    assert groups_of([*gathered, heavy]) == [tuple(gathered), (heavy,)]


def full_bundles(count):
    return [PlannedBundle(BundleIndex(20, 0, 0), 16_384)] * count


@pytest.mark.parametrize("bundles_of_a_fragment", [2, 3, 9])
def test_a_package_of_any_size_fits_the_parts_of_an_upload(bundles_of_a_fragment):
    most = full_bundles((MAX_WORK_ITEMS - 1) * bundles_of_a_fragment)
    bundle_bytes = most[0].size_bytes(TILE_BYTES)

    def fragments(found):
        return list(group_bundles(found, TILE_BYTES, FragmentSize.of(len(found) * bundle_bytes)))

    at_the_limit, beyond = fragments(most), fragments([*most, most[0]])
    assert len(at_the_limit) == MAX_PARTS - 3
    assert {len(group) for group in at_the_limit} == {bundles_of_a_fragment}
    assert {len(group) for group in beyond[:-1]} == {bundles_of_a_fragment + 1}


@given(st.lists(st.integers(1, 16_384), min_size=1, max_size=300), st.integers(1_000, 4_000_000))
def test_bundles_of_any_sizes_never_make_more_work_items_than_parts(tile_counts, tile_bytes):
    found = [PlannedBundle(BundleIndex(20, 0, 0), count) for count in tile_counts] * 100
    size = FragmentSize.of(sum(bundle.size_bytes(tile_bytes) for bundle in found))

    assert sum(1 for _ in group_bundles(found, tile_bytes, size, largest_bytes=10**15)) <= MAX_WORK_ITEMS


def test_a_part_that_a_store_would_refuse_is_refused_before():
    tile_bytes = MAX_PART_BYTES // 16_384 - 9
    (fitting,) = full_bundles(1)
    assert fitting.size_bytes(tile_bytes) <= MAX_PART_BYTES < fitting.size_bytes(tile_bytes + 1)
    size = FragmentSize.of(MAX_PART_BYTES)

    assert list(group_bundles([fitting], tile_bytes, size)) == [(fitting,)]
    with pytest.raises(AreaError, match="a part of about 5,369 MB; it may have 10,000 of at most 5,369 MB"):
        list(group_bundles([fitting], tile_bytes + 1, size))


def test_a_fragment_fits_into_the_memory_of_a_worker():
    assert largest_fragment_bytes(1769 * 2**20) == pytest.approx(1655e6, rel=0.001)
    assert largest_fragment_bytes(10_240 * 2**20) == MAX_PART_BYTES


def test_work_items_grow_with_the_export_to_where_they_cost_little():
    megabytes = [FragmentSize.of(total * 10**6).target / 2**20 for total in (1, 100, 500, 1_400, 100_000)]

    assert megabytes == [16, 16, pytest.approx(29.8, abs=0.1), 64, 64]


def test_nothing_makes_no_group():
    assert groups_of([]) == []


def test_more_bundles_than_a_planner_takes_on_are_refused():
    with pytest.raises(AreaError, match="1,000,000 bundles"):
        for _ in limited(range(MAX_BUNDLES + 1)):
            pass


@given(st.integers(0, 10**15), st.lists(st.integers(1, 10**9), min_size=1, max_size=50))
def test_shares_are_in_proportion_and_together_the_whole(total, weights):
    found = list(shares(total, weights))

    assert sum(found) == total
    assert all(
        abs(share - total * weight / sum(weights)) <= 1 + total * 1e-12
        for share, weight in zip(found, weights, strict=True)
    )


def test_a_bundle_whose_tiles_are_known_weighs_as_those_that_exist():
    assert PlannedBundle(BundleIndex(9, 0, 0), 16_384, [5, 900]).size_bytes(TILE_BYTES) == (
        PlannedBundle(BundleIndex(9, 0, 0), 2).size_bytes(TILE_BYTES)
    )


@given(st.integers(1, 10_000), st.floats(0, 10**7), st.integers(1, 10_000))
def test_an_export_has_a_worker_and_never_more_than_it_has_items_or_is_allowed(work_items, seconds, most):
    assert 1 <= concurrency(work_items, seconds, most) <= min(work_items, most)


def test_a_worker_is_started_for_ten_seconds_of_work():
    assert [concurrency(90, seconds, 200) for seconds in (0.5, 10, 28, 600, 10_000)] == [1, 1, 3, 60, 90]


def test_an_export_of_a_million_tiles_takes_all_that_it_may_have():
    seconds = worker_seconds(1_000_000, 1_000_000 * TILE_BYTES, from_files=True, recompressed=False)

    assert concurrency(900, seconds, 50) == 50


def test_a_cache_of_files_has_the_workers_that_s3_can_answer():
    seconds = worker_seconds(1_000_000, 1_000_000 * TILE_BYTES, from_files=True, recompressed=False)

    assert file_readers(1_000_000, seconds, 5_500) == 6
    assert file_readers(0, 0.0, 5_500) == 0


def test_files_and_recompression_make_tiles_heavier():
    bundles = worker_seconds(10_000, 10_000 * TILE_BYTES, from_files=False, recompressed=False)
    files = worker_seconds(10_000, 10_000 * TILE_BYTES, from_files=True, recompressed=False)
    recompressed = worker_seconds(10_000, 10_000 * TILE_BYTES, from_files=False, recompressed=True)
    converted = worker_seconds(10_000, 10_000 * TILE_BYTES, from_files=False, recompressed=False, converted=True)

    assert bundles < files < bundles + recompressed
    assert recompressed < converted


@pytest.mark.parametrize(
    ("tile_count", "from_files", "workers", "timeout_hours"),
    [(400_000_000, True, 6, 24), (400_000_000, False, 200, 1), (350_000_000, False, 200, 0.75)],
)
def test_what_can_be_done_in_time_is_planned(tile_count, from_files, workers, timeout_hours):
    size_bytes = tile_count * TILE_BYTES
    seconds = worker_seconds(tile_count, size_bytes, from_files=from_files, recompressed=False)

    require_time(tile_count, size_bytes, seconds, workers, timedelta(hours=timeout_hours))


def test_what_takes_longer_than_allowed_is_refused_with_the_parameter_and_the_figures():
    tile_count, size_bytes = 1_000_000_000, 1_000_000_000 * TILE_BYTES
    seconds = worker_seconds(tile_count, size_bytes, from_files=True, recompressed=False)

    with pytest.raises(AreaError) as refused:
        require_time(tile_count, size_bytes, seconds, 1, timedelta(days=1))

    assert str(refused.value) == (
        "ExportTimeoutSeconds (86,400): the export would take about 268.5 hours to read 1,000,000,000 tiles with "
        "1 worker, and 1.3 hours to join a package of 15,000 GB (64 parts at a time, 50 MB/s each). Export a smaller "
        "area or fewer levels, or deploy with a larger ExportTimeoutSeconds, MaxConcurrency or, for a cache of single "
        "files, FileReadsPerSecond."
    )
