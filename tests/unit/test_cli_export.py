"""`exporttiles export`: makes the packages of the cloud on one machine."""

import errno
import io
import json
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import shapely
from defusedxml.ElementTree import fromstring
from obstore.store import LocalStore
from PIL import Image

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.destination import OUTPUTS
from exporttiles.cli.main import main
from exporttiles.domain.job import job_id_of
from exporttiles.formats.checks.package_check import check_package
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.rest.parameters import read_export_request
from tests.builders import a_service, a_tile, put_files
from tests.caches import CACHES
from tests.fakes import a_runtime, run_workflow
from tests.field.make_inputs import INPUTS
from tests.unit.usecases.test_export import tiles_of
from tests.vector_files import KML, PLACEMARK, POINTS, ring, write, zipped

BOX = "0,0,5000000,4000000"


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with a world cache of files, levels 0-3."""
    folder = tmp_path_factory.mktemp("world")
    put_files(ObstoreObjects(LocalStore(folder)), 3)
    return folder


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """The folder that commands are run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def members(path):
    if path.is_dir():
        return {found.relative_to(path).as_posix(): found.read_bytes() for found in path.rglob("*") if found.is_file()}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_appears_and_nothing_else(world, tmp_path, capsys):
    assert main(["export", str(world), str(tmp_path / "World.tpkx"), "--levels", "0-3"]) == 0

    assert listing(tmp_path) == ["World.tpkx"]
    with (tmp_path / "World.tpkx").open("rb") as package:
        assert check_package(package).findings == ()
    assert "85 tiles are in World.tpkx: " in capsys.readouterr().out


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_the_package_is_that_of_the_cloud_byte_for_byte(world, tmp_path, suffix):
    out = tmp_path / f"World{suffix}"
    assert main(["export", str(world), str(out), "--levels=0-3", "--extent", BOX, "--quality=50"]) == 0

    tiles = ObstoreObjects(LocalStore(world))
    runtime, service = a_runtime(tiles), a_service(tiles, name="World", url=f"file://{world}")
    tile_package, storage_format = OUTPUTS[suffix]
    parameters = {
        "tilePackage": tile_package,
        "storageFormatType": storage_format,
        "levels": "0-3",
        "exportExtent": BOX,
        "optimizeTilesForSize": "true",
        "compressionQuality": "50",
    }
    request = read_export_request(parameters, service)
    job_id = job_id_of(Export(replace(service, max_export_tiles_count=sys.maxsize), request).to_json().decode())
    object.__setattr__(runtime.submit_export, "new_job_id", lambda: job_id)
    job = run_workflow(runtime, runtime.submit_export(service, request, parameters).job_id)
    if suffix:
        assert out.read_bytes() == runtime.objects.read(job.package.key)
    else:
        folder = JobKeys(job_id).delivered("World/")
        files = {stored.key.removeprefix(folder): stored.key for stored in runtime.objects.list(folder)}
        assert members(out) == {name: runtime.objects.read(key) for name, key in files.items()}


def test_the_same_command_makes_the_same_bytes_and_force_replaces(world, tmp_path, capsys):
    out = tmp_path / "World.tpkx"
    command = ["export", str(world), str(out), "--levels", "0-2"]
    assert main(command) == 0
    first = out.read_bytes()

    assert main(command) == 2
    assert f"OUT: {out} exists already. --force replaces it." in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert out.read_bytes() == first


def test_a_dataset_is_replaced_whole(world, tmp_path):
    out = tmp_path / "World"
    assert main(["export", str(world), str(out), "--levels", "0-3"]) == 0
    assert main(["export", str(world), str(out), "--levels", "0-1", "--force"]) == 0

    assert listing(tmp_path) == ["World"]
    assert listing(out / "Layers/_alllayers") == ["L00", "L01"]


def test_a_folder_that_cannot_be_replaced_stays(world, tmp_path, monkeypatch, capsys):
    out = tmp_path / "World"
    command = ["export", str(world), str(out), "--levels", "0-2", "--force"]
    assert main(command) == 0
    before = members(out)
    rename = Path.rename

    def refuse(path, target):
        if target == out and path.name == "World":  # what was made; the old one is called otherwise
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)

    assert main([*command, "--levels", "0-1"]) == 1

    assert "Input/output error" in capsys.readouterr().err
    assert (listing(tmp_path), members(out)) == (["World"], before)


