"""Deriving services from caches."""

import json
import re
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import MessageKind
from exporttiles.domain.service import CacheLayout, TileFormat
from exporttiles.formats.caches.service_descriptor import read_service, write_service
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WELL_KNOWN
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.readings import FileOrder
from tests.builders import a_service, put_files
from tests.caches import CACHES, put_pmtiles, put_v1, put_v2, put_xyz
from tests.fakes import memory

WGS84_512 = WELL_KNOWN["wgs84_512"]
GOLDEN = Path(__file__).parents[2] / "golden"
WORLD = [(level, row, column) for level in range(4) for row in range(2**level) for column in range(2**level)]


def picture(image_format="PNG", mode="RGB", size=256):
    body = BytesIO()
    Image.new(mode, (size, size), 7).save(body, image_format)
    return body.getvalue()


def folder_of(path):
    """A store with the files of a folder."""
    objects = memory()
    for file in path.rglob("*"):
        if file.is_file():
            objects.write(file.relative_to(path).as_posix(), file.read_bytes())
    return objects


# Layouts


@pytest.mark.parametrize("layout", CACHES)
def test_every_layout_is_recognised_without_an_option(layout):
    objects = memory()
    tiles = {place: picture("JPEG") + bytes(place) for place in WORLD}
    url = CACHES[layout](objects, tiles)

    service = a_service(objects, url=url)

    assert (service.min_level, service.max_level, service.tile_format) == (0, 3, TileFormat.JPEG)
    assert service.tiling_scheme.tile_range(service.full_extent, 3).count == 64
    assert service.cache.average_tile_bytes == len(picture("JPEG")) + 3
    assert read_service(write_service(service)) == service


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("5/31/10.png", "{level}/{column}/{row}.png"),
        ("a/b/05/31/10.webp", "a/b/{level:02d}/{column}/{row}.webp"),
        ("5/31/10", "{level}/{column}/{row}"),
        ("_alllayers/L05/R0000000a/C0000001f.png", "_alllayers/L{level:02d}/R{row:08x}/C{column:08x}.png"),
        ("_alllayers/L0a/R0000000a/C0000001f.png", "_alllayers/L{level:02x}/R{row:08x}/C{column:08x}.png"),
    ],
)
def test_the_names_of_files_become_a_template(key, template):
    objects = memory()
    objects.write(key, picture())

    cache = a_service(objects).cache

    assert (cache.layout, cache.path_template) == (CacheLayout.FILES, template)


def test_wmts_order_must_be_told():
    objects = memory()
    objects.write("5/10/31.png", picture())

    service = a_service(objects, order=FileOrder(is_row_first=True))

    assert service.cache.path_template == "{level}/{row}/{column}.png"
    assert service.tiling_scheme.tile_extent(5, 10, 31) == service.full_extent


@pytest.mark.parametrize(
    ("order", "document"),
    [
        (FileOrder(is_from_bottom=True), ("readme.txt", b"")),
        (FileOrder(), ("tilemapresource.xml", b"<TileMap/>")),
        (FileOrder(), ("metadata.json", b'{"scheme": "tms"}')),
    ],
    ids=["told", "tilemapresource.xml", "metadata.json"],
)
def test_rows_from_the_bottom_are_told_or_documented(order, document):
    objects = memory()
    objects.write("5/31/10.png", picture())
    objects.write(*document)

    service = a_service(objects, order=order)

    assert service.cache.path_template == "{level}/{column}/{row_from_bottom}.png"
    assert service.tiling_scheme.tile_extent(5, 21, 31) == service.full_extent


def test_files_of_two_kinds_are_mixed_and_the_more_frequent_is_tried_first():
    objects = memory()
    put_xyz(objects, {place: picture("PNG" if place[0] == 0 else "JPEG") for place in WORLD})

    service = a_service(objects)

    assert service.tile_format is TileFormat.MIXED
    assert service.cache.path_template == "World/{level}/{column}/{row}.{extension}"
    assert service.cache.extensions == ("jpg", "png")


def test_files_that_programs_put_beside_tiles_are_ignored():
    objects = memory()
    put_files(objects, 1)
    objects.write("World/1/1/1.kml", b"<kml/>")

    assert a_service(objects).cache.path_template == "World/{level}/{column}/{row}.jpg"


def test_tiles_of_512_pixels_get_the_scheme_that_has_them():
    objects = memory()
    put_xyz(objects, {(3, 2, 1): picture(size=512)})

    service = a_service(objects)

    assert service.tiling_scheme.tile_size == 512
    assert service.tiling_scheme.lod(3).resolution == 9783.93962049996
    assert service.tiling_scheme.tile_extent(3, 2, 1) == service.full_extent


