"""The commands `exporttiles export` and `exporttiles check` with a cache and packages in S3 (moto)."""

import pytest

from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from tests.builders import put_bundles


@pytest.fixture(autouse=True)
def environment(s3_endpoint, monkeypatch):
    options = {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
    for name, value in options.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def test_a_cache_in_s3_gives_the_package_that_a_folder_gives(bucket, tmp_path):
    (tmp_path / "cache").mkdir()
    put_bundles(open_store(f"s3://{bucket}/caches"), 3)
    put_bundles(open_store((tmp_path / "cache").as_uri()), 3)

    for source, name in ((f"s3://{bucket}/caches", "s3"), (str(tmp_path / "cache"), "folder")):
        assert main(["export", source, str(tmp_path / f"{name}.zip"), "--levels", "0-3", "--name", "World"]) == 0

    assert (tmp_path / "s3.zip").read_bytes() == (tmp_path / "folder.zip").read_bytes()


@pytest.mark.parametrize("options", [[], ["--structure"]])
def test_a_package_in_s3_is_checked_in_place(bucket, tmp_path, capsys, options):
    (tmp_path / "cache").mkdir()
    put_bundles(open_store((tmp_path / "cache").as_uri()), 3)
    assert main(["export", str(tmp_path / "cache"), str(tmp_path / "World.tpkx")]) == 0
    open_store(f"s3://{bucket}/packages").write("World.tpkx", (tmp_path / "World.tpkx").read_bytes())

    assert main(["check", f"s3://{bucket}/packages/World.tpkx", *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "The package is sound."


def test_a_package_that_is_not_in_s3_is_named(bucket, capsys):
    assert main(["check", f"s3://{bucket}/World.tpkx"]) == 2

    assert capsys.readouterr().err == f"exporttiles check: PACKAGE: There is no object s3://{bucket}/World.tpkx.\n"


def test_a_cache_that_is_not_in_s3_is_named_once(bucket, tmp_path, capsys):
    assert main(["export", f"s3://{bucket}/World.tpkx", str(tmp_path / "out.tpkx")]) == 1

    assert capsys.readouterr().err == f"exporttiles: s3://{bucket}/World.tpkx: There is no archive World.tpkx.\n"
