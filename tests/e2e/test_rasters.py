"""GeoTIFFs in S3: published, exported over HTTP, and drawn by GDAL from the package as GDAL warps them."""

import io
import json
from datetime import UTC, datetime
from time import sleep

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from pmtiles.reader import MemorySource, all_tiles
from rasterio.windows import Window

from exporttiles.cli.main import main
from exporttiles.domain.service import TileFormat
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from local.services import exporttiles
from tests.e2e.jobs import texts
from tests.oracles.test_rasters import blocks_of, warped
from tests.rasters import an_orthophoto, drawn_tiles, imagery, inspected, write_geotiff
from tests.unit.formats.test_stac import an_item


@pytest.fixture(scope="module")
def folder(cloud, tiles, tmp_path_factory):
    """Ortho: one COG in the tile bucket; the folder it came from."""
    folder = tmp_path_factory.mktemp("ortho")
    path = an_orthophoto(folder / "ortho.tif", size=(1400, 1700), compress="jpeg", photometric="ycbcr")
    tiles.write("caches/ortho.tif", path.read_bytes())
    exporttiles(cloud, "publish", "Ortho", f"s3://{cloud.outputs['TileBucketName']}/caches/ortho.tif")
    return folder


def test_a_cog_is_published_exported_and_drawn_by_gdal(client, folder, tmp_path):
    job = client.export("Ortho", tilePackage="true")

    path = tmp_path / "Ortho.tpkx"
    path.write_bytes(client.package("Ortho", job))

    assert main(["check", str(path)]) == 0
    service = inspected(folder, "ortho.tif")[1].service
    (block,) = blocks_of(service, service.max_level, 4)
    corner = WEB_MERCATOR_256.tile_extent(block.level, block.row_start, block.column_start)
    with rasterio.open(path, EXTENT_SOURCE="TILING_SCHEME") as dataset:
        row, column = dataset.index(corner.xmin + 0.01, corner.ymax - 0.01)
        drawn = np.moveaxis(dataset.read(window=Window(column, row, 1024, 1024)), 0, 2)[..., :3]
    theirs = warped(folder / "ortho.tif", WEB_MERCATOR_256, block)
    inside = theirs[..., 3] == 255
    assert inside.mean() > 0.5
    assert np.abs(drawn[inside].astype(int) - theirs[inside][:, :3]).mean() < 3


def test_clients_see_the_tiles_of_the_service_and_its_estimate(client, folder):
    service = client.get("Ortho/ImageServer")
    assert service["tileInfo"]["format"] == "MIXED"
    assert service["fullExtent"]["spatialReference"]["latestWkid"] == 3857
    level = service["maxLOD"]
    block = WEB_MERCATOR_256.tile_range(inspected(folder, "ortho.tif")[1].service.full_extent, level)
    row, column = (block.row_start + block.row_stop) // 2, (block.column_start + block.column_stop) // 2

    with client.open(f"{client.cloud.services_url}/Ortho/ImageServer/tile/{level}/{row}/{column}") as response:
        assert response.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(response.read())).size == (256, 256)
    job = client.post("Ortho/ImageServer/estimateExportTilesSize", levels=str(level))
    shown = client.get(f"Ortho/ImageServer/estimateExportTilesSize/jobs/{job['jobId']}")
    assert any("a sample of its tiles, drawn for it" in text for text in texts(shown))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("levels", ["13-14", "15", "13-17"])
def test_estimates_of_drawn_tiles_are_within_a_factor_of_one_and_a_half(client, levels):
    estimate = client.post("Ortho/ImageServer/estimateExportTilesSize", levels=levels, tilePackage="true")
    result = client.get(f"Ortho/ImageServer/estimateExportTilesSize/jobs/{estimate['jobId']}/results/out_service_url")

    job = client.export("Ortho", tilePackage="true", levels=levels)

    size_bytes = len(client.package("Ortho", job))
    assert size_bytes / 1.5 < result["value"]["totalSize"] < size_bytes * 1.5
    assert any(f"{result['value']['totalTilesToExport']} tiles" in text for text in texts(job))


