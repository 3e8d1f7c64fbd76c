"""GeoTIFFs with unusual names: in a folder, in S3, alone and in a folder."""

import unicodedata
from datetime import timedelta

import numpy as np
import pytest

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.tile_sources import TileCaches
from exporttiles.cli.main import main
from exporttiles.domain.tiling import PACKET_SIZE
from tests.rasters import an_orthophoto

NAMES = [
    "a b.tif",
    "日本 ü.tif",
    unicodedata.normalize("NFD", "ü2.tif"),
    "c%20d.tif",
    "e+f.tif",
    "g#h.tif",
    "i?j.tif",
    'k"l.tif',
    "m'n.tif",
    "o&p=q.tif",
    "a:b.tif",
]


@pytest.fixture
def on_moto(s3_endpoint, bucket, monkeypatch):
    """A bucket that commands reach."""
    settings = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_REGION": "us-east-1"}
    settings |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return bucket


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return an_orthophoto(tmp_path_factory.mktemp("picture") / "o.tif", size=(300, 300)).read_bytes()


@pytest.fixture(params=["disk", "published", "s3"])
def read(request, on_moto, tmp_path, capsys):
    """Return a function that stores a file under a key, and one that reads a source from a folder."""
    root = tmp_path / "orthos"
    client = request.getfixturevalue("s3")

    def put(key, body):
        if request.param == "s3":
            client.put_object(Bucket=on_moto, Key=f"orthos/{key}", Body=body)
        else:
            (root / key).parent.mkdir(parents=True)
            (root / key).write_bytes(body)

    def run(place):
        source = f"s3://{on_moto}/orthos{place}" if request.param == "s3" else f"{root}{place}"
        if request.param == "disk":
            code = main(["export", source, str(tmp_path / "out.tpkx"), "--force", "--levels", "14"])
            assert code == 0, capsys.readouterr().err
            return
        assert main(["publish", "Ortho", source, "--bucket", on_moto]) == 0, capsys.readouterr().err
        service = ServiceCatalog(open_store(f"s3://{on_moto}")).get("Ortho")
        tiles = TileCaches(timedelta(seconds=5), {on_moto}, lambda: open_store(f"s3://{on_moto}"))
        block = service.tiling_scheme.tile_range(service.full_extent, 14)
        bundle = next(block.bundles)
        selected = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
        selected[bundle.slices(block)] = True
        assert list(tiles.open(service.cache).read_bundle(bundle, selected))

    return put, run


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_and_folders_are_read_as_they_are(name, picture, read):
    put, run = read
    folder = name.removesuffix(".tif")
    put(f"{folder}/{name}", picture)

    for place in (f"/{folder}/{name}", f"/{folder}", ""):
        run(place)