@pytest.mark.parametrize("kind", CACHES)
def test_a_cache_of_any_layout_can_be_the_source(tmp_path, kind):
    tiles = {(2, row, column): a_tile(2, row, column) for row in range(4) for column in range(4)}
    folder = tmp_path / "ä cache % [of] tiles"
    folder.mkdir()
    name = CACHES[kind](ObstoreObjects(LocalStore(folder)), tiles).removeprefix("memory:///")

    assert main(["export", str(folder / name), str(tmp_path / "out.tpkx")]) == 0

    assert tiles_of((tmp_path / "out.tpkx").read_bytes()) == tiles


@pytest.mark.parametrize(
    "area",
    [
        {"rings": [[[1, 1], [1, 40], [44, 40], [44, 1], [1, 1]]], "spatialReference": {"wkid": 4326}},
        {"type": "Polygon", "coordinates": [[[1, 1], [44, 1], [44, 40], [1, 40], [1, 1]]]},
    ],
    ids=["Esri JSON", "GeoJSON"],
)
def test_an_area_comes_from_a_file(world, tmp_path, area):
    (tmp_path / "area.json").write_text(json.dumps(area))

    main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels=3", "--area", str(tmp_path / "area.json")])

    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == {(3, 3, 4)}


def test_an_area_comes_from_a_zipped_shapefile_in_metres(world, tmp_path, capsys):
    corner, nowhere = shapely.box(500_000, 500_000, 4_500_000, 4_500_000), shapely.box(-1e7, -1e7, -9e6, -9e6)
    shapefile = write(tmp_path / "counties.shp", [corner, nowhere], "EPSG:3857", names=["Kern", "Inyo"])
    archive = zipped(tmp_path / "counties.zip", shapefile)
    out = tmp_path / "out.tpkx"

    assert (
        main(["export", str(world), str(out), "--levels=3", "--area", str(archive), "--area-where", "NAME='Kern'"]) == 0
    )

    assert set(tiles_of(out.read_bytes())) == {(3, 3, 4)}
    assert (
        f"--area {archive}: 1 feature of layer counties was read, in WGS 84 / Pseudo-Mercator.\n"
        in capsys.readouterr().out
    )


def test_an_area_comes_from_a_kmz(world, tmp_path, capsys):
    (tmp_path / "doc.kml").write_text(
        KML.format(PLACEMARK.format("a", ring((1, 1, 44, 40))) + POINTS.format("b", "1,2"))
    )
    kmz, out = zipped(tmp_path / "a.kmz", tmp_path / "doc.kml"), tmp_path / "out.tpkx"

    assert main(["export", str(world), str(out), "--levels=3", "--area", str(kmz)]) == 0

    assert set(tiles_of(out.read_bytes())) == {(3, 3, 4)}
    said = capsys.readouterr().out
    assert f"--area {kmz}: 2 features of layer doc were read, in WGS 84.\n" in said
    assert f"Warning: --area {kmz}: Left out, without an area or a bufferDistance: 1 Point." in said


def test_packages_are_named_by_an_attribute_of_a_shapefile(world, tmp_path):
    boxes = [shapely.box(1, 1, 44, 40), shapely.box(-44, 1, -1, 40)]
    shapefile = write(tmp_path / "districts.shp", boxes, names=["Übersee", "Łódź"], encoding="UTF-8")
    command = [
        "export",
        str(world),
        str(tmp_path / "out"),
        "--levels=3",
        "--area",
        str(shapefile),
        "--package-by",
        "NAME",
    ]

    assert main(command) == 0

    assert len(listing(tmp_path / "out")) == 2
    tiles = sorted([*tiles_of(path.read_bytes())] for path in (tmp_path / "out").iterdir())
    assert tiles == [[(3, 3, 3)], [(3, 3, 4)]]


def test_options_of_an_area_need_one(world, tmp_path, capsys):
    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--area-layer", "west"]) == 2

    assert "--area-layer: It belongs to --area, which is missing." in capsys.readouterr().err


