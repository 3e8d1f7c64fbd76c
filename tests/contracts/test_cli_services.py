"""The commands `exporttiles publish`, `services` and `unpublish`, on the stacks and buckets of moto."""

import json
from io import StringIO
from uuid import uuid4

import boto3
import click
import pytest

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from tests.builders import put_bundles, put_files
from tests.contracts.conftest import client_options
from tests.rasters import an_orthophoto

SERVICES_URL = "https://maps.example.org/arcgis/rest/services"


@pytest.fixture(autouse=True)
def environment(s3_endpoint, monkeypatch):
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def stack(s3_endpoint, bucket):
    """A stack that has the outputs of ours."""
    name, outputs = f"stack-{uuid4()}", {"TileBucketName": bucket, "ServicesUrl": SERVICES_URL}
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    client = boto3.client("cloudformation", **client_options(s3_endpoint))
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    yield name
    client.close()


@pytest.fixture
def store(bucket, environment):  # noqa: ARG001  it sets the address of the bucket
    return open_store(f"s3://{bucket}")


@pytest.fixture
def world(bucket, environment):  # noqa: ARG001  it sets the address of the bucket
    """The address of a cache of bundles, levels 0-3."""
    put_bundles(open_store(f"s3://{bucket}/caches/World"), 3)
    return f"s3://{bucket}/caches/World"


def keys(store):
    return sorted(stored.key for stored in store.list(""))


def test_a_cache_is_published_with_its_address(stack, world, store, capsys):
    assert main(["publish", "Maps/World", world, "--stack", stack]) == 0

    *_, published, address = capsys.readouterr().out.splitlines()
    assert published.startswith("Published Maps/World: JPEG, levels 0-3, compact-v2 cache.")
    assert address == f"{SERVICES_URL}/Maps/World/ImageServer"
    assert ServiceCatalog(store).get("Maps/World").cache.url == world


@pytest.mark.parametrize("name", ["../World", "a/b/c", "Wörld", "a b", "/World"])
def test_a_name_that_no_service_can_have_is_refused_before_the_cache_is_looked_at(name, stack, capsys):
    assert main(["publish", name, "s3://nowhere/caches/World", "--stack", stack]) == 2

    output = capsys.readouterr()
    assert output.err.startswith(f"exporttiles publish: NAME: '{name}' cannot be used. It must be Name or Folder/Name")
    assert output.out == ""


def test_a_service_that_takes_the_place_of_another_is_said_to(bucket, world, capsys):
    main(["publish", "World", world, "--bucket", bucket])
    capsys.readouterr()

    assert main(["publish", "World", world, "--bucket", bucket]) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "Replaced World: JPEG, levels 0-3, compact-v2 cache."


@pytest.mark.parametrize("name", ["a b", "A/B/C", "../World", "Welt-Karte"])
def test_a_name_that_no_service_can_have_is_refused(bucket, world, store, capsys, name):
    before = keys(store)

    assert main(["publish", name, world, "--bucket", bucket]) == 2

    assert capsys.readouterr().err.startswith(f"exporttiles publish: NAME: '{name}' cannot be used. It must be Name")
    assert keys(store) == before