# Real caches


def test_a_package_by_arcmap_is_published_from_its_own_documents():
    objects = memory()
    objects.write("states.tpk", (GOLDEN / "states_filled.tpk").read_bytes())

    service = a_service(objects, url="memory:///states.tpk")

    assert service.cache.layout is CacheLayout.COMPACT_V1
    assert service.cache.path_template == "v101/Layers/_alllayers/"
    assert (service.min_level, service.max_level, service.tile_format) == (0, 4, TileFormat.PNG8)
    assert service.full_extent.xmin == -13957367.097127762


@pytest.mark.parametrize(("name", "tile_format"), [("arcgis-pro", TileFormat.PNG), ("esri-usa", TileFormat.PNG)])
def test_a_package_by_arcgis_is_published_from_its_own_documents(name, tile_format):
    service = a_service(folder_of(GOLDEN / name))

    root = json.loads((GOLDEN / name / "root.json").read_bytes())
    assert service.cache.layout is CacheLayout.COMPACT_V2
    assert service.tile_format is tile_format
    assert service.full_extent.ymin == root["fullExtent"]["ymin"]


# Formats


@pytest.mark.parametrize(
    ("mode", "tile_format"),
    [("P", TileFormat.PNG8), ("RGB", TileFormat.PNG24), ("RGBA", TileFormat.PNG32), ("L", TileFormat.PNG)],
)
def test_the_depth_of_png_tiles_is_recognised(mode, tile_format):
    objects = memory()
    objects.write("0/0/0.jpg", picture(mode=mode))  # the extension lies

    assert a_service(objects).tile_format is tile_format


def test_an_error_page_among_the_tiles_does_not_decide():
    objects = memory()
    put_files(objects, 1)
    objects.write("World/0/0/0.jpg", b"<html>503</html>")

    assert a_service(objects).tile_format is TileFormat.JPEG


def test_lerc_tiles_are_known_by_their_first_bytes():
    objects = memory()
    put_v2(objects, {(0, 0, 0): b"Lerc2 \x04\0\0\0"})

    assert a_service(objects).tile_format is TileFormat.LERC


@pytest.mark.parametrize("layout", CACHES)
def test_webp_tiles_are_published_from_every_layout(layout):
    objects = memory()
    url = CACHES[layout](objects, dict.fromkeys(WORLD, picture("WEBP", size=512)))

    service = a_service(objects, url=url)

    assert (service.tile_format, service.compression_quality) == (TileFormat.WEBP, 0)
    assert service.tiling_scheme.tile_size == 512
    assert read_service(write_service(service)) == service


# Refused


def nothing(objects):
    objects.write("readme.txt", b"")


def two_caches(objects):
    put_files(objects, 0, folder="A")
    put_files(objects, 0, folder="B")


def gif(objects):
    put_xyz(objects, {(0, 0, 0): picture("GIF", "P")})


def webp_and(image_format):
    return lambda objects: put_xyz(objects, {(1, 0, 0): picture("WEBP"), (1, 1, 1): picture(image_format)})


def no_offsets(objects):
    put_v1(objects, {(0, 0, 0): picture(), (1, 0, 0): picture()})
    objects.delete(["Layers/_alllayers/L01/R0000C0000.bundlx"])


def half_a_bundle(objects):
    put_v2(objects, {(0, 0, 0): picture()})
    key = "Layers/_alllayers/L00/R0000C0000.bundle"
    objects.write(key, objects.read(key)[:999])