def test_a_replaced_file_of_a_mosaic_is_drawn_and_exported_as_a_delta(client, cloud, tiles, tmp_path):
    root = f"s3://{cloud.outputs['TileBucketName']}/caches/pair"
    for number in (0, 1):
        path = an_orthophoto(tmp_path / f"{number}.tif", corner=(500_000 + 2_000 * number, 5_200_000), size=(500, 500))
        tiles.write(f"caches/pair/{number}.tif", path.read_bytes())
    exporttiles(cloud, "publish", "Pair", f"{root}/1.tif", f"{root}/0.tif")
    sleep(1.1)  # S3 counts seconds
    since = datetime.now(UTC)

    path = write_geotiff(
        tmp_path / "1.tif", imagery(500, 500, seed=7), "EPSG:32632", Affine(1, 0, 502_000, 0, -1, 5_200_000)
    )
    tiles.write("caches/pair/1.tif", path.read_bytes())
    job = client.export("Pair", tilePackage="true", storageFormatType="PMTiles", levels="16", since=since.isoformat())

    folder = client.get(f"Pair/ImageServer/exportTiles/jobs/{job['jobId']}/results/out_service_url")["value"]
    package = next(file["url"] for file in client.get(folder)["files"] if file["name"].endswith(".pmtiles"))
    with client.open(package) as response:
        found = {(row, column): tile for (_, column, row), tile in all_tiles(MemorySource(response.read()))}
    objects, here = inspected(tmp_path, "1.tif")
    assert found == drawn_tiles(objects, here.service, WEB_MERCATOR_256.tile_range(here.service.full_extent, 16))


def test_chosen_bands_and_values_are_published_and_drawn_in_the_format_of_a_request(client, cloud, tiles, tmp_path):
    samples = imagery(500, 600, 4).astype(np.uint16) * 13
    corner = Affine(2, 0, 500_000, 0, -2, 5_200_000)
    path = write_geotiff(tmp_path / "bands.tif", samples, "EPSG:32632", corner, photometric="minisblack")
    tiles.write("caches/bands.tif", path.read_bytes())
    url = f"s3://{cloud.outputs['TileBucketName']}/caches/bands.tif"

    exporttiles(cloud, "publish", "Infrared", url, "--bands", "4,3,2", "--rescale", "auto")
    job = client.export("Infrared", tilePackage="true", storageFormatType="PMTiles", tileFormat="PNG", levels="14")

    assert "tileFormat: Tiles are drawn as PNG, without loss." in texts(job)
    found = {(row, column): tile for (_, column, row), tile in all_tiles(MemorySource(client.package("Infrared", job)))}
    objects, here = inspected(tmp_path, "bands.tif", bands=(4, 3, 2), rescale="auto", tile_format=TileFormat.PNG)
    assert found == drawn_tiles(objects, here.service, WEB_MERCATOR_256.tile_range(here.service.full_extent, 14))


def test_a_stac_item_is_published_and_exported(client, cloud, tiles, folder, tmp_path):
    bucket = cloud.outputs["TileBucketName"]
    tiles.write("caches/stac/data/ortho.tif", (folder / "ortho.tif").read_bytes())
    item = an_item(f"s3://{bucket}/caches/stac/data/ortho.tif", license="CC-BY-4.0", title="Flight")
    tiles.write("caches/stac/item.json", json.dumps(item).encode())

    exporttiles(cloud, "publish", "Flight", f"s3://{bucket}/caches/stac/item.json")
    job = client.export("Flight", tilePackage="true", levels="12-14")

    path = tmp_path / "Flight.tpkx"
    path.write_bytes(client.package("Flight", job))
    assert main(["check", str(path)]) == 0
    assert client.get("Flight/ImageServer")["copyrightText"] == "CC-BY-4.0"
