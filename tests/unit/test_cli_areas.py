"""`exporttiles export` of several areas: the options after an --area belong to it."""

import json

import pytest
from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.main import main
from tests.builders import put_files
from tests.unit.usecases.test_export import tiles_of
from tests.unit.usecases.test_levels_by_area import COUNTY, EXPECTED, FIRE, places

TRACK = {"type": "LineString", "coordinates": [[1, 10], [44, 10]]}
NOTE = "The extent of the package covers all areas; at each level, only the tiles of the areas of that level exist."


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    put_files(ObstoreObjects(LocalStore(folder)), 4)
    return folder


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, document in {"county.json": COUNTY, "fire.json": FIRE, "track.json": TRACK}.items():
        (tmp_path / name).write_text(json.dumps(document))


@pytest.fixture
def export(world, tmp_path):
    """Run an export, and return the tiles of its package."""

    def run(*options):
        assert main(["export", str(world), "out.tpkx", *options]) == 0
        return tiles_of((tmp_path / "out.tpkx").read_bytes()).keys()

    return run


@pytest.fixture
def refusal(world, capsys):
    """Run an export that is refused, and return its message."""

    def run(*options):
        assert main(["export", str(world), "out.tpkx", *options]) == 2
        return capsys.readouterr().err.splitlines()[0].removeprefix("exporttiles export: ")

    return run


def test_each_area_has_the_levels_after_it_and_the_overview_those_of_the_world(export, capsys):
    found = export(
        "--overview-levels=0-1", "--area", "county.json", "--levels=2-3", "--area", "fire.json", "--levels", "3-4"
    )

    assert found == EXPECTED
    out = capsys.readouterr().out.splitlines()
    assert out[out.index("--area county.json: 6 tiles of levels 2-3.") :][:5] == [
        "--area county.json: 6 tiles of levels 2-3.",
        "--area fire.json: 2 tiles of levels 3-4.",
        "--overview-levels: 5 tiles of levels 0-1.",
        "1 tile of several areas is exported once.",
        NOTE,
    ]


def test_an_option_before_the_first_area_is_for_all_areas_without_one_of_their_own(export):
    found = export("--levels", "2", "--area", "county.json", "--area", "fire.json", "--levels", "4")

    assert found == places(2, [1], [1, 2]) | places(4, [6], [6])


def test_a_buffer_belongs_to_the_area_before_it(export, capsys):
    found = export("--levels=3", "--area=county.json", "--area", "track.json", "--buffer", "500km")

    assert found == places(3, [2, 3], [3, 4]) | places(3, [3], [3, 4, 5])
    assert "--area track.json: 1 line was buffered by 500 km." in capsys.readouterr().out


def test_an_area_without_a_level_of_the_cache_is_left_out_with_a_warning(export, capsys):
    found = export("--area", "county.json", "--levels=2", "--area", "fire.json", "--levels=10-12")

    assert found == places(2, [1], [1, 2])
    assert (
        "Warning: --area fire.json: It is left out, for the cache has no tiles of levels 10-12."
        in capsys.readouterr().out
    )


def test_an_overview_goes_with_an_extent(export):
    assert export("--extent=0,0,1000,1000", "--levels=4", "--overview-levels=0") == {(0, 0, 0), (4, 7, 8)}


def test_the_last_option_of_a_kind_counts_as_in_every_command(export):
    assert export("--levels=2", "--area", "fire.json", "--levels=3", "--levels=4") == {(4, 6, 6)}
    assert export("--levels=2", "--levels=0", "--force") == {(0, 0, 0)}


def test_areas_that_have_too_many_vertices_together_are_refused_without_the_name_of_one(refusal, tmp_path):
    side = [[number, 5_000_000 * (number % 2)] for number in range(90_000)]
    (tmp_path / "comb.json").write_text(json.dumps({"rings": [side], "spatialReference": {"wkid": 102100}}))

    words = refusal("--levels=4", *["--area", "comb.json"] * 4)

    assert words == "--area: They have 360,000 vertices and more together; 300,000 are allowed."


def test_several_areas_may_have_the_very_same_levels(export):
    assert export("--levels=4", "--area", "fire.json", "--area", "fire.json") == {(4, 6, 6)}


AREAS = ["--area", "county.json", "--levels", "2", "--area", "fire.json"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (AREAS, "--levels of fire.json: It is missing. Give --levels after each --area, or before the first one"),
        ([*AREAS, "--levels", "99"], "--levels of fire.json: '99' cannot be used. It must list levels"),
        ([*AREAS, "--levels=3", "--buffer=wide"], "--buffer of fire.json: 'wide' cannot be used"),
        ([*AREAS, "--levels=3", "--area", "nowhere", "--levels=3"], "--area nowhere: No such file or directory."),
        ([*AREAS, "--levels", "3", "--package-by", "NAME"], "--package-by: It divides the features of one --area"),
        (["--overview-levels", "0-3"], "--overview-levels: '0-3' cannot be used. It adds levels of the full extent"),
        (["--area", "county.json", "--area", "track.json", "--levels=3"], "--levels of county.json: It is missing."),
        (["--levels=3", "--area", "county.json", "--area", "track.json"], "--area track.json: There is no polygon"),
        ([*AREAS, "--levels", ""], "--levels: It is empty."),
        (["--levels=3", *AREAS], "--levels: It stands before each --area, but belongs to the one before it. Move it"),
        (["--levels=3", "--buffer=5", *AREAS[:2], "--buffer=9", *AREAS[4:]], "--buffer: It stands before each --area"),
    ],
)
def test_what_is_wrong_with_one_of_several_areas_is_said_with_its_file(refusal, options, words):
    assert words in refusal(*options)
