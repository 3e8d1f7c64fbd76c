"""Names of tiles and bundles: read if one pattern fits all, otherwise refused with a file as example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import MessageKind
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.v1 import write_bundle_v1
from exporttiles.formats.bundles.v2 import write_bundle
from exporttiles.formats.caches.paths import tiles_at
from exporttiles.formats.caches.service_descriptor import read_service, write_service
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.readings import XYZ, FileOrder
from tests.fakes import memory

URL = "s3://tiles/caches/World"
NO_TILE = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\2"  # of 256 x 256 pixels, as far as anyone looks


def a_tile(place):
    return PICTURE + b"%d/%d/%d" % place


def inspect(objects, order=XYZ):
    return InspectCache(objects, read_cache, WEB_MERCATOR_256, order)("World", URL)


def warnings(found):
    return [message.text for message in found.messages if message.kind is MessageKind.WARNING]


def tiles_of(objects, service):
    """Every tile of a published cache, through its descriptor, where its own files say that they are."""
    cache = read_service(write_service(service)).cache
    source = read_cache(objects, cache)
    held = {tiles_at(cache, f"{URL}/{stored.key}") for stored in objects.list("")} - {None}
    found = {}
    for block in held:
        bundle, selected = BundleIndex.of_tile(block.level, block.row_start, block.column_start), NO_TILE.copy()
        selected[
            block.row_start - bundle.row : block.row_stop - bundle.row,
            block.column_start - bundle.column : block.column_stop - bundle.column,
        ] = True
        found |= {(bundle.level, *place): bytes(tile) for place, tile in source.read_bundle(bundle, selected)}
    return found


# Any rule

LETTERS = [str.upper, str.lower]
LEVELS = st.sampled_from(["02d", "d", "02x", "02X"])
DECIMALS = st.sampled_from(["d", "02d", "05d", "010d"])
DIGITS = st.sampled_from(["04x", "04X", "08x", "08X", "05x"])


@st.composite
def rules(draw, kind, level):
    """How one program names tiles or bundles; levels as they are given, for their base cannot be mixed."""
    capital = draw(st.tuples(*[st.sampled_from(LETTERS)] * 3))
    word_l, word_r, word_c = (change(letter) for change, letter in zip(capital, "lrc", strict=True))
    digits = draw(DIGITS)
    if kind == "files":
        level, first, second = draw(st.sampled_from(["d", "02d"])), draw(DECIMALS), draw(DECIMALS)
        behind = draw(st.sampled_from([".png", ".PNG", "@2x.png", ".png.tile", ""]))
        return f"{{level:{level}}}/{{column:{first}}}/{{row:{second}}}{behind}"
    if kind == "exploded":
        extension = draw(st.sampled_from(["png", "PNG", "Png"]))
        return f"a/{word_l}{{level:{level}}}/{word_r}{{row:{digits}}}/{word_c}{{column:{digits}}}.{extension}"
    extension = draw(st.sampled_from(["bundle", "BUNDLE", "Bundle"]))
    return f"a/{word_l}{{level:{level}}}/{word_r}{{row:{digits}}}{word_c}{{column:{digits}}}.{extension}"


PLACES = st.integers(0, 17).flatmap(
    lambda level: st.tuples(st.just(level), *[st.integers(2**level * 2 // 5, max(0, 2**level * 3 // 5 - 1))] * 2)
)
KINDS = ("files", "exploded", "compact-v1", "compact-v2")


def put(objects, kind, tiles, rule_of):
    if kind in {"files", "exploded"}:
        for (level, row, column), tile in tiles.items():
            objects.write(rule_of(level).format(level=level, row=row, column=column), tile)
        return
    bundles = {}
    for (level, row, column), tile in tiles.items():
        bundles.setdefault(BundleIndex.of_tile(level, row, column), {})[row, column] = tile
    for bundle, images in bundles.items():
        path = rule_of(bundle.level).format(level=bundle.level, row=bundle.row, column=bundle.column)
        if kind == "compact-v2":
            objects.write(path, b"".join(write_bundle(images)))
        else:
            pieces, offsets = write_bundle_v1(images)
            objects.write(path, b"".join(pieces))
            objects.write(path[:-1] + ("X" if path.endswith("E") else "x"), offsets)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(st.data())
def test_tiles_that_one_rule_names_are_read_at_their_places(kind, data):
    rule, places = data.draw(rules(kind, data.draw(LEVELS))), data.draw(st.sets(PLACES, min_size=1, max_size=5))
    tiles, objects = {place: a_tile(place) for place in places}, memory()
    put(objects, kind, tiles, lambda _: rule)

    found = inspect(objects)

    assert tiles_of(objects, found.service) == tiles
    url = f"{URL}/{next(stored.key for stored in objects.list(''))}"
    assert tiles_at(found.service.cache, url) is not None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(st.data())
def test_tiles_that_two_rules_name_are_all_read_or_a_file_is_named(kind, data):
    level = data.draw(LEVELS)
    one, other = data.draw(rules(kind, level)), data.draw(rules(kind, level))
    places = data.draw(st.sets(PLACES, min_size=2, max_size=5))
    tiles, objects = {place: a_tile(place) for place in places}, memory()
    put(objects, kind, tiles, lambda level: one if level % 2 else other)
    keys = [stored.key for stored in objects.list("")]

    try:
        found = inspect(objects)
        read, said = tiles_of(objects, found.service), warnings(found)
    except DamagedCacheError as refusal:
        read, said = {}, [str(refusal)]

    assert read == tiles or (read.items() <= tiles.items() and any(key in text for key in keys for text in said))


# The rules, one by one


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["3/004/2.png", "3/5/2.png"], "'3/004/2.png' and '3/5/2.png'. Rename them so that all have as many digits"),
        (["a/L12/R0a80/C0b00.png", "a/l12/R0a80/C0b01.png"], "the same letters, capital or small"),
        (["a/L12/R0a8c/C0b00.png", "a/L12/R0A8D/C0b01.png"], "the same letters, capital or small"),
        (["L05/R0040C0000.bundle"], "'L05/R0040C0000.bundle' is not the name of a bundle"),
        (["L05/R80C0.bundle"], "'L05/R80C0.bundle' is not the name of a bundle"),
        (["EPSG_900913_12/34_21/002200_002750.png"], "'EPSG_900913_12/34_21/002200_002750.png' .* GeoWebCache"),
        (["EPSG:3857:12/1345/2200.png"], "'EPSG:3857:12/1345/2200.png' .* WMTS"),
        (["12/000/002/200/000/001/345.png"], "'12/000/002/200/000/001/345.png' .* MapCache"),
        (["12/2200_1345.png"], "'12/2200_1345.png' .* level/column_row"),
        (["12/1345/1345_2200.png"], "'12/1345/1345_2200.png' .* level/column_row"),
        (["120221013.png"], "'120221013.png' .* quadkeys"),
        (["readme.txt"], "only files such as 'readme.txt'"),
        ([], "no file at all"),
    ],
)
def test_names_that_no_rule_explains_are_refused_by_an_example(keys, why):
    objects = memory()
    for key in keys:
        objects.write(key, a_tile((3, 4, 2)))

    with pytest.raises(DamagedCacheError, match=why):
        inspect(objects)


@pytest.mark.parametrize(
    ("more", "example"),
    [
        ("5/31/10_1.png", "5/31/10_1.png"),
        ("5/31/10@2x.png", "5/31/10@2x.png"),
        ("copy of tile 7.jpg", "copy of tile 7.jpg"),
        ("other.pmtiles", "other.pmtiles"),
    ],
)
def test_unread_files_that_look_like_tiles_are_named(more, example):
    objects = memory()
    objects.write("5/31/10.png", a_tile((5, 10, 31)))
    objects.write(more, a_tile((5, 10, 31)))

    (warning,) = warnings(inspect(objects))

    assert f"1 file named like '{example}' is ignored" in warning
    assert "named like '5/31/10.png'" in warning


@pytest.mark.parametrize("name", ["missing.png", "5/31/10.png.aux.xml", "5/31/10.pgw", "Thumbs.db", "5/31/10.kml"])
def test_files_that_are_not_tiles_are_ignored(name):
    objects = memory()
    objects.write("5/31/10.png", a_tile((5, 10, 31)))
    objects.write(name, b"x")

    assert warnings(inspect(objects)) == []


# Hexadecimal levels


def exploded(level_digits, level, row_share=0.33):
    objects, row, column = memory(), int(row_share * 2**level), int(0.53 * 2**level)
    objects.write(f"L{level_digits}/R{row:08x}/C{column:08x}.png", a_tile((level, row, column)))
    return objects, (level, row, column)


@pytest.mark.parametrize(("digits", "level"), [("10", 16), ("11", 17), ("10", 10), ("16", 16), ("0c", 12), ("09", 9)])
def test_the_digits_of_levels_are_those_that_put_tiles_into_the_map(digits, level):
    objects, place = exploded(digits, level)

    found = inspect(objects)

    assert list(tiles_of(objects, found.service)) == [place]
    assert any(f"L{digits} is read as level {level}" in message.text for message in found.messages) == (
        digits.isdecimal() and int(digits) > 9
    )


def test_the_digits_of_levels_can_be_chosen():
    objects, (_, row, column) = exploded("10", 10)

    found = inspect(objects, FileOrder(has_hexadecimal_levels=True))

    assert list(tiles_of(objects, found.service)) == [(16, row, column)]


def test_levels_that_fit_in_neither_way_are_refused_by_their_folder():
    objects = memory()
    objects.write("L10/R0fffffff/C0fffffff.png", a_tile((1, 1, 1)))

    with pytest.raises(DamagedCacheError, match=r"L10 is level 10, or 16 in hexadecimal digits; .* Choose"):
        inspect(objects)
