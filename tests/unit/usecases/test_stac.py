"""STAC documents as mosaics: the package that the folder of their files gives, in order of time, within limits."""

import json
import zipfile

import numpy as np
import pytest
from obstore.store import LocalStore

from exporttiles.adapters.object_stores import ObstoreObjects
from exporttiles.cli.main import main
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.mosaic import MosaicOrder
from exporttiles.formats.caches.stac import StacReader
from exporttiles.usecases.inspection import find_rasters
from exporttiles.usecases.inspection.find_rasters import FindRasters
from tests.fakes import memory
from tests.rasters import an_orthophoto, inspected
from tests.unit.formats.test_stac import an_item


def a_store(**documents):
    """Return a store of documents; their names are without .json."""
    objects = memory()
    for name, document in documents.items():
        objects.write(f"{name}.json", json.dumps(document).encode())
    return objects


def found(objects, name="top.json"):
    return FindRasters(objects, StacReader("s3://bucket/stac"))(name)


def a_catalog(*links, **stated):
    return {"type": "Catalog", "links": [{"rel": "child", "href": f"{name}.json"} for name in links]} | stated


@pytest.fixture
def collection(tmp_path):
    """Return a static collection, with an item in a child catalog, of three files whose names are in order of time."""
    folder = tmp_path / "stac"
    (folder / "items").mkdir(parents=True)
    for number in (1, 2, 3):
        corner = (500_000 + 250 * number, 5_200_000 - 100 * number)
        an_orthophoto(folder / f"{number}.tif", corner=corner, size=(400, 400))
        item = an_item(f"../{number}.tif", datetime=f"2026-05-0{number}T00:00:00Z")
        (folder / f"items/{number}.json").write_text(json.dumps(item))
    links = [{"rel": "item", "href": f"./items/{number}.json"} for number in (3, 1)]
    child = {"type": "Catalog", "links": [{"rel": "item", "href": "2.json"}, {"rel": "child", "href": "child.json"}]}
    (folder / "items/child.json").write_text(json.dumps(child))
    links += [{"rel": "child", "href": "items/child.json"}, {"rel": "root", "href": "https://example.com/root.json"}]
    stated = {"title": "Flight", "description": "Of May.", "license": "CC-BY-4.0", "providers": [{"name": "Office"}]}
    (folder / "collection.json").write_text(json.dumps({"type": "Collection", "links": links} | stated))
    return folder


def test_a_collection_is_exported_like_the_folder_of_its_files(collection, tmp_path, capsys):
    assert main(["export", str(collection / "collection.json"), str(tmp_path / "stac.tpkx"), "--name", "Map"]) == 0
    said = capsys.readouterr().out
    assert main(["export", str(collection), str(tmp_path / "folder.tpkx"), "--name", "Map"]) == 0

    def bundles(name):
        with zipfile.ZipFile(tmp_path / name) as package:
            return {member: package.read(member) for member in package.namelist() if member.endswith(".bundle")}

    assert bundles("stac.tpkx")
    assert bundles("stac.tpkx") == bundles("folder.tpkx")
    assert "STAC: collection.json with 3 items, asset 'visual'. Images from 2026-05-01 to 2026-05-03." in said
    assert "Later images cover earlier ones" in said
    assert "Copyright: Office (CC-BY-4.0)." in said


def test_the_service_lies_in_the_folder_and_has_the_texts_of_the_collection(collection):
    service = inspected(collection, "collection.json")[1].service

    assert service.cache.url == f"file://{collection}"
    assert [file.key for file in service.cache.mosaic.files] == ["1.tif", "2.tif", "3.tif"]
    assert (service.title, service.copyright_text) == ("Flight", "Office (CC-BY-4.0)")
    assert service.description == "Of May. Images from 2026-05-01 to 2026-05-03."
    assert np.isfinite(service.full_extent.sides).all()


def test_an_asset_elsewhere_stops_the_export_with_the_name_of_the_document(collection, tmp_path, capsys):
    item = collection / "items/2.json"
    item.write_text(json.dumps(an_item("https://example.com/2.tif")))

    assert main(["export", str(collection / "collection.json"), str(tmp_path / "out.tpkx")]) == 1

    said = capsys.readouterr().err
    assert "items/2.json: assets.visual.href 'https://example.com/2.tif' is not a file below" in said
    assert not (tmp_path / "out.tpkx").exists()


@pytest.mark.parametrize("href", ["%2e%2e/secret.tif", "..%2fsecret.tif", "..\\secret.tif", "a/%2E%2E/%2E./secret.tif"])
def test_encoded_addresses_do_not_lead_out_of_the_folder(href, collection, tmp_path, capsys):
    an_orthophoto(tmp_path / "secret.tif", size=(100, 100))
    (collection / "item.json").write_text(json.dumps(an_item(href)))

    assert main(["export", str(collection / "item.json"), str(tmp_path / "out.tpkx")]) == 1

    said = capsys.readouterr().err
    assert href in said
    assert "There is no file" in said


