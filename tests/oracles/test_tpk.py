"""Packages of the older kind: tpkutils and MapProxy find every tile, and ArcMap's own has the same members."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring
from tpkutils import TPK

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.formats.bundles.v1 import read_bundlx
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from tests.oracles.build_package import a_tile
from tests.oracles.exports import a_cache, by_mapproxy, by_tpkutils, export, neighbours

ARCMAP = Path(__file__).parents[1] / "golden" / "states_filled.tpk"
BORDER = [(8, row, column) for row in (127, 128) for column in (127, 128)]
CASES = {
    "the first levels": [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 3, 1)],
    "across the border of bundles, without level 0": [(7, 63, 63), *BORDER, (9, 254, 257)],
    "one level alone": BORDER,
    "names of five digits": [(17, 0x10000, 0x1FF7F), (17, 0x10001, 0x1FF80)],
}
TEXTS = {"description": "Land & sea\nIn colours", "copyright_text": "Us <and> them"}
DOMAIN = r"<([XY]Origin|XYScale)>[^<]*"


def states(tmp_path):
    """ArcMap's package made anew by us: its own tiles in, the members of our package out."""
    tiles = by_tpkutils(ARCMAP)
    objects, service = a_cache(WEB_MERCATOR_256, tiles, tile_format=TileFormat.PNG8)
    sides = (float(value) for value in re.findall(r"<[XY]M\w+>([^<]*)", members(ARCMAP)["v101/Layers/conf.cdi"]))
    extent = Extent(*sides, service.tiling_scheme.spatial_reference)
    service = replace(service, name="states_filled", full_extent=extent)
    return members(export(objects, service, range(5), "tpk", tmp_path))


def members(path):
    """The text members of a package; bundles as the bytes that they are."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    texts = (".xml", ".cdi", ".json", ".pkinfo", ".properties")
    return {name: body.decode() if name.endswith(texts) else body for name, body in found.items()}


def shape(document):
    """The keys of a JSON document, and those inside them, without values."""
    return {key: shape(value) for key, value in document.items()} if isinstance(document, dict) else None


@pytest.mark.parametrize("places", CASES.values(), ids=CASES)
def test_tpkutils_and_mapproxy_find_every_tile_byte_for_byte(tmp_path, places):
    tiles = {place: a_tile(place) for place in places}
    objects, service = a_cache(WEB_MERCATOR_256, tiles)

    path = export(objects, service, [level for level, _, _ in places], "tpk", tmp_path)

    assert by_tpkutils(path) == tiles
    assert by_mapproxy(tmp_path / "v101/Layers/_alllayers", neighbours(places), version=1) == tiles


def test_a_package_in_degrees_is_read_as_well(tmp_path):
    tiles = {place: a_tile(place, size=512) for place in [(6, 15, 15), (9, 127, 127), (9, 128, 128)]}
    objects, service = a_cache(WGS84_512, tiles)

    path = export(objects, service, (6, 9), "tpk", tmp_path)

    # It takes degrees for metres, and the levels for 17 deeper ones.
    assert {(level - 17, row, column): tile for (level, row, column), tile in by_tpkutils(path).items()} == tiles
    assert by_mapproxy(tmp_path / "v101/Layers/_alllayers", neighbours(tiles), version=1) == tiles


def test_tpkutils_shows_what_the_service_says_of_itself(tmp_path):
    objects, service = a_cache(WEB_MERCATOR_256, {place: a_tile(place) for place in BORDER})
    with TPK(export(objects, replace(service, **TEXTS), (8,), "tpk", tmp_path)) as package:
        assert (package.name, package.summary, package.credits) == ("World", "Land & sea", "Us <and> them")
        assert package.description == "Land & sea\nIn colours"
        assert (package.format, package.tile_size, package.zoom_levels) == ("PNG", 256, list(range(9)))
        assert package.bounds == pytest.approx([-1.40625, -1.40611, 1.40625, 1.40611], abs=1e-4)
        assert package.legend == []


def test_the_documents_of_the_cache_are_those_of_arcmap_to_the_letter(tmp_path):
    ours, theirs = states(tmp_path), members(ARCMAP)

    for name in ("conf.properties", "conf.xml", "conf.cdi"):
        mine, real = (re.sub(DOMAIN, r"<\1>", part[f"v101/Layers/{name}"]) for part in (ours, theirs))
        assert mine == real, name  # but for the corner of the coordinates' grid, which comes from the map


def test_the_documents_of_the_item_are_those_of_arcmap_but_for_its_id_and_texts(tmp_path):
    ours, theirs = states(tmp_path), members(ARCMAP)

    texts = r"<(ID|guid|snippet|summary|tags|accessinformation|[xy]m(?:in|ax))>[^<]*"
    for name in ("esriinfo/item.pkinfo", "esriinfo/iteminfo.xml"):
        mine, real = (re.sub(texts, r"<\1>", part[name]) for part in (ours, theirs))
        assert mine == real, name
    mine, real = (fromstring(part["esriinfo/iteminfo.xml"]) for part in (ours, theirs))
    for side in ("xmin", "ymin", "xmax", "ymax"):
        assert float(mine.findtext(f"extent/{side}")) == pytest.approx(float(real.findtext(f"extent/{side}")))


def test_the_map_service_has_the_keys_that_arcmap_writes(tmp_path):
    name = "servicedescriptions/mapserver/mapserver.json"
    mine, real = (json.loads(part[name]) for part in (states(tmp_path), members(ARCMAP)))

    assert [shape(mine)["contents"].keys(), shape(mine)["resourceInfo"]] == [
        shape(real)["contents"].keys(),
        shape(real)["resourceInfo"],
    ]
    assert [part["name"] for part in mine["resources"]] == [part["name"] for part in real["resources"]]
    assert mine["contents"]["initialExtent"]["spatialReference"] == real["contents"]["spatialReference"]
    assert mine["contents"]["units"] == real["contents"]["units"]


def test_the_bundles_are_those_of_arcmap_but_for_the_order_of_tiles(tmp_path):
    ours, theirs = states(tmp_path), members(ARCMAP)
    bundles = [name for name in theirs if name.endswith(".bundle")]

    assert [name for name in ours if ".bundl" in name] == [name for name in theirs if ".bundl" in name]
    for name in bundles:
        assert ours[name][:65596] == theirs[name][:65596], name  # header and length words
        assert len(ours[name]) == len(theirs[name])
        offsets = f"{name.removesuffix('.bundle')}.bundlx"
        assert ((read_bundlx(ours[offsets]) > 0) == (read_bundlx(theirs[offsets]) > 0)).all()
