"""`exporttiles export --package-by`: a folder of packages, one for each value of an attribute."""

import errno
import json

import pytest
from obstore.store import LocalStore

from exporttiles.adapters.local_objects import LocalObjects
from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.main import main
from exporttiles.formats.checks.package_check import check_package
from tests.builders import put_files
from tests.unit.usecases.test_export import tiles_of

OCEANS = {"Nord/West": (-100, 10), "nord west": (100, 10), "地図": (100, -50)}


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with a world cache of files, levels 0-3."""
    folder = tmp_path_factory.mktemp("world")
    put_files(ObstoreObjects(LocalStore(folder)), 3)
    return folder


def a_feature(value, x, y, size=40):
    ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    return {"type": "Feature", "properties": {"NAME": value}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


@pytest.fixture
def districts(tmp_path, monkeypatch):
    """The name of a file of three areas; commands are run in its folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "districts.geojson", [a_feature(value, *corner) for value, corner in OCEANS.items()])
    return "districts.geojson"


def write(path, features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")


def run(world, *options, out="packages"):
    return main(["export", str(world), out, "--area", "districts.geojson", "--package-by", "NAME", *options])


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


pytestmark = pytest.mark.usefixtures("districts")
NAMES = ["Nord_West_a10487.tpkx", "nord_west_916cd1.tpkx", "地図.tpkx"]


def test_each_value_of_the_attribute_is_a_package_of_its_name(world, tmp_path, capsys):
    assert run(world) == 0

    assert listing(tmp_path / "packages") == NAMES
    for name in NAMES:
        with (tmp_path / "packages" / name).open("rb") as package:
            assert check_package(package).findings == ()
    printed = capsys.readouterr().out
    assert printed.count("tiles are in ") == 3
    assert printed.endswith(f"3 packages are in {tmp_path}/packages.\n")
    assert printed.count("exporting 3 packages\n") == 1


def test_a_package_is_the_one_of_an_export_of_its_area_alone(world, tmp_path):
    write(tmp_path / "alone.geojson", [a_feature("地図", *OCEANS["地図"])])

    assert run(world, "--levels", "0-2") == 0
    assert main(["export", str(world), "地図.tpkx", "--area", "alone.geojson", "--levels", "0-2"]) == 0

    assert (tmp_path / "packages/地図.tpkx").read_bytes() == (tmp_path / "地図.tpkx").read_bytes()


@pytest.mark.parametrize("name", ["tpk", "pmtiles", "mbtiles", "gpkg", "zip"])
def test_packages_can_have_any_format_of_one_file(world, tmp_path, name):
    assert run(world, "--format", name, "--levels", "0-1") == 0

    assert {path.suffix for path in (tmp_path / "packages").iterdir()} == {f".{name}"}
    assert all(main(["check", str(path)]) == 0 for path in (tmp_path / "packages").iterdir())


def test_options_of_an_export_hold_for_every_package(world, districts, tmp_path):
    line = {"type": "LineString", "coordinates": [[1, 10], [44, 10]]}
    write(tmp_path / districts, [{"type": "Feature", "properties": {"NAME": "Track"}, "geometry": line}])

    assert run(world, "--levels=3", "--buffer", "500km") == 0

    assert set(tiles_of((tmp_path / "packages/Track.tpkx").read_bytes())) == {(3, 3, 3), (3, 3, 4), (3, 3, 5)}


def test_what_fails_is_told_at_the_end_and_finished_packages_stay(world, districts, tmp_path, capsys):
    outside = [a_feature("Pole", 0, 86, 1), a_feature("South", 0, -50)]
    write(tmp_path / districts, [a_feature("North", 0, 10), *outside])

    assert run(world) == 1

    said = capsys.readouterr()
    assert listing(tmp_path / "packages") == ["North.tpkx", "South.tpkx"]
    assert "Error: Pole.tpkx: The area and levels select no tile of the service Pole: " in said.out
    assert f"2 packages are in {tmp_path}/packages.\n" in said.out
    assert said.err == "exporttiles: 1 of 3 packages failed. --skip-existing tries them again.\n"


def test_a_full_disk_ends_the_export_and_finished_packages_stay(world, tmp_path, monkeypatch, capsys):
    join, calls = LocalObjects.join, []

    def join_once(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return join(*arguments)

    monkeypatch.setattr(LocalObjects, "join", join_once)

    assert run(world) == 1

    said = capsys.readouterr()
    assert said.out.endswith(f"1 package is in {tmp_path}/packages.\n")
    assert "There is no room for nord_west_916cd1.tpkx in " in said.err
    assert listing(tmp_path / "packages") == NAMES[:1]


def test_nothing_is_replaced_unless_that_is_asked_for(world, tmp_path, capsys):
    assert run(world) == 0
    (tmp_path / "packages" / NAMES[0]).unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "packages").iterdir()}

    assert run(world) == 2

    assert (
        f"OUT: {tmp_path}/packages/nord_west_916cd1.tpkx exists already. --force replaces it."
        in capsys.readouterr().err
    )
    assert {path: path.read_bytes() for path in (tmp_path / "packages").iterdir()} == before
    assert run(world, "--force", "--levels", "0") == 0
    assert listing(tmp_path / "packages") == NAMES
    assert all(path.read_bytes() != before.get(path) for path in (tmp_path / "packages").iterdir())


