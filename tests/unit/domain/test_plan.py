"""Work items: whole bundles, in order, of about the same cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import AreaError
from exporttiles.domain.parts import MAX_PARTS
from exporttiles.domain.plan import (
    FRAGMENT_TARGET_BYTES,
    MAX_BUNDLES,
    PlannedBundle,
    fragment_target_bytes,
    group_bundles,
    limited,
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


def groups_of(found, target=FRAGMENT_TARGET_BYTES):
    return list(group_bundles(found, TILE_BYTES, target))


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


@given(st.integers(1, 50 * 10**12))
def test_a_package_of_any_size_fits_the_parts_of_an_upload(total_bytes):
    assert total_bytes / fragment_target_bytes(total_bytes) < MAX_PARTS / 2


def test_nothing_makes_no_group():
    assert groups_of([]) == []


def test_more_bundles_than_a_planner_takes_on_are_refused():
    with pytest.raises(AreaError, match="1,000,000 bundles"):
        for _ in limited(range(MAX_BUNDLES + 1)):
            pass