AREA = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1, 1], [44, 1], [44, 40], [1, 40]]]}}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_an_area_may_be_in_any_encoding_of_unicode(world, tmp_path, encoding):
    (tmp_path / "area.json").write_text(json.dumps(AREA | {"id": "Übersicht"}, ensure_ascii=False), encoding)

    main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels=3", "--area", str(tmp_path / "area.json")])

    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == {(3, 3, 4)}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "It is empty."),
        (b" \n\t", "It is empty."),
        ("\ufeff".encode("utf-16"), "It is empty."),
        ('{"id": "Übersicht"}'.encode("latin-1"), "Its encoding is not UTF-8: byte 8 is 0xDC. Save it in UTF-8."),
        ('{"id": "地図"}'.encode("gbk"), "Its encoding is not UTF-8: byte 8 is 0xB5. Save it in UTF-8."),
        ("\ufeff地".encode("utf-16")[:-1], "Its encoding is not UTF-16: byte 4 is "),
        (b"PK\x03\x04...", "It is a zip archive that cannot be unpacked: File is not a zip file."),
        (b"SQLite format 3\0...", "GDAL cannot read it as GPKG."),
        (b"\0\0\x27\x0a" + bytes(96), "GDAL cannot read it as ESRI Shapefile: "),
        (b"\x89PNG\r\n\x1a\n", "It is a picture: convert it to GeoJSON."),
        (b"{" + bytes(50), "It is a binary file: convert it to GeoJSON."),
        (
            b"<?xml version='1.0'?><kml/>",
            "It has no geometries.",
        ),
        (b"<?xml version='1.0'?><gml:a/>", "It is GML: convert it to GeoJSON."),
        (b"POLYGON((7 50,7 51,8 51,8 50,7 50))", "It is well-known text (WKT): convert it to GeoJSON."),
        (b'{"type": "Topology"}', "cannot be used. It is TopoJSON: convert it to GeoJSON."),
        (b"[]", "'[]' cannot be used. [] is not a geometry."),
        (b"null", "The area has no coordinates."),
        (
            b'{"rings": [[[7, 50], [7, 51], [8, 51]]]}',
            "The coordinates look like degrees but name no spatial reference",
        ),
    ],
)
def test_a_file_that_is_no_area_is_refused_by_its_name_and_kind(world, empty_folder, capsys, body, words):
    Path("my area").write_bytes(body)

    assert main(["export", str(world), "out.tpkx", "--area", "my area"]) == 2

    said = capsys.readouterr().err
    assert said.startswith("exporttiles export: --area my area: ")
    assert words in said
    assert listing(empty_folder) == ["my area"]


def test_a_folder_is_no_file_of_an_area(world, tmp_path, capsys):
    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--area", str(tmp_path)]) == 2

    assert f"--area {tmp_path}: It is a folder." in capsys.readouterr().err