def test_a_folder_without_tiles_is_named_as_the_user_named_it(bucket, store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()

    assert main(["publish", "World", "my photos", "--bucket", bucket]) == 1

    assert capsys.readouterr().err.startswith("exporttiles: my photos: There is no tile cache")
    assert keys(store) == []


def test_no_address_is_printed_where_only_the_bucket_is_known(bucket, world, capsys):
    assert main(["publish", "World", world, "--bucket", bucket]) == 0

    assert capsys.readouterr().out.splitlines()[-1].startswith("Published World: ")
    assert main(["services", "--bucket", bucket]) == 0
    assert capsys.readouterr().out.split() == ["World", "compact-v2", "levels", "0-3", "JPEG"]


def test_services_are_listed_in_order_and_one_that_cannot_be_read_hides_no_other(stack, world, store, capsys):
    main(["publish", "World", world, "--stack", stack])
    main(["publish", "A/World", world, "--stack", stack])
    store.write("services/Broken.json", b"{")
    capsys.readouterr()

    assert main(["services", "--stack", stack]) == 0

    first, second, third = capsys.readouterr().out.splitlines()
    assert first.split() == ["A/World", "compact-v2", "levels", "0-3", "JPEG", f"{SERVICES_URL}/A/World/ImageServer"]
    assert second.startswith("Broken ")
    assert "cannot be read: services/Broken.json" in second
    assert third.split()[0] == "World"


def test_a_stack_without_services_has_an_empty_list(stack, capsys):
    assert main(["services", "--stack", stack]) == 0

    assert capsys.readouterr().out == ""


def test_files_that_changed_since_a_mosaic_was_published_are_counted(bucket, store, tmp_path, capsys):
    for name in ("a.tif", "b.tif", "c.tif"):
        an_orthophoto(tmp_path / name, size=(200, 200))

    assert main(["publish", "Ortho", str(tmp_path), "--bucket", bucket]) == 0
    (tmp_path / "a.tif").unlink()
    an_orthophoto(tmp_path / "b.tif", size=(200, 200), compress="lzw")
    an_orthophoto(tmp_path / "d.tif", size=(200, 200))
    capsys.readouterr()
    assert main(["publish", "Ortho", str(tmp_path), "--bucket", bucket]) == 0

    assert "GeoTIFFs since it was published: 1 added, 1 removed, 1 replaced." in capsys.readouterr().out
    assert main(["services", "--bucket", bucket]) == 0
    assert "3 files" in capsys.readouterr().out
    assert len([key for key in keys(store) if key.endswith(".mosaic")]) == 2
    assert main(["unpublish", "Ortho", "--yes", "--bucket", bucket]) == 0
    assert not [key for key in keys(store) if "Ortho" in key]


def test_an_unpublished_service_keeps_its_tiles(stack, world, store, capsys):
    before = keys(store)
    main(["publish", "World", world, "--stack", stack])
    capsys.readouterr()

    assert main(["unpublish", "World", "--yes", "--stack", stack]) == 0

    assert capsys.readouterr().out == f"Unpublished World. The tiles stay at {world}.\n"
    assert keys(store) == before


def test_a_service_with_an_unreadable_descriptor_can_be_unpublished(bucket, store, capsys):
    store.write("services/Broken.json", b"{")

    assert main(["unpublish", "Broken", "--yes", "--bucket", bucket]) == 0

    assert capsys.readouterr().out == "Unpublished Broken. The tiles stay.\n"
    assert keys(store) == []


@pytest.mark.parametrize("name", ["Nothing", "../World", "services/World", ""])
def test_a_service_that_does_not_exist_cannot_be_unpublished(bucket, world, store, capsys, name):
    main(["publish", "World", world, "--bucket", bucket])
    before = keys(store)

    assert main(["unpublish", name, "--yes", "--bucket", bucket]) == 2

    assert capsys.readouterr().err == f"exporttiles unpublish: NAME: There is no image service '{name}'.\n"
    assert keys(store) == before


@pytest.mark.parametrize(("answer", "status"), [(True, 0), (False, 1)])
def test_unpublish_asks_first(bucket, world, store, monkeypatch, capsys, *, answer, status):
    main(["publish", "World", world, "--bucket", bucket])
    questions = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: questions.append(text) or answer)

    assert main(["unpublish", "World", "--bucket", bucket]) == status

    assert questions == ["Remove the service World? Its tiles stay."]
    assert ("Nothing was removed" in capsys.readouterr().err) == (not answer)
    assert ("services/World.json" in keys(store)) == (not answer)


def test_unpublish_removes_nothing_without_an_answer(bucket, world, store, monkeypatch, capsys):
    main(["publish", "World", world, "--bucket", bucket])
    monkeypatch.setattr("sys.stdin", StringIO())

    assert main(["unpublish", "World", "--bucket", bucket]) == 1

    assert "Nothing was removed. --yes removes without asking." in capsys.readouterr().err
    assert "services/World.json" in keys(store)


def test_an_emulator_reads_a_folder_of_this_machine(bucket, store, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "ä cache % of tiles"
    folder.mkdir()
    put_files(open_store(f"file://{folder}"), 2)
    monkeypatch.chdir(tmp_path)

    assert main(["publish", "World", "./ä cache % of tiles", "--bucket", bucket]) == 0

    assert ServiceCatalog(store).get("World").cache.url == f"file://{folder}"
    capsys.readouterr()
    assert main(["unpublish", "World", "--yes", "--bucket", bucket]) == 0
    assert capsys.readouterr().out == f"Unpublished World. The tiles stay at {folder}.\n"


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_stack_on_aws_is_given_no_folder_of_this_machine(bucket, tmp_path, monkeypatch, capsys, prefix):
    monkeypatch.delenv("AWS_ENDPOINT_URL")

    assert main(["publish", "World", f"{prefix}{tmp_path}", "--bucket", bucket]) == 2

    said = capsys.readouterr().err
    assert said.startswith(
        f"exporttiles publish: SOURCE: '{prefix}{tmp_path}' is on this machine, where the stack cannot read it."
    )
    assert "aws s3 cp --recursive" in said


def test_a_folder_that_does_not_exist_is_not_published(bucket, store, tmp_path, capsys):
    assert main(["publish", "World", str(tmp_path / "nowhere"), "--bucket", bucket]) == 2

    assert capsys.readouterr().err == f"exporttiles publish: SOURCE: There is no file or folder {tmp_path}/nowhere.\n"
    assert keys(store) == []
