"""Path templates of caches of single files."""

import pytest

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.caches.listing import CacheListing
from exporttiles.formats.caches.path_template import PathTemplate, TilePlace

PLACE = TilePlace(level=5, row=10, column=31)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("World/{level}/{column}/{row}.png", "World/5/31/10.png"),
        ("{level}/{row}/{column}", "5/10/31"),
        ("L{level:02d}/R{row:08x}/C{column:08x}.jpg", "L05/R0000000a/C0000001f.jpg"),
        ("{level}/{column}/{row_from_bottom}.png", "5/31/21.png"),
        ("{level}/{column}/{row}.{extension}", "5/31/10.lerc"),
        ("t/{prefix}/{level}/{column}/{row}.png", "t/fa/5/31/10.png"),
        ("t/{md5:.5}/{level}/{column}/{row}.png", "t/fc20c/5/31/10.png"),
        ("{rooted_md5:.5}/all/{level}/{column}/{row}", "994c8/all/5/31/10"),
    ],
)
def test_a_template_maps_tiles_to_paths_and_back(template, path):
    found = PathTemplate(template, [2**level for level in range(6)] if "bottom" in template else [])

    assert found.path(PLACE, "lerc") == path
    assert found.place(path) == PLACE


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("World/{level}/{column}/{row}.png", "World/5/31/10.jpg"),
        ("World/{level}/{column}/{row}.png", "World/5/31/1f.png"),
        ("World/{level}/{column}/{row}.png", "World/5/031/10.png"),
        ("World/{level}/{column}/{row}.png", "World/conf.xml"),
        ("World/{level}/{column}/{row}.png", "a/World/5/31/10.png"),
        ("L{level:02d}/R{row:08x}/C{column:08x}.jpg", "L5/R0000000a/C0000001f.jpg"),
        ("L{level:02d}/R{row:08x}/C{column:08x}.jpg", "L05/R0000000A/C0000001F.jpg"),
        ("{level}/{column}/{row_from_bottom}.png", "5/31/32.png"),
        ("{level}/{column}/{row_from_bottom}.png", "6/31/1.png"),
        ("t/{md5:.5}/{level}/{column}/{row}.png", "t/00000/5/31/10.png"),
    ],
)
def test_other_paths_than_those_of_a_template_are_no_tiles(template, path):
    assert PathTemplate(template, [2**level for level in range(6)] if "bottom" in template else []).place(path) is None


@pytest.mark.parametrize(
    ("template", "folder"),
    [
        ("World/{level}/{column}/{row}.png", "World/5/"),
        ("{level:02d}/{row}/{column}", "05/"),
        ("a/L{level:02x}/R{row:08x}/C{column:08x}.jpg", "a/L05/"),
        ("all{level}-{column}/{row}.png", ""),
        ("a{{b}}/L{level:02d}/{column}/{row}.png", "a{b}/L05/"),
        ("t/{md5:.5}/{level}/{column}/{row}.png", "t/"),
        ("{prefix}/{level}/{column}/{row}.png", ""),
    ],
)
def test_the_tiles_of_a_level_lie_in_one_folder_with_others_only_where_a_shard_comes_first(template, folder):
    found = PathTemplate(template)

    assert found.level_prefix(5) == folder
    assert found.path(PLACE).startswith(folder)


@pytest.mark.parametrize(
    "template",
    [
        "{prefix:.2}/{level}/{column}/{row}.png",
        "t/{md5:.5}/{level}/{column}/{row}.png",
        "a/{rooted_md5:.3}/{level}/{column}/{row}.png",
    ],
)
def test_a_shard_before_the_level_is_recognised(template):
    places = [TilePlace(7, row, column) for row in range(9) for column in range(40, 50)]
    listing = CacheListing.of((PathTemplate(template).path(place), 1) for place in places)

    assert listing.files.template("row", 10) == template


def test_a_shard_that_no_rule_explains_is_refused():
    listing = CacheListing.of((f"t/{column}x/7/{column}/3.png", 1) for column in range(9))

    with pytest.raises(DamagedCacheError, match="named in several ways"):
        listing.files.template("row", 10)


def test_braces_in_the_names_of_a_cache_stand_for_themselves():
    for folder in ("a{b}c/", "{level:>99999999}/", "{0}/", "{{/", "{md5}/", "{row.__class__}/"):
        listing = CacheListing.of([(f"{folder}0/0/0.png", 1), (f"{folder}1/0/1.png", 1)])
        template = listing.files.template("row", 10)

        assert PathTemplate(template).path(PLACE) == f"{folder}5/31/10.png"
