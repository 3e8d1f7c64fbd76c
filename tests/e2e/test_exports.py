"""Whole exports over HTTP: request, job, result, listing, redirect, package."""

import io
import json
import zipfile
import zlib
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from exporttiles.domain.area import Area
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from tests.e2e.jobs import texts
from tests.unit.usecases.test_buffered_exports import tiles_within
from tests.unit.usecases.test_export import tiles_of

WORLD_TILES = (4**8 - 1) // 3
EXAMPLE_ONE = {
    "tilePackage": "true",
    "exportExtent": "",
    "optimizeTilesForSize": "true",
    "compressionQuality": "90",
    "exportBy": "levelId",
    "levels": "0-7",
    "areaOfInterest": "",
}
EXAMPLE_THREE = {
    "tilePackage": "true",
    "exportExtent": "",
    "optimizeTilesForSize": "true",
    "compressionQuality": "60",
    "exportBy": "levelId",
    "levels": "13-19",
    "areaOfInterest": (
        '{"features":[{"geometry":{"rings":[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]}}]}'
        ',"spatialReference":{"wkid":4326}}}]}'
    ),
}
MERCATOR = WEB_MERCATOR_256.spatial_reference


def file_of(world, place):
    level, row, column = place
    return (world / str(level) / str(column) / f"{row}.jpg").read_bytes()


@pytest.fixture(scope="module")
def whole(client, world):
    """The job of documentation example one and its package: 21,845 tiles."""
    job = client.export("World_Imagery", **EXAMPLE_ONE)
    return job, client.package("World_Imagery", job)


def test_example_one_exports_every_tile_as_it_lies_in_the_cache(whole, world):
    job, package = whole

    found = tiles_of(package)

    assert len(found) == WORLD_TILES
    assert all(tile == file_of(world, place) for place, tile in found.items())
    assert "21,845 tiles are in World_Imagery.tpkx" in " ".join(texts(job))


def test_example_one_is_sound(whole):
    _, package = whole

    report = check_package(io.BytesIO(package))

    assert report.findings == ()
    assert report.tile_counts == {level: 4**level for level in range(8)}


def test_the_report_on_example_one_is_a_result_and_tells_what_an_independent_look_finds(client, whole):
    job, package = whole
    path = job["results"]["verification"]["paramUrl"]

    url = client.get(f"World_Imagery/ImageServer/jobs/{job['jobId']}/{path}")["value"]["url"]
    with client.open(url) as response:
        report = json.load(response)

    found = check_package(io.BytesIO(package))
    assert {level["level"]: level["verified"] for level in report["levels"]} == dict(found.tile_counts)
    assert report["sizeBytes"] == report["checksums"]["comparedByStore"]["bytes"] == len(package)
    assert report["checksums"]["package"] == f"{zlib.crc32(package):08x}"
    assert report["remarks"] == []