def entities(objects):
    put_v2(objects, {(0, 0, 0): picture()})
    objects.write("Layers/conf.xml", b'<!DOCTYPE x [<!ENTITY a "a">]><CacheInfo>&a;</CacheInfo>')


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (nothing, "no tile cache"),
        (two_caches, "several caches.*'A/', 'B/'"),
        (gif, "no images that are known; exports hold JPEG, PNG, LERC or WebP. Convert"),
        (webp_and("PNG"), "Some of the tiles are WebP and some are JPEG or PNG; no tile format holds both."),
        (webp_and("JPEG"), "Some of the tiles are WebP and some are JPEG or PNG; no tile format holds both."),
        (no_offsets, "2 bundles and 1 file of offsets .* do not match"),
        (half_a_bundle, "L00/R0000C0000.bundle: The bundle is cut off in its index: it has 999 bytes"),
        (entities, "Layers/conf.xml: It has a document type"),
        (lambda objects: put_xyz(objects, {(30, 1, 1): picture()}), "level 30; the tiling scheme has the levels 0-23"),
        (lambda objects: put_xyz(objects, {(3, 1, 1): picture(size=100)}), "100 x 100 pixels"),
        (lambda objects: put_xyz(objects, {(3, 1, 1): b"<html>"}), "no images that are known"),
    ],
)
def test_a_cache_that_cannot_be_published_is_refused_with_a_reason(put, why):
    objects = memory()
    put(objects)

    with pytest.raises(DamagedCacheError, match=why):
        a_service(objects)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda _: b"", "not a PMTiles archive"),
        (lambda data: data[:7] + b"\2" + data[8:], "version 2"),
        (lambda data: data[:97] + b"\3" + data[98:], "compressed with brotli"),
        (lambda data: data[:-1], "reach to byte"),
        (lambda data: data[:140] + b"\0\0\0\0" + data[144:], "directory cannot be unpacked"),
    ],
)
def test_a_pmtiles_archive_that_cannot_be_published_is_refused_in_words(change, why):
    objects = memory()
    url = put_pmtiles(objects, dict.fromkeys(WORLD, picture()))
    objects.write("World.pmtiles", change(objects.read("World.pmtiles")))

    with pytest.raises(DamagedCacheError, match=f"World.pmtiles: .*{why}"):
        a_service(objects, url=url)


def test_a_package_with_compressed_bundles_cannot_be_read_in_place():
    objects, body = memory(), BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (GOLDEN / "arcgis-pro").rglob("*.bundle"):
            archive.write(file, file.relative_to(GOLDEN / "arcgis-pro").as_posix())
    objects.write("World.tpkx", body.getvalue())

    with pytest.raises(DamagedCacheError, match=r"'tile/L0./R0000C0000.bundle' in World.tpkx is compressed"):
        a_service(objects, url="memory:///World.tpkx")


# What a cache says of itself

ROOT = json.loads((GOLDEN / "arcgis-pro/root.json").read_bytes())
V2 = "esriMapCacheStorageModeCompactV2"
NZTM = {"wkid": 2193, "latestWkid": 2193}


def root_json(**tile_info):
    """A root.json, its tileInfo changed."""
    root = {**ROOT, "tileInfo": {**ROOT["tileInfo"], **tile_info}}
    return json.dumps({name: value for name, value in root.items() if name != "fullExtent"}).encode()


def conf_xml(storage="", **changes):
    """A conf.xml of Web Mercator by ArcMap, texts changed."""
    with zipfile.ZipFile(GOLDEN / "states_filled.tpk") as package:
        text = package.read("v101/Layers/conf.xml").decode()
    text = text.replace("esriMapCacheStorageModeCompact<", f"{storage}<")
    for before, after in changes.items():
        assert f">{before}<" in text
        text = text.replace(f">{before}<", f">{after}<")
    return text.encode()


def conf_cdi(*sides):
    texts = zip(("XMin", "YMin", "XMax", "YMax"), sides, strict=True)
    return f"<EnvelopeN>{''.join(f'<{name}>{side}</{name}>' for name, side in texts)}</EnvelopeN>".encode()


def inspected(documents, put=put_v2, mode="P", tiles=((3, 2, 4), (3, 2, 5))):
    """A cache of PNG tiles, under Layers/_alllayers, and documents."""
    objects = memory()
    put(objects, dict.fromkeys(tiles, picture(mode=mode)))
    for key in [stored.key for stored in objects.list("") if stored.key.endswith((".xml", ".cdi", ".json"))]:
        objects.delete([key])
    for key, body in documents.items():
        objects.write(key, body)
    return InspectCache(objects, read_cache, WEB_MERCATOR_256)("Map", "memory:///")


def warnings(found):
    return [message.text for message in found.messages if message.kind is MessageKind.WARNING]


@pytest.mark.parametrize("put", [put_v2, put_v1, put_xyz])
def test_choices_that_a_cache_has_no_use_for_are_named_in_warnings(put):
    objects = memory()
    url = put(objects, dict.fromkeys([(3, 2, 4)], picture()))
    objects.write("conf.xml", conf_xml())
    chosen = {"is_scheme_chosen": True, "scheme": WGS84_512}
    if put is put_xyz:
        chosen["order"] = FileOrder(is_from_bottom=True)

    found = replace(InspectCache(objects, read_cache, WGS84_512, FileOrder(is_row_first=True)), **chosen)("Map", url)

    named = [text.split(" ")[0] for text in warnings(found)]
    assert "--scheme" in named
    assert ("Options" in named) is (put is not put_xyz)