def test_what_is_left_out_of_an_area_is_told(world, tmp_path, capsys):
    features = [AREA, {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}]
    (tmp_path / "area.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))

    main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels=3", "--area", str(tmp_path / "area.json")])

    assert (
        f"Warning: --area {tmp_path}/area.json: Left out, without an area or a bufferDistance: 1 Point."
        in capsys.readouterr().out
    )


TRACK = {"type": "LineString", "coordinates": [[1, 10], [44, 10]]}


@pytest.mark.parametrize(("distance", "text"), [("500000", "500,000 m"), ("500km", "500 km"), ("310 mi", "310 mi")])
def test_a_corridor_is_exported_by_the_distance_from_a_line(world, tmp_path, capsys, distance, text):
    (tmp_path / "track.json").write_text(json.dumps(TRACK))
    command = ["export", str(world), str(tmp_path / "out.tpkx"), "--levels=3", "--area", str(tmp_path / "track.json")]

    assert main([*command, "--buffer", distance]) == 0

    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == {(3, 3, 3), (3, 3, 4), (3, 3, 5)}
    assert f"--area {tmp_path}/track.json: 1 line was buffered by {text}.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--area", "track.json"], "--area track.json: There is no polygon in it, only 1 LineString."),
        (["--area", "track.json", "--buffer", "0"], "--buffer: '0' cannot be used. It must be a number"),
        (["--area", "track.json", "--buffer", "-5km"], "--buffer: '-5' cannot be used. It must be a number"),
        (["--area", "track.json", "--buffer", "wide"], "--buffer: 'wide' cannot be used. It must be a number"),
        (["--area", "track.json", "--buffer", "5deg"], "--buffer: 'deg' cannot be used. It must be m, km, ft"),
        (["--area", "track.json", "--buffer", ""], "--buffer: It is empty."),
        (["--buffer", "500"], "--buffer: It buffers --area, which is missing."),
    ],
)
def test_a_buffer_that_cannot_be_made_is_refused_by_its_option(world, empty_folder, capsys, options, words):
    (empty_folder / "track.json").write_text(json.dumps(TRACK))

    assert main(["export", str(world), "out.tpkx", *options]) == 2

    said = capsys.readouterr().err
    assert said.startswith(f"exporttiles export: {words}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("tile", ["3/4/2", "120", " 3/4/2 "])
def test_an_area_may_be_a_tile_by_its_address_or_its_quadkey(world, tmp_path, tile):
    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--tile", tile]) == 0

    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == {(0, 0, 0), (1, 0, 1), (2, 1, 2), (3, 2, 4)}


def test_several_tiles_are_exported_together(world, tmp_path):
    main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels=3", "--tile", "3/0/0", "--tile", "2/3/3"])

    tiles = {(3, 0, 0), (3, 6, 6), (3, 6, 7), (3, 7, 6), (3, 7, 7)}
    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == tiles


@pytest.mark.parametrize(
    "tile", ["3/8/0", "3/0/8", "31/0/0", "3/4", "3/-1/0", "124", "z/x/y", "", "\u0663/0/0", "1" * 31]
)
def test_a_tile_that_does_not_exist_is_refused(world, empty_folder, capsys, tile):
    assert main(["export", str(world), "out.tpkx", "--tile", tile]) == 2

    said = capsys.readouterr().err
    assert said.startswith(f"exporttiles export: --tile: '{tile}' cannot be used. It must be zoom/x/y")
    assert listing(empty_folder) == []


def test_a_tile_excludes_other_areas(world, tmp_path, capsys):
    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--tile", "0/0/0", "--extent", BOX]) == 2

    assert "--tile and --extent exclude each other." in capsys.readouterr().err


def test_an_extent_may_begin_west_of_greenwich_and_be_in_degrees(world, tmp_path):
    command = ["export", str(world), str(tmp_path / "out.tpkx"), "--levels", "3"]
    main([*command, "--extent", "-44,-40,-1,-1", "--extent-wkid", "4326"])

    assert set(tiles_of((tmp_path / "out.tpkx").read_bytes())) == {(3, 4, 3)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("out.tpkx --levels 99", "--levels: '99' cannot be used. It must list levels from 0 to 23"),
        ("out.tpkx --extent 1,2,3 --extent-wkid 4326", "--extent: '1,2,3' cannot be used"),
        ("out.tpkx --extent 1,2,3,4,5 --extent-wkid 4326", "--extent: '1,2,3,4,5' cannot be used"),
        ("out.tpkx --extent west,0,1,1", "--extent: 'west,0,1,1' cannot be used"),
        ("out.tpkx --extent west,0,1,1 --extent-wkid 4326", 'xmin is "west", which is not a number'),
        ("out.tpkx --extent 10,0,0,10 --extent-wkid 3857", "--extent: xmin (10) must be less than xmax (0)"),
        ("out.tpkx --extent 7,50,8,51", "--extent: The coordinates look like degrees"),
        (
            "out.tpkx --extent 7,50,8,51 --extent-wkid 99999999",
            "--extent-wkid: No coordinate system is known as '99999999'",
        ),
        ("out.tpkx --extent 7,50,8,51 --extent-wkid 5773", "--extent-wkid: 'EGM96 height' is not a coordinate system"),
        ("out.tpkx --extent=", "--extent: It is empty"),
        ("out.tpkx --levels=", "--levels: It is empty"),
        ("out.tpkx --extent-wkid 4326", "--extent-wkid: It is the spatial reference of the four numbers of --extent"),
        ("out.tpkx --quality 101", "--quality: 101 is not in the range 0<=x<=100"),
        ("out.tpkx --clip", "--clip: 'true' cannot be used. Without areaOfInterest or exportExtent"),
        ("out.tpkx --extent 0,0,9,9 --extent-wkid 4326 --clip-color 0,0,0", "--clip-color: '0,0,0' cannot be used"),
        ("out.tpkx --levels 5", "--levels: None of the 1,024 selected tiles exists"),
        ("out.tpkx --area nowhere.json", "--area nowhere.json: No such file"),
        ("out.geojson", "OUT: 'out.geojson' is not a known kind of output. Use .tpkx"),
        ("nowhere/out.tpkx", "OUT: There is no folder"),
    ],
)
def test_what_cannot_be_exported_is_told_and_leaves_nothing(world, empty_folder, capsys, arguments, words):
    assert main(["export", str(world), *arguments.split()]) == 2

    said = capsys.readouterr().err
    assert said.startswith("exporttiles export: ")
    assert words in said
    assert said.count("\n") == 1
    assert listing(empty_folder) == []


