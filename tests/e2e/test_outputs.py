"""Every output over HTTP: what a client gets when it names no output, and when it names one."""

import io
import json
import zipfile
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio

from exporttiles.cli.main import main
from exporttiles.formats.checks.cache_check import check_cache_archive
from tests.e2e.jobs import left_behind
from tests.oracles.exports import by_mapproxy, by_pmtiles, by_sqlite, by_tpkutils, decoded

LEVELS = range(4)
PLACES = [(level, row, column) for level in LEVELS for row in range(2**level) for column in range(2**level)]


@pytest.fixture(scope="module")
def tiles_of_small(world):
    """The tiles of the service Small, by level, row and column."""
    return {place: (world / f"{place[0]}/{place[2]}/{place[1]}.jpg").read_bytes() for place in PLACES}


def folder_of(client, service, job):
    """Return the address of the folder of a job, from its result."""
    path = job["results"]["out_service_url"]["paramUrl"]
    return client.get(f"{service}/ImageServer/exportTiles/jobs/{job['jobId']}/{path}")["value"]


def download(client, url, folder):
    """Write all files below an address into a folder, as a client does that walks the tree."""
    listing = client.get(url)
    folder.mkdir(exist_ok=True)
    for file in listing["files"]:
        with client.open(file["url"]) as response:
            (folder / file["name"]).write_bytes(response.read())
    for inner in listing["folders"]:
        download(client, inner["url"], folder / inner["name"])


