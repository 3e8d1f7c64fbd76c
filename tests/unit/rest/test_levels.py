"""The parameters exportBy and levels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.rest.levels import ExportBy, read_levels
from tests.builders_rest import SCHEME

LEVELS = [lod.level for lod in SCHEME.lods]
levels = st.sampled_from(LEVELS)
blanks = st.sampled_from(["", " ", "  "])


@st.composite
def entries(draw):
    """A list of levels and ranges as a client writes it, and the levels it means."""
    texts, meant = [], set()
    for first, last in draw(st.lists(st.tuples(levels, levels), min_size=1, max_size=8)):
        low, high = sorted((first, last))
        pad = draw(blanks)
        texts.append(f"{pad}{low}{pad}-{pad}{high}" if low < high else f"{pad}{low}{pad}")
        meant |= set(range(low, high + 1))
    return ",".join(texts), tuple(sorted(meant))


@given(entries())
def test_a_mixture_of_levels_and_ranges_selects_all_of_them_once_and_in_order(entry):
    text, meant = entry

    assert read_levels(text, ExportBy.LEVEL_ID, SCHEME) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,2,3,4,5,6,7,8,9", (1, 2, 3, 4, 5, 6, 7, 8, 9)),
        ("1-4,7-9", (1, 2, 3, 4, 7, 8, 9)),
        ("1-4, 7-9", (1, 2, 3, 4, 7, 8, 9)),
        ("0, 1, 2", (0, 1, 2)),
        ("7", (7,)),
        ("4-1", (1, 2, 3, 4)),
        ("1,1,1-2", (1, 2)),
        ("1,,2,", (1, 2)),
    ],
)
def test_level_ids_are_read_as_clients_and_the_documentation_write_them(text, meant):
    assert read_levels(text, ExportBy.LEVEL_ID, SCHEME) == meant


@given(lod=st.sampled_from(SCHEME.lods), error=st.floats(-0.009, 0.009))
@pytest.mark.parametrize("export_by", [ExportBy.SCALE, ExportBy.RESOLUTION])
def test_a_number_within_one_per_cent_means_the_nearest_level(export_by, lod, error):
    value = (lod.scale if export_by is ExportBy.SCALE else lod.resolution) * (1 + error)

    assert read_levels(f"{value:.17f}", export_by, SCHEME) == (lod.level,)


@given(first=levels, last=levels)
def test_a_range_of_scales_is_a_closed_interval(first, last):
    text = f"{SCHEME.lod(first).scale}-{SCHEME.lod(last).scale}"

    low, high = sorted((first, last))
    assert read_levels(text, ExportBy.SCALE, SCHEME) == tuple(range(low, high + 1))


def test_the_ends_of_a_range_of_resolutions_need_not_be_levels():
    assert read_levels("1-5", ExportBy.RESOLUTION, SCHEME) == (15, 16, 17)


def test_an_exponent_is_part_of_its_number_and_not_a_range():
    assert read_levels("1.56543034e5", ExportBy.RESOLUTION, SCHEME) == (0,)
    assert read_levels("2.9858e-1", ExportBy.RESOLUTION, SCHEME) == (19,)
    assert read_levels("1e-5-3e-1", ExportBy.RESOLUTION, SCHEME) == (19, 20, 21, 22, 23)
    with pytest.raises(InvalidParameterError, match="'1e-5'"):
        read_levels("1e-5", ExportBy.RESOLUTION, SCHEME)


@pytest.mark.parametrize(
    "text", ["24", "13-99", "-1", "--", "1.5", "a", "1;2", "0x1", "1-2-3", ",", "\u0661", "9" * 5000]
)
def test_a_level_outside_the_scheme_is_refused_with_the_legal_levels(text):
    with pytest.raises(InvalidParameterError, match="It must list levels from 0 to 23"):
        read_levels(text, ExportBy.LEVEL_ID, SCHEME)


def test_a_scale_between_two_levels_is_refused_with_the_legal_scales():
    with pytest.raises(
        InvalidParameterError, match=r"With exportBy=Scale it must list some of 591657527\.592, 295828763\.796"
    ):
        read_levels("400000000", ExportBy.SCALE, SCHEME)


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text):
    for export_by in ExportBy:
        try:
            found = read_levels(text, export_by, SCHEME)
        except InvalidParameterError:
            continue
        assert set(found) <= set(LEVELS)