def test_recompression_in_processes_makes_the_bytes_of_one(world, tmp_path, monkeypatch):
    command = ["export", str(world), "--levels", "0-3", "--quality", "40", "--name", "World"]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert main([*command, str(tmp_path / "one.tpkx")]) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert main([*command, str(tmp_path / "two.tpkx")]) == 0

    assert (tmp_path / "one.tpkx").read_bytes() == (tmp_path / "two.tpkx").read_bytes()


@pytest.mark.parametrize("tile_format", ["JPEG", "png", "MIXED"])
def test_a_cache_of_webp_is_converted_on_request_in_processes_as_in_one(tmp_path, monkeypatch, tile_format, capsys):
    body = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(body, "WEBP", lossless=True)
    for row in range(40):  # more than one message of a pool
        (tmp_path / f"cache/6/{row}").mkdir(parents=True)
        (tmp_path / f"cache/6/{row}/9.webp").write_bytes(body.getvalue())
    command = ["export", str(tmp_path / "cache"), "--tile-format", tile_format, "--name", "World"]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert main([*command, str(tmp_path / "one.tpkx")]) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert main([*command, str(tmp_path / "two.tpkx")]) == 0

    assert (tmp_path / "one.tpkx").read_bytes() == (tmp_path / "two.tpkx").read_bytes()
    assert "--tile-format: WEBP tiles become" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "one.tpkx")]) == 0


def test_clipping_in_processes_makes_the_bytes_of_one(world, tmp_path, monkeypatch):
    command = ["export", str(world), "--extent", "-100,-50,50,40", "--extent-wkid", "4326", "--clip", "--name", "World"]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert main([*command, str(tmp_path / "one.tpkx")]) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert main([*command, str(tmp_path / "two.tpkx")]) == 0

    assert (tmp_path / "one.tpkx").read_bytes() == (tmp_path / "two.tpkx").read_bytes()
    assert main(["check", str(tmp_path / "one.tpkx")]) == 0


def test_tiles_of_one_color_are_left_out_and_counted(world, tmp_path, capsys):
    folder, body = tmp_path / "world", io.BytesIO()
    shutil.copytree(world, folder)
    Image.new("RGB", (256, 256), (0, 0, 90)).save(body, "JPEG")
    (folder / "World/2/1/3.jpg").write_bytes(body.getvalue())

    assert main(["export", str(folder), str(tmp_path / "out.tpkx"), "--levels", "2", "--skip-one-color"]) == 0

    assert "1 tile of one color was left out." in capsys.readouterr().out
    assert len(tiles_of((tmp_path / "out.tpkx").read_bytes())) == 15
    assert main(["check", str(tmp_path / "out.tpkx")]) == 0


def test_a_tile_that_cannot_be_recompressed_is_named_though_another_process_found_it(world, tmp_path, capsys):
    folder = tmp_path / "world"
    shutil.copytree(world, folder)
    tile = folder / "World/2/1/3.jpg"
    tile.write_bytes(tile.read_bytes()[:200])

    assert main(["export", str(folder), str(tmp_path / "out.tpkx"), "--quality", "40"]) == 0

    assert "left as they are: 1 (level 2, row 3, column 1: The tile" in capsys.readouterr().out
    assert tiles_of((tmp_path / "out.tpkx").read_bytes())[2, 3, 1] == tile.read_bytes()


def test_a_command_imports_nothing_of_the_others():
    program = "import sys; from exporttiles.cli.main import main; main(['export', '--help'])\n"
    program += "sys.exit(sorted({'boto3', 'aws_lambda_powertools', 'exporttiles.cli.publish'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stderr.strip() == "[]"