def test_only_packages_that_do_not_exist_are_made_on_request(world, tmp_path, capsys):
    assert run(world) == 0
    (tmp_path / "packages" / NAMES[1]).unlink()
    kept = (tmp_path / "packages" / NAMES[0]).stat().st_mtime_ns

    assert run(world, "--skip-existing") == 0

    printed = capsys.readouterr().out
    assert "2 packages exist already.\nexporting 1 package\n" in printed
    assert listing(tmp_path / "packages") == NAMES
    assert (tmp_path / "packages" / NAMES[0]).stat().st_mtime_ns == kept
    assert run(world, "--skip-existing") == 0


def test_a_package_never_replaces_what_the_command_reads(world, districts, tmp_path, capsys):
    assert main(["export", str(world), "packages.tpkx"]) == 0
    write(tmp_path / districts, [a_feature("packages", 0, 10)])
    command = ["export", "packages.tpkx", ".", "--area", districts, "--package-by", "NAME", "--force"]

    assert main(command) == 2

    assert "packages.tpkx is the source" in capsys.readouterr().err


def test_messages_of_all_packages_are_printed_once_and_others_after_their_names(world, districts, tmp_path, capsys):
    point = {"type": "Feature", "properties": {"NAME": "地図"}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
    write(tmp_path / districts, [*(a_feature(value, *corner) for value, corner in OCEANS.items()), point])

    assert run(world, "--levels", "0-5") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines.count("Warning: --levels: The cache has no tiles of levels 4-5.") == 1
    assert f"Warning: 地図.tpkx: --area {districts}: Left out, without an area or a bufferDistance: 1 Point." in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("packages --package-by NAME", "--package-by: It names an attribute of --area, which is missing."),
        ("packages --area districts.geojson --package-by Name", "--package-by: 'Name' cannot be used. The attributes"),
        ("packages --area districts.geojson --package-by=", "--package-by: It is empty."),
        (
            "out.pmtiles --area districts.geojson --package-by NAME",
            "OUT: 'out.pmtiles' is no folder of packages. Use out --format pmtiles.",
        ),
        ("districts.geojson --area districts.geojson --package-by NAME", "OUT: {}/districts.geojson is not a folder."),
        ("a/b --area districts.geojson --package-by NAME", "OUT: There is no folder {}/a."),
        ("out.tpkx --format tpk", "--format: It is the format of the packages of --package-by"),
        ("out.tpkx --skip-existing", "--skip-existing: It is an option of --package-by."),
        ("packages --area districts.geojson --package-by NAME --name N", "--name and --package-by exclude each other."),
        (
            "packages --area districts.geojson --package-by NAME --force --skip-existing",
            "--force and --skip-existing exclude each other.",
        ),
        ("packages --area points.geojson --package-by NAME", "Package P: There is no polygon in it, only 1 Point."),
    ],
)
def test_what_cannot_be_packaged_is_refused_and_leaves_nothing(world, tmp_path, capsys, arguments, words):
    point = {"type": "Feature", "properties": {"NAME": "P"}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
    write(tmp_path / "points.geojson", [a_feature("A", 0, 10), point])

    assert main(["export", str(world), *arguments.split()]) == 2

    said = capsys.readouterr().err
    assert said.startswith("exporttiles export: ")
    assert words.format(tmp_path) in said
    assert said.count("\n") == 1
    assert listing(tmp_path) == ["districts.geojson", "points.geojson"]