@pytest.mark.parametrize("conf", ["conf.xml", "Conf.xml", "CONF.XML", "cOnF.xMl"])
@pytest.mark.parametrize("cdi", ["conf.cdi", "Conf.cdi", "CONF.CDI"])
@pytest.mark.parametrize("put", [put_v2, put_v1])
def test_names_of_documents_are_read_in_any_capitals(conf, cdi, put):
    documents = {
        f"Layers/{conf}": conf_xml(**{"102100": "2193", "3857": "2193"}),
        f"Layers/{cdi}": conf_cdi(1, 2, 9e6, 9e6),
    }

    found = inspected(documents, put)

    assert found.service.tiling_scheme.spatial_reference.wkid == 2193
    assert found.service.full_extent.sides == (1, 2, 9e6, 9e6)
    assert found.messages[0].text.startswith(f"Tiling scheme from Layers/{conf}: EPSG:2193, 256 px, levels 0-4.")
    assert found.messages[1].text.endswith(f"extent 1, 2, 9000000, 9000000 from Layers/{cdi}.")
    assert warnings(found) == []


@pytest.mark.parametrize("name", ["root.json", "Root.json", "ROOT.JSON"])
def test_the_name_of_root_json_is_read_in_any_capitals(name):
    found = inspected({f"Layers/{name}": root_json(spatialReference=NZTM)})

    assert found.service.tiling_scheme.spatial_reference.wkid == 2193


def test_the_nearest_document_is_used_and_one_that_differs_is_named():
    documents = {"conf.xml": conf_xml(), "Layers/conf.xml": conf_xml(**{"102100": "2193", "3857": "2193"})}

    found = inspected(documents)

    assert found.service.tiling_scheme.spatial_reference.wkid == 2193
    assert warnings(found) == ["conf.xml states another tiling scheme than Layers/conf.xml, which is used."]


def test_conf_xml_goes_before_root_json_and_an_equal_one_needs_no_word():
    equal = inspected({"Layers/conf.xml": conf_xml(), "Layers/root.json": root_json()})
    other = inspected({"Layers/conf.xml": conf_xml(), "Layers/root.json": root_json(spatialReference=NZTM)})
    damaged = inspected({"Layers/conf.xml": conf_xml(), "Layers/root.json": b"{"})

    assert warnings(equal) == []
    assert warnings(other) == ["Layers/root.json states another tiling scheme than Layers/conf.xml, which is used."]
    assert warnings(damaged) == [
        "Layers/root.json: It is not JSON: line 1, column 2 cannot be read. Layers/conf.xml is used."
    ]


def test_a_conf_cdi_of_another_folder_is_not_that_of_the_cache():
    found = inspected({"Layers/conf.xml": conf_xml(), "conf.cdi": conf_cdi(1, 2, 3, 4)})

    assert found.messages[1].text.endswith("from the tiles.")


@pytest.mark.parametrize("path", ["scheme/conf.xml", "Layers/_alllayers/L03/conf.xml", "Scheme/Root.json"])
def test_the_only_document_is_used_wherever_it_lies_with_a_warning(path):
    body = root_json(spatialReference=NZTM) if "oot" in path else conf_xml(**{"102100": "2193", "3857": "2193"})

    found = inspected({path: body})

    assert found.service.tiling_scheme.spatial_reference.wkid == 2193
    assert warnings(found) == [
        f"{path} does not lie in a folder above the tiles. It is used because no other document does."
    ]


def test_several_documents_apart_from_the_tiles_must_agree():
    other = conf_xml(**{"102100": "2193", "3857": "2193"})

    assert inspected({"a/conf.xml": conf_xml(), "b/conf.xml": conf_xml()}).service.tiling_scheme.tile_size == 256
    with pytest.raises(DamagedCacheError, match=r"a/conf.xml, b/conf.xml state different tiling schemes"):
        inspected({"a/conf.xml": conf_xml(), "b/conf.xml": other})