def test_a_source_that_is_none_is_told(tmp_path, capsys):
    assert main(["export", str(tmp_path / "nowhere"), str(tmp_path / "out.tpkx")]) == 2
    assert "export: SOURCE: There is no file or folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["export", str(tmp_path / "empty"), str(tmp_path / "out.tpkx")]) == 1
    assert "There is no tile cache" in capsys.readouterr().err


def test_a_damaged_source_is_named_once_as_the_user_named_it(empty_folder, capsys):
    Path("my maps").mkdir()
    Path("my maps/trunc.tpkx").write_bytes(b"PK\3\4" + bytes(100))

    assert main(["export", "my maps/trunc.tpkx", "out.tpkx"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("exporttiles: my maps/trunc.tpkx: ")
    assert said.count("trunc.tpkx") == 1
    assert listing(empty_folder) == ["my maps"]


@pytest.mark.parametrize("stem", ["地図", "Übersicht", "Plan_2024-05", "карта мира", "a & b <c>", "خريطة"])
def test_a_title_has_the_letters_of_the_file_and_members_have_plain_names(world, tmp_path, stem):
    for suffix in (".tpkx", ".tpk", ".zip", ""):
        assert main(["export", str(world), str(tmp_path / f"{stem}{suffix}"), "--levels", "0"]) == 0
        assert all(name.isascii() for name in members(tmp_path / f"{stem}{suffix}"))

    tpkx, tpk = members(tmp_path / f"{stem}.tpkx"), members(tmp_path / f"{stem}.tpk")
    assert json.loads(tpkx["iteminfo.json"])["title"] == stem
    assert fromstring(tpk["esriinfo/iteminfo.xml"]).findtext("title") == stem


def test_a_name_is_the_title_whatever_the_file_is_called(world, tmp_path):
    main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels", "0", "--name", "地図 1"])

    info = json.loads(members(tmp_path / "out.tpkx")["iteminfo.json"])
    assert (info["title"], info["name"]) == ("地図 1", "_1")


def test_a_long_name_is_the_title_and_members_have_a_short_one(world, tmp_path):
    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--levels", "0", "--name", "x" * 300]) == 0

    info = json.loads(members(tmp_path / "out.tpkx")["iteminfo.json"])
    assert (info["title"], info["name"]) == ("x" * 300, "x" * 100)


def test_levels_without_tiles_are_named_and_take_no_work(tmp_path, capsys):
    objects = ObstoreObjects(LocalStore(tmp_path / "src", mkdir=True))
    put_files(objects, 0)
    objects.write("World/9/500/500.jpg", a_tile(9, 500, 500))

    assert main(["export", str(tmp_path / "src"), str(tmp_path / "out.tpkx"), "--levels", "0-23"]) == 0

    printed = capsys.readouterr().out
    assert "Warning: --levels: The cache has no tiles of levels 10-23." in printed
    assert "Warning: The export holds no tiles of levels 1-8, but of coarser" in printed
    assert "2 tiles are in out.tpkx" in printed


def test_an_area_that_is_too_complex_for_levels_without_tiles_is_exported(world, tmp_path):
    teeth = [[(step - 2000) / 2000 * 170, 80 if step % 2 else -80] for step in range(4001)]
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [[*teeth, [170, -85], [-170, -85], teeth[0]]]}))

    assert main(["export", str(world), str(tmp_path / "out.tpkx"), "--area", str(area), "--levels", "0-23"]) == 0
    assert (tmp_path / "out.tpkx").exists()


def test_tiles_that_do_not_exist_are_counted_in_a_warning(tmp_path, capsys):
    objects = ObstoreObjects(LocalStore(tmp_path / "src", mkdir=True))
    put_files(objects, 3)
    objects.delete([f"World/3/{column}/2.jpg" for column in range(5)])

    assert main(["export", str(tmp_path / "src"), str(tmp_path / "out.tpkx")]) == 0

    printed = capsys.readouterr().out
    assert "Warning: Selected tiles that do not exist in the cache and are left out: 5." in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_stopped_leaves_nothing(world, tmp_path, number):
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "from exporttiles.cli import main, run_export; "
    program += "run_export._ReportingSource.read_bundle = lambda *_: (print('reading', flush=True), signal.pause()); "
    program += "sys.exit(main.main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "export", str(world), str(tmp_path / "out.tpkx")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("Tiling scheme assumed")
        assert process.stdout.readline().startswith("Tiles: format JPEG")
        assert process.stdout.readline() == "exporting\n"
        assert process.stdout.readline() == "reading\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=20)

    assert (process.returncode, said.lstrip()) == (130, "exporttiles: stopped\n")
    assert listing(tmp_path) == []


