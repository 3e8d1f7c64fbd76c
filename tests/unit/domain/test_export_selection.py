"""Levels by area: the tiles of an export are those of its areas, each at its levels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import ExportArea
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.scanline import WORK_LIMIT
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from tests.builders import a_request
from tests.builders_rest import WORLD, a_service
from tests.unit.domain.strategies import placed, unions

LEVELS = (3, 4, 8)


def select(areas):
    service = a_service(tiling_scheme=WEB_MERCATOR_256, full_extent=WORLD)
    return ExportSelection(service, replace(a_request(service, ()), areas=tuple(areas)))


def tiles_of(selection, level):
    runs = selection.at(level).rows(level, 0, 2**level)
    return {
        (row, column)
        for row, start, stop in zip(runs.row, runs.column_start, runs.column_stop, strict=True)
        for column in range(start, stop)
    }


some_areas = st.lists(
    st.builds(
        lambda polygons, levels: ExportArea(placed(polygons, WEB_MERCATOR_256, 3), tuple(sorted(levels))),
        unions(),
        st.sets(st.sampled_from(LEVELS), min_size=1),
    ),
    min_size=1,
    max_size=3,
)


@given(areas=some_areas)
@settings(deadline=None, max_examples=50)
def test_a_level_has_the_tiles_of_each_of_its_areas_and_every_tile_once(areas):
    together = select(areas)
    found = {level: tiles_of(together, level) for level in together.request.levels}

    assert found == {
        level: set().union(*(tiles_of(select([each]), level) for each in areas if level in each.levels))
        for level in sorted({level for each in areas for level in each.levels})
    }
    assert together.count() == sum(map(len, found.values()))
    assert [tile_count for _, tile_count, _ in together.parts()] == [select([each]).count() for each in areas]


@given(areas=some_areas)
@settings(deadline=None, max_examples=30)
def test_the_mask_of_a_bundle_is_that_of_its_level(areas):
    together = select(areas)

    for level in together.request.levels:
        marked = np.argwhere(together.mask(BundleIndex(level, 0, 0)))
        within = {(row, column) for row, column in tiles_of(together, level) if row < 128 and column < 128}
        assert {tuple(place) for place in marked.tolist()} == within


@given(areas=some_areas)
@settings(deadline=None, max_examples=30)
def test_the_extent_holds_every_area_of_the_levels_and_reaches_no_further(areas):
    together = select(areas)

    extent = together.extent(together.request.levels)

    sides = np.array([each.area.extent.intersection(WORLD).sides for each in areas])
    assert extent.sides == (*sides[:, :2].min(axis=0), *sides[:, 2:].max(axis=0))


def square(left, top, side):
    return [[[(left, top), (left + side, top), (left + side, top + side), (left, top + side)]]]


def test_the_extent_is_that_of_the_levels_with_tiles():
    small, large = (placed(square(1, 1, side), WEB_MERCATOR_256, 3) for side in (1, 4))
    selection = select([ExportArea(small, (5, 6)), ExportArea(large, (4,))])

    assert selection.extent([5]) == small.extent
    assert selection.extent([4, 5, 6]) == large.extent


def test_an_area_outside_of_the_service_does_not_count_and_says_why():
    inside, outside = (placed(square(left, 1, 1), WEB_MERCATOR_256, 3) for left in (1, 9))
    selection = select([ExportArea(inside, (3,)), ExportArea(outside, (3, 4))])

    assert selection.count() == 1
    assert selection.why_empty == ""
    assert selection.extent([3]) == inside.extent
    assert [(count, why) for _, count, why in selection.parts()] == [
        (1, ""),
        (0, "the area lies outside the service's full extent"),
    ]
    assert select([ExportArea(outside, (3,))]).why_empty == "the area lies outside the service's full extent"


def test_areas_may_be_too_complex_together():
    teeth = [(8 * number / 90_000, 8 * (number % 2)) for number in range(90_000)]
    comb = placed([[teeth]], WEB_MERCATOR_256, 3)

    assert select([ExportArea(comb, (3, 4))]).count() == 8**2 + 16**2
    with pytest.raises(InvalidParameterError, match=rf"levels: '3,4,5,6' .* {WORK_LIMIT:,} are allowed"):
        select([ExportArea(comb, (3, 4)), ExportArea(comb, (5, 6))]).count()


def test_a_level_of_no_area_is_none_of_the_export():
    with pytest.raises(KeyError):
        select([ExportArea(placed(square(1, 1, 1), WEB_MERCATOR_256, 3), (3,))]).at(4)