def test_a_call_without_tile_package_delivers_a_dataset_as_a_tree_and_as_a_zip(
    client, small, tiles_of_small, tmp_path, capsys
):
    job = client.wait(small, client.post(f"{small}/ImageServer/exportTiles", levels="0-3")["jobId"])

    download(client, folder_of(client, small, job), tmp_path)

    layers = tmp_path / "Small" / "Layers"
    assert by_mapproxy(layers / "_alllayers", PLACES, version=2) == tiles_of_small
    assert main(["check", str(tmp_path / "Small")]) == 0
    assert "sound" in capsys.readouterr().out
    with rasterio.open(layers / "conf.xml") as dataset:
        assert (dataset.width, dataset.crs.to_epsg()) == (256 * 2 ** max(LEVELS), 3857)
    package = client.package(small, job)
    assert package == (tmp_path / "Small.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        unpacked = {name: archive.read(name) for name in archive.namelist()}
    assert unpacked == {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in layers.rglob("*") if path.is_file()
    }


def test_a_dataset_of_the_older_format(client, small, tiles_of_small, tmp_path):
    job = client.export(small, tilePackage="false", storageFormatType="Compact", levels="0-3")

    package = client.package(small, job)

    assert check_cache_archive(io.BytesIO(package), is_package=False).findings == ()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        archive.extractall(tmp_path)
    assert by_mapproxy(tmp_path / "Small/Layers/_alllayers", PLACES, version=1) == tiles_of_small


def test_a_package_of_the_older_format(client, small, tiles_of_small, tmp_path):
    job = client.export(small, storageFormatType="esriMapCacheStorageModeCompact", levels="0-3")

    (tmp_path / "Small.tpk").write_bytes(client.package(small, job))

    assert job["output"]["outputUrl"][0].endswith("/Small.tpk")
    assert by_tpkutils(tmp_path / "Small.tpk") == tiles_of_small
    assert main(["check", str(tmp_path / "Small.tpk")]) == 0


def test_a_pmtiles_archive(client, small, tiles_of_small, tmp_path):
    job = client.export(small, storageFormatType="PMTiles", levels="0-3")

    (tmp_path / "Small.pmtiles").write_bytes(client.package(small, job))

    assert job["output"]["outputUrl"][0].endswith("/Small.pmtiles")
    assert by_pmtiles(tmp_path / "Small.pmtiles") == tiles_of_small
    assert main(["check", str(tmp_path / "Small.pmtiles")]) == 0


def test_a_pmtiles_archive_of_several_fragments_is_joined_by_the_store(client, world, tmp_path):
    job = client.export("World_Imagery", storageFormatType="PMTiles", levels="0-7")

    path = tmp_path / "World_Imagery.pmtiles"
    path.write_bytes(client.package("World_Imagery", job))

    assert path.stat().st_size > 4 * 5 * 2**20  # of several parts
    assert main(["check", str(path)]) == 0
    found = by_pmtiles(path)
    assert len(found) == sum(4**level for level in range(8))
    for place in found.keys() & {(7, row, column) for row in range(0, 128, 9) for column in range(0, 128, 9)}:
        assert found[place] == (world / f"{place[0]}/{place[2]}/{place[1]}.jpg").read_bytes()


@pytest.mark.parametrize("suffix", ["mbtiles", "gpkg"])
def test_databases_of_tiles(client, small, tiles_of_small, tmp_path, suffix):
    storage_format = {"mbtiles": "MBTiles", "gpkg": "GeoPackage"}[suffix]
    job = client.export(small, storageFormatType=storage_format, levels="0-3")

    path = tmp_path / f"Small.{suffix}"
    path.write_bytes(client.package(small, job))

    assert job["output"]["outputUrl"][0].endswith(f"/Small.{suffix}")
    assert by_sqlite(path, rows_from_bottom=suffix == "mbtiles") == tiles_of_small
    assert main(["check", str(path)]) == 0
    with rasterio.open(path) as dataset:
        assert dataset.crs.to_epsg() == 3857


def test_a_clipped_package_shows_nothing_outside_the_area_and_its_inner_tiles_are_those_of_the_cache(
    client, small, tiles_of_small, tmp_path
):
    side = 20037508.342787
    ring = [[-0.4 * side, -0.7 * side], [-0.4 * side, 0.6 * side], [0.6 * side, 0.6 * side], [0.6 * side, -0.7 * side]]
    job = client.export(small, clip="true", levels="0-3", areaOfInterest=json.dumps({"rings": [ring]}))

    path = tmp_path / "Small.tpkx"
    path.write_bytes(client.package(small, job))

    assert main(["check", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    found = by_mapproxy(tmp_path / "tile", PLACES, version=2)
    inner = {(3, row, column) for row in (2, 3, 4, 5) for column in (3, 4, 5)} | {(2, 1, 2), (2, 2, 2)}
    assert {place for place, tile in found.items() if tile == tiles_of_small[place]} == inner
    with rasterio.open(path, EXTENT_SOURCE="TILING_SCHEME") as dataset:
        alpha = dataset.read(4)
    lines = (np.arange(2048) + 0.5) / 1024 - 1
    is_inside = np.outer((-lines > -0.7) & (-lines < 0.6), (lines > -0.4) & (lines < 0.6))
    assert ((alpha == 255) == is_inside).all()
    assert (alpha[~is_inside] == 0).all()


def test_a_tile_package_of_another_tile_format(client, small, tiles_of_small, tmp_path):
    job = client.export(small, tileFormat="PNG", levels="0-3")

    path = tmp_path / "Small.tpkx"
    path.write_bytes(client.package(small, job))

    assert main(["check", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    found = by_mapproxy(tmp_path / "tile", PLACES, version=2)
    assert found.keys() == tiles_of_small.keys()
    assert all(np.array_equal(decoded(tile), decoded(tiles_of_small[place])) for place, tile in found.items())


def test_files_in_folders_answer_head(client, small):
    job = client.export(small, tilePackage="false", levels="0")
    url = f"{folder_of(client, small, job)}/Small/Layers/conf.xml"

    with client.open(url, "HEAD") as head:
        length = int(head.headers["Content-Length"])
    with urlopen(f"{url}?{urlencode({'token': 'abc'} | client.sent)}") as whole:
        body = whole.read()

    assert (len(body), b"<CacheInfo" in body) == (length, True)


def test_a_cancelled_dataset_leaves_nothing_behind(cloud, client, world):
    job_id = client.post("World_Imagery/ImageServer/exportTiles", levels="0-7")["jobId"]

    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")

    assert client.wait("World_Imagery", job_id)["jobStatus"] == "esriJobCancelled"
    assert left_behind(cloud, job_id) == []