def test_a_disk_that_is_full_leaves_nothing(world, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("exporttiles.adapters.local_objects.LocalObjects.join", full)

    assert main(["export", str(world), str(tmp_path / "out.tpkx")]) == 1

    words = (
        f"There is no room for out.tpkx in {tmp_path}: No space left on device. Free some space, or write elsewhere."
    )
    assert capsys.readouterr().err == f"exporttiles: {words}\n"
    assert listing(tmp_path) == []


def test_a_package_that_gdal_cannot_show_is_made_with_a_warning_and_a_dataset_without_one(tmp_path, capsys):
    next(found for found in INPUTS if found.name == "grids/lambert-93").make(tmp_path)

    assert main(["export", str(tmp_path / "cache"), str(tmp_path / "map.tpkx")]) == 0
    assert "Warning: GDAL and QGIS cannot show this tile package: " in capsys.readouterr().out
    assert main(["export", str(tmp_path / "cache"), str(tmp_path / "map.zip")]) == 0
    assert "GDAL" not in capsys.readouterr().out


def test_a_cache_in_another_grid_makes_a_geopackage_and_no_pmtiles_or_mbtiles(tmp_path_factory, empty_folder, capsys):
    folder = tmp_path_factory.mktemp("degrees")
    body = io.BytesIO()
    Image.new("RGB", (512, 512)).save(body, "PNG")
    ObstoreObjects(LocalStore(folder)).write("1/0/0.png", body.getvalue())

    for suffix, name in ((".pmtiles", "PMTiles"), (".mbtiles", "MBTiles")):
        assert main(["export", str(folder), f"out{suffix}", "--scheme", "wgs84_512"]) == 2
        assert f"OUT: {name} holds the tiles of Web Mercator alone, but its tiling scheme" in capsys.readouterr().err
        assert listing(empty_folder) == []

    assert main(["export", str(folder), "out.gpkg", "--scheme", "wgs84_512"]) == 0
    assert main(["check", "out.gpkg"]) == 0


def test_a_cache_of_webp_makes_what_can_hold_it_and_nothing_else(tmp_path_factory, empty_folder, capsys):
    folder = tmp_path_factory.mktemp("webp")
    body = io.BytesIO()
    Image.new("RGB", (256, 256)).save(body, "WEBP")
    ObstoreObjects(LocalStore(folder)).write("1/0/0.webp", body.getvalue())

    for suffix in (".tpkx", ".tpk", ".zip", ""):
        assert main(["export", str(folder), f"out{suffix}"]) == 2
        assert capsys.readouterr().err == (
            "exporttiles export: OUT: Tile packages and cache datasets hold JPEG, PNG or LERC; "
            "the tiles of this service are WEBP. Use .pmtiles, .mbtiles or .gpkg, or convert the tiles with "
            "--tile-format.\n"
        )
        assert listing(empty_folder) == []

    for name in ("out.pmtiles", "out.mbtiles", "out.gpkg"):
        for force in ([], ["--force"]):
            assert main(["export", str(folder), name, *force]) == 0
        assert main(["check", name]) == 0


def test_elevation_makes_packages_and_datasets_alone(tmp_path_factory, empty_folder, capsys):
    folder = tmp_path_factory.mktemp("lerc")
    ObstoreObjects(LocalStore(folder)).write("1/0/0.lerc", b"Lerc2 " + bytes(90))

    assert main(["export", str(folder), "out.pmtiles"]) == 2
    assert "are LERC. Use .tpkx, .tpk or .zip, or no suffix for a folder." in capsys.readouterr().err
    assert listing(empty_folder) == []


def test_pmtiles_that_were_exported_are_a_source_again(world, tmp_path):
    assert main(["export", str(world), str(tmp_path / "World.pmtiles"), "--levels", "0-3"]) == 0

    for source, out in ((world, "direct.tpkx"), (tmp_path / "World.pmtiles", "again.tpkx")):
        assert main(["export", str(source), str(tmp_path / out), "--levels", "0-3"]) == 0

    direct, again = (tiles_of((tmp_path / name).read_bytes()) for name in ("direct.tpkx", "again.tpkx"))
    assert again == direct