def test_keys_of_assets_are_shown_in_printable_characters():
    asset = {"href": "a.tif", "type": "image/tiff"}

    assert "asset 'a?[31m'" in found(a_store(top=an_item(assets={"a\x1b[31m": asset}))).messages[0].text


def test_a_package_may_lie_beside_the_document_but_not_around_it(collection, capsys):
    document = str(collection / "collection.json")

    assert main(["export", document, str(collection / "out.tpkx"), "--levels", "10"]) == 0
    assert main(["export", document, str(collection), "--levels", "10"]) == 2

    assert f"{collection} holds the source" in capsys.readouterr().err


def test_percent_encoded_addresses_are_decoded_where_no_file_has_their_name(collection, tmp_path, capsys):
    for name in ("a b.tif", "c%20d.tif", "c d.tif"):
        (collection / name).write_bytes((collection / "1.tif").read_bytes())
    items = [an_item("a%20b.tif"), an_item("c%20d.tif")]
    (collection / "all.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))

    assert main(["export", str(collection / "all.json"), str(tmp_path / "out.tpkx"), "--levels", "10"]) == 0
    capsys.readouterr()

    objects = ObstoreObjects(LocalStore(collection))
    assert FindRasters(objects, StacReader("s3://bucket/stac"))("all.json").keys == ("a b.tif", "c%20d.tif")


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        (None, ("b.tif", "a.tif")),
        ("date", ("b.tif", "a.tif")),
        ("given", ("a.tif", "b.tif")),
        ("name", ("a.tif", "b.tif")),
    ],
)
def test_the_order_of_images_can_be_chosen(order, keys):
    items = [an_item("a.tif", datetime="2026-02-01T00:00:00Z"), an_item("b.tif", datetime="2026-01-01T00:00:00Z")]
    objects = a_store(top={"type": "FeatureCollection", "features": items})

    assert FindRasters(objects, StacReader("s3://bucket/stac"), order and MosaicOrder(order))("top.json").keys == keys


def test_asset_is_said_to_be_unused_where_there_is_no_stac(collection, tmp_path, capsys):
    assert main(["export", str(collection / "1.tif"), str(tmp_path / "out.tpkx"), "--asset", "visual"]) == 0

    assert "--asset is not used" in capsys.readouterr().out


def test_later_images_cover_earlier_ones_and_equal_times_keep_their_order():
    times = {"d": "2026-01-02T00:00:00Z", "c": "2026-01-01T00:00:00Z", "b": "2026-01-01T01:00:00+01:00"}
    items = [an_item(f"{name}.tif", datetime=time) for name, time in times.items()]

    assert found(a_store(top={"type": "FeatureCollection", "features": items})).keys == ("c.tif", "b.tif", "d.tif")


def test_links_in_a_circle_are_read_once():
    objects = a_store(top=a_catalog("a", "a", "top"), a=a_catalog("top", "b"), b=an_item("b.tif"))

    assert found(objects).keys == ("b.tif",)


def test_a_page_of_several_gives_a_warning():
    page = {"type": "FeatureCollection", "features": [an_item()], "links": [{"rel": "next", "href": "https://x"}]}

    assert "one page of several" in found(a_store(top=page)).messages[-1].text


@pytest.mark.parametrize(
    ("documents", "why"),
    [
        ({}, "top.json: There is no such document in s3://bucket/stac"),
        ({"top": a_catalog("gone")}, "gone.json: There is no such document"),
        ({"top": a_catalog()}, "top.json: It has no items"),
        ({"top": []}, "top.json: It is not a JSON object"),
        ({"top": a_catalog("a"), "a": {"type": "x"}}, "a.json: type 'x' is not one of STAC"),
        (
            {"top": a_catalog("c0")} | {f"c{n}": a_catalog(f"c{n + 1}") for n in range(12)},
            "c9.json: It is nested deeper than 10 catalogs",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_by_the_document(documents, why):
    with pytest.raises(DamagedCacheError, match=why):
        found(a_store(**documents))


def test_items_documents_and_bytes_are_limited(monkeypatch):
    objects = a_store(top={"type": "FeatureCollection", "features": [an_item()] * 3})

    monkeypatch.setattr(find_rasters, "MAX_FILES", 2)
    with pytest.raises(DamagedCacheError, match=r"top\.json: top\.json has more than 2 items"):
        found(objects)
    monkeypatch.setattr(find_rasters, "MAX_DOCUMENTS", 3)
    with pytest.raises(DamagedCacheError, match="or 3 documents"):
        found(a_store(top=a_catalog("a", "b", "c")))
    monkeypatch.setattr(find_rasters, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(DamagedCacheError, match=r"top\.json: It has .* A document may have 100"):
        found(objects)


def test_a_file_of_several_items_is_drawn_once_where_the_latest_of_them_lies():
    files = [("a.tif", 1), ("b.tif", 2), ("a.tif", 3)]
    items = [an_item(file, datetime=f"2026-01-0{day}T00:00:00Z") for file, day in files]

    assert found(a_store(top={"type": "FeatureCollection", "features": items})).keys == ("b.tif", "a.tif")
