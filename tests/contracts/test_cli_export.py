"""The command `exporttiles export` with a cache in S3 (moto)."""

from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from tests.builders import put_bundles


def test_a_cache_in_s3_gives_the_package_that_a_folder_gives(bucket, s3_endpoint, monkeypatch, tmp_path):
    options = {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
    for name, value in options.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (tmp_path / "cache").mkdir()
    put_bundles(open_store(f"s3://{bucket}/caches"), 3)
    put_bundles(open_store((tmp_path / "cache").as_uri()), 3)

    for source, name in ((f"s3://{bucket}/caches", "s3"), (str(tmp_path / "cache"), "folder")):
        assert main(["export", source, str(tmp_path / f"{name}.zip"), "--levels", "0-3", "--name", "World"]) == 0

    assert (tmp_path / "s3.zip").read_bytes() == (tmp_path / "folder.zip").read_bytes()