@pytest.mark.parametrize("level", range(8))
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdal_draws_example_one_pixel_by_pixel(whole, world, tmp_path, level):
    path = tmp_path / "World_Imagery.tpkx"
    path.write_bytes(whole[1])
    overview = {} if level == 7 else {"overview_level": 6 - level}

    with rasterio.open(path, EXTENT_SOURCE="TILING_SCHEME", **overview) as dataset:
        for place in {(0, 0), (2**level - 1, 2**level // 3), (2**level // 2, 2**level - 1)}:
            row, column = place
            drawn = dataset.read(window=Window(column * 256, row * 256, 256, 256))
            # Decoded by GDAL as well: decoders of JPEG differ in how they smooth colours.
            with rasterio.open(world / str(level) / str(column) / f"{row}.jpg") as tile:
                np.testing.assert_array_equal(drawn, tile.read())


def test_bundles_and_files_give_equal_packages(client, whole, bundles):
    job = client.export("Bundles/World_Imagery", **EXAMPLE_ONE)

    packages = [zipfile.ZipFile(io.BytesIO(body)) for body in (whole[1], client.package("Bundles/World_Imagery", job))]

    files, from_bundles = packages
    assert files.namelist() == from_bundles.namelist()
    for name in files.namelist():
        # The item's id comes from the job, levels of detail from each cache's own document.
        if name not in {"iteminfo.json", "root.json"}:
            assert files.read(name) == from_bundles.read(name), name


def test_recompression_makes_the_world_smaller_and_loses_no_tile(client, whole):
    job = client.export("World_Imagery", **EXAMPLE_ONE | {"compressionQuality": "40", "levels": "0-5"})

    package = client.package("World_Imagery", job)

    small, large = tiles_of(package), tiles_of(whole[1])
    assert len(small) == (4**6 - 1) // 3
    assert sum(map(len, small.values())) < 0.8 * sum(len(large[place]) for place in small)
    assert "Recompressed to JPEG quality 40" in " ".join(texts(job))
    assert check_package(io.BytesIO(package)).findings == ()


def test_a_box_in_degrees_exports_the_tiles_it_covers(client, world):
    box = '{"xmin":5,"ymin":44,"xmax":12,"ymax":48,"spatialReference":{"wkid":4326}}'

    job = client.export("World_Imagery", exportExtent=box, levels="3,5-7")

    found = tiles_of(client.package("World_Imagery", job))
    assert {level for level, _, _ in found} == {3, 5, 6, 7}
    assert {(row, column) for level, row, column in found if level == 7} == {
        (row, column) for row in range(44, 47) for column in range(65, 69)
    }


def test_a_polygon_exports_the_tiles_it_meets_and_no_others(client, world):
    rings = json.loads((world.parents[1] / "tests/data/areas.geojson").read_text())["features"]
    (laos,) = (feature["geometry"]["coordinates"] for feature in rings if feature["properties"]["name"] == "laos")
    area = Area((tuple(np.array(ring) for ring in laos),), WGS84).to(MERCATOR)
    selection = TileSelection(WEB_MERCATOR_256, area, WEB_MERCATOR_256.tile_extent(0, 0, 0))

    polygon = json.dumps({"rings": laos, "spatialReference": {"wkid": 4326}})
    job = client.export("World_Imagery", areaOfInterest=polygon, exportExtent="DEFAULT", levels="5-7")

    found = tiles_of(client.package("World_Imagery", job))
    expected = set()
    for level in (5, 6, 7):
        for bundle, _ in selection.bundles(level):
            for row, column in np.argwhere(selection.mask(bundle)).tolist():
                expected.add((level, bundle.row + row, bundle.column + column))
    assert found.keys() == expected
    box = WEB_MERCATOR_256.tile_range(area.extent, 7)
    assert sum(level == 7 for level, _, _ in found) < box.count  # it is not just its box


def test_a_corridor_exports_the_tiles_within_its_distance(client, world):
    line = [[8, 47], [28, 59]]
    geometry = json.dumps({"type": "LineString", "coordinates": line})

    job = client.export("World_Imagery", areaOfInterest=geometry, bufferDistance="120", bufferUnit="km", levels="7")

    assert "areaOfInterest: 1 line was buffered by 120 km." in texts(job, "Informative")
    found = {(column, row) for _, row, column in tiles_of(client.package("World_Imagery", job))}
    assert tiles_within(line, 119_500, 7) <= found <= tiles_within(line, 120_500, 7)


def test_levels_by_area_export_each_area_at_its_levels_and_the_world_as_overview(client, world):
    county = {"exportExtent": {"xmin": 5, "ymin": 44, "xmax": 12, "ymax": 48, "spatialReference": {"wkid": 4326}}}
    fire = {"areaOfInterest": {"type": "Point", "coordinates": [7.44, 46.95]}, "bufferDistance": 500}
    areas = json.dumps([{**county, "levels": "3-5", "name": "County"}, {**fire, "levels": "5-6", "name": "Fire"}])
    single = {
        each: client.export("World_Imagery", **{name: json.dumps(value) for name, value in area.items()}, levels=levels)
        for each, area, levels in (("County", county, "3-5"), ("Fire", fire, "5-6"), ("world", {}, "0-2"))
    }

    job = client.export("World_Imagery", areas=areas, overviewLevels="0-2")

    package = client.package("World_Imagery", job)
    assert check_package(io.BytesIO(package)).findings == ()
    expected = {}
    for each in single.values():
        expected |= tiles_of(client.package("World_Imagery", each))
    assert tiles_of(package) == expected
    assert "areas[1] (Fire): 2 tiles of levels 5-6." in texts(job, "Informative")


def test_tiles_are_exported_by_their_names(client, small):
    job = client.export(small, tiles="2/1/3,021", levels="2-3")

    found = tiles_of(client.package(small, job)).keys()
    assert found == {(2, 3, 1), (3, 6, 2), (3, 6, 3), (3, 7, 2), (3, 7, 3), (2, 1, 0), (3, 2, 1)}


def test_levels_without_tiles_are_named_in_a_warning(client, small):
    job = client.export(small, levels="4-5")

    assert job["jobStatus"] == "esriJobSucceeded"
    assert texts(job, "Warning") == ["levels: The cache has no tiles of level 5."]


def test_no_existing_tile_fails_and_says_so(client, small):
    job = client.export(small, levels="6")

    assert job["jobStatus"] == "esriJobFailed"
    assert "None of the 4,096 selected tiles exists" in texts(job, "Error")[0]


def test_example_three_fails_with_the_exact_count_and_tells_of_the_repair(client, world):
    job = client.export("World_Imagery", **EXAMPLE_THREE)

    assert job["jobStatus"] == "esriJobFailed"
    assert any(
        text.startswith("ERROR 001564: Requested tile count(") and "World_Imagery:ImageServer" in text
        for text in texts(job, "Error")
    )
    assert texts(job, "Warning")


def test_the_package_answers_head_ranges_and_stray_parameters(client, small):
    job = client.export(small, levels="0-2")
    package = client.package(small, job)
    (url,) = job["output"]["outputUrl"]

    with client.open(url, "HEAD") as head:
        assert int(head.headers["Content-Length"]) == len(package)
    with urlopen(f"{url}?{urlencode({'token': 'abc'} | client.sent)}") as whole:
        assert whole.read() == package
    with client.open(url, Range="bytes=2-5") as part:
        assert (part.status, part.read()) == (206, package[2:6])


def test_a_job_is_the_same_at_its_three_addresses_by_get_and_post(client, small):
    job = client.export(small, levels="0")
    path = f"jobs/{job['jobId']}"

    for base in ("", "exportTiles/", "estimateExportTilesSize/"):
        for ask in (client.get, client.post):
            assert ask(f"{small}/ImageServer/{base}{path}")["jobStatus"] == "esriJobSucceeded"


def test_progress_never_goes_back_or_beyond_the_end(client, world):
    submitted = client.post("World_Imagery/ImageServer/exportTiles", **EXAMPLE_ONE | {"levels": "0-6"})
    seen = []
    while (job := client.get(f"World_Imagery/ImageServer/jobs/{submitted['jobId']}"))[
        "jobStatus"
    ] != "esriJobSucceeded":
        assert job["jobStatus"] in {"esriJobSubmitted", "esriJobExecuting"}
        seen.append(job.get("progress", {}).get("percent", 0))

    assert seen == sorted(seen)
    assert all(0 <= percent <= 100 for percent in seen)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"levels": "0-99"}, ["levels", "0-99", "0 to 23"]),
        ({"levels": "high"}, ["levels", "high"]),
        ({"exportExtent": "1,2,3"}, ["exportExtent", "1,2,3"]),
        ({"compressionQuality": "101", "optimizeTilesForSize": "true"}, ["compressionQuality", "101", "100"]),
        ({"areaOfInterest": '{"rings":'}, ["areaOfInterest"]),
        ({"areas": '[{"exportExtent":"0,0,9,9","levels":"99"}]'}, ["areas[0].levels", "99", "0 to 23"]),
        ({"storageFormatType": "zip"}, ["storageFormatType", "zip", "esriMapCacheStorageModeCompactV2"]),
        ({"exportBy": "colour"}, ["exportBy", "colour", "LevelID"]),
        ({"tilePackage": "maybe"}, ["tilePackage", "maybe", "true"]),
    ],
)
def test_a_bad_parameter_is_named_with_its_value_and_what_is_legal(client, small, parameters, words):
    answer = client.get(f"{small}/ImageServer/exportTiles", **{"tilePackage": "true"} | parameters)

    assert answer["error"]["code"] == 400
    text = json.dumps(answer["error"])
    assert [word for word in words if word not in text] == []


def test_an_unknown_service_is_said_to_be_unknown(client, small):
    assert client.get("Nowhere/ImageServer/exportTiles")["error"]["code"] == 404