@pytest.mark.parametrize(
    ("said", "mode", "tile_format", "warned"),
    [
        ("PNG8", "P", TileFormat.PNG8, []),
        ("Mixed", "P", TileFormat.MIXED, []),
        ("", "RGB", TileFormat.PNG24, []),
        ("JPG", "RGB", TileFormat.PNG, ["conf.xml states the format JPEG; the tiles are PNG, which is used."]),
        (
            "BMP",
            "RGB",
            TileFormat.PNG24,
            ["conf.xml: CacheTileFormat 'BMP' is not a format of Esri's caches. It is ignored."],
        ),
    ],
)
def test_the_tiles_decide_about_the_format(said, mode, tile_format, warned):
    found = inspected({"conf.xml": conf_xml(PNG8=said)}, mode=mode)

    assert found.service.tile_format is tile_format
    assert warnings(found) == [*warned]


@pytest.mark.parametrize(
    ("put", "said", "warned"),
    [
        (put_v1, "esriMapCacheStorageModeCompact", []),
        (put_v1, "", []),
        (put_v2, V2, []),
        (
            put_v2,
            "esriMapCacheStorageModeExploded",
            [f"conf.xml states the storage format esriMapCacheStorageModeExploded; the files are {V2}, which is used."],
        ),
    ],
)
def test_the_files_decide_about_the_storage(put, said, warned):
    found = inspected({"conf.xml": conf_xml(said)}, put)

    assert warnings(found) == warned


def test_the_quality_of_the_tiles_stands_in_for_one_that_cannot_be_used():
    objects = memory()
    body = BytesIO()
    Image.new("RGB", (256, 256), 7).save(body, "JPEG", quality=75)
    put_v2(objects, {(3, 2, 4): body.getvalue()})
    objects.write(
        "root.json", json.dumps({**ROOT, "tileImageInfo": {"format": "JPEG", "compressionQuality": 0.75}}).encode()
    )

    found = InspectCache(objects, read_cache, WEB_MERCATOR_256)("Map", "memory:///")

    assert found.service.compression_quality == 75
    assert "root.json: tileImageInfo.compressionQuality '0.75' is not a whole number" in warnings(found)[0]


@pytest.mark.parametrize(
    ("cdi", "sides", "warned"),
    [
        (conf_cdi(1e5, 6e6, 9e6, 9e6), (1e5, 6e6, 9e6, 9e6), None),
        (
            conf_cdi(0, 0, 0, 0),
            None,
            "Layers/conf.cdi: xmin \\(0\\) must be less than xmax \\(0\\)\\. It is ignored\\.",
        ),
        (b"", None, "Layers/conf.cdi: It is not well-formed XML"),
        (
            conf_cdi(1e5, 6e6, 3e6, 9e6),
            (1e5, 6e6, 10018754.171394622, 9e6),
            "Layers/conf.cdi: tiles of level 3 lie outside",
        ),
        (conf_cdi(-9e6, -9e6, -8e6, -8e6), None, "Layers/conf.cdi: the extent .* holds none of the tiles of level 3"),
    ],
)
def test_the_extent_of_conf_cdi_is_compared_with_the_tiles(cdi, sides, warned):
    found = inspected({"Layers/conf.xml": conf_xml(), "Layers/conf.cdi": cdi})

    tiles = (0, 5009377.085697312, 10018754.171394622, 10018754.171394622)
    assert found.service.full_extent.sides == pytest.approx(sides or tiles, abs=1e-5)
    assert len(warnings(found)) == (warned is not None)
    assert warned is None or re.match(warned, warnings(found)[0])


def test_a_reference_by_text_alone_gets_its_number():
    text = re.sub(rb"<(WKID|LatestWKID)>\d+</\1>", b"", conf_xml())

    found = inspected({"Layers/conf.xml": text})

    assert found.service.tiling_scheme.spatial_reference.latest_wkid == 3857
    assert found.service.full_extent.spatial_reference == found.service.tiling_scheme.spatial_reference


def test_an_extent_that_ends_inside_the_tiles_of_many_bundles_stays_as_it_is():
    objects = memory()
    places = [(11, 128 * row + 64, 128 * column + 64) for row in range(1, 13) for column in range(1, 13)]
    put_v2(objects, dict.fromkeys(places, picture(mode="P")))
    first, last = WEB_MERCATOR_256.tile_extent(*places[0]), WEB_MERCATOR_256.tile_extent(*places[-1])
    stated = (first.xmin + 1, last.ymin + 1, last.xmax - 1, first.ymax - 1)
    full = dict(zip(("xmin", "ymin", "xmax", "ymax"), stated, strict=True))
    objects.write("root.json", json.dumps({**ROOT, "fullExtent": full}).encode())

    found = InspectCache(objects, read_cache, WEB_MERCATOR_256)("Map", "memory:///")

    assert (found.service.full_extent.sides, warnings(found)) == (stated, [])
