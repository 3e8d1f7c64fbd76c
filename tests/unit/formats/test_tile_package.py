"""The documents of a tile package."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from exporttiles.domain.extent import Extent
from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.formats.esri.esri_json import read_tile_info
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256, WGS84_512
from exporttiles.formats.packages.tpkx import MEMBER_ORDER, thumbnail, units, write_iteminfo, write_root
from tests.oracles.build_package import a_service, a_tile, extent_of

GOLDEN = Path(__file__).parents[2] / "golden"
PRO, SERVER = (GOLDEN / name for name in ("arcgis-pro", "esri-usa"))
SEATTLE = WEB_MERCATOR_256.tile_extent(10, 357, 164)


def golden(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def a_root(levels=(9, 10, 12), extent=SEATTLE, *, service=None, **options):
    return json.loads(write_root(service or a_service(), levels, extent, **options))


def shape(document):
    """The keys and types of a document, without its values."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    return float if isinstance(document, int | float) and not isinstance(document, bool) else type(document)


# root.json


def test_root_has_the_keys_and_types_that_arcgis_server_writes():
    written, by_server = shape(a_root()), shape(golden(SERVER, "root.json"))
    rounding = set(by_server["spatialReference"]) - {"wkid", "latestWkid"}
    for part in (by_server, *(by_server[key] for key in ("tileInfo", "initialExtent", "fullExtent"))):
        for key in rounding:
            part["spatialReference"].pop(key)

    assert written == by_server


def test_the_tiling_scheme_is_written_complete_and_digit_for_digit():
    told = a_root()["tileInfo"]

    assert (
        told["lods"] == golden(PRO, "root.json")["tileInfo"]["lods"] == golden(SERVER, "root.json")["tileInfo"]["lods"]
    )
    assert told["origin"] == golden(PRO, "root.json")["tileInfo"]["origin"]
    assert read_tile_info(told) == WEB_MERCATOR_256


def test_the_levels_are_those_that_are_packed():
    root = a_root(levels=[12, 9, 10])

    assert (root["minLOD"], root["maxLOD"]) == (9, 12)


def test_the_visible_scales_are_those_of_the_service():
    root = a_root(service=replace(a_service(), min_level=3, max_level=17))

    assert (root["minScale"], root["maxScale"]) == (73957190.948944, 4513.988705)


@pytest.mark.parametrize("service", [a_service(), a_service(description="x" * 100_000)])
def test_the_path_of_the_bundles_stands_early_for_gdal(service):
    data = write_root(replace(service, name="n" * 5_000), [0], SEATTLE)

    assert b'"tileBundlesPath":"./tile"' in data[:1024]
    assert b'"tileImageInfo"' in data[:1024]
    assert len(data) >= 512


def test_a_short_document_is_filled_up_for_gdal():
    one_level = replace(WEB_MERCATOR_256, lods=WEB_MERCATOR_256.lods[:1])
    service = replace(a_service(scheme=one_level), max_level=0)

    assert len(write_root(service, [0], SEATTLE)) >= 512


def test_the_document_is_one_line_of_utf8_without_a_byte_order_mark():
    data = write_root(a_service(description="Île\nde France"), [0], SEATTLE)

    assert data.startswith(b"{")
    assert b"\n" not in data
    assert json.loads(data.decode("utf-8"))["serviceDescription"] == "Île\nde France"


@pytest.mark.parametrize(
    ("tile_format", "told"),
    [(TileFormat.JPEG, 75), (TileFormat.MIXED, 75), (TileFormat.PNG, 0), (TileFormat.LERC, 0)],
)
def test_the_quality_is_that_of_the_jpeg_tiles(tile_format, told):
    root = a_root(service=a_service(tile_format=tile_format, quality=75))

    assert root["tileImageInfo"] == {
        "format": tile_format.value,
        "compressionQuality": told,
        "bandCount": 1,
        "lercError": 0,
    }


def test_both_extents_are_that_of_the_export():
    root = a_root()

    assert root["fullExtent"] == root["initialExtent"]
    assert root["fullExtent"]["xmin"] == SEATTLE.xmin
    assert root["fullExtent"]["spatialReference"] == {"wkid": 102100, "latestWkid": 3857}


@pytest.mark.parametrize(
    ("wkid", "name"),
    [(3857, "esriMeters"), (4326, "esriDecimalDegrees"), (2227, "esriFeet"), (27573, "esriMeters")],
)
def test_map_units_are_named_as_esri_names_them(wkid, name):
    assert units(SpatialReference(wkid=wkid)) == name


# iteminfo.json


@pytest.mark.parametrize("folder", [PRO, SERVER], ids=["ArcGIS Pro", "ArcGIS Server"])
def test_iteminfo_has_the_keys_order_and_types_that_arcgis_writes(folder):
    written = json.loads(write_iteminfo(a_service(), SEATTLE, job_id="j1"))

    assert shape(written) == shape(golden(folder, "iteminfo.json"))
    assert list(written) == list(golden(folder, "iteminfo.json"))
    assert written["typeKeywords"] == golden(folder, "iteminfo.json")["typeKeywords"]


def test_the_extent_of_an_item_is_in_degrees():
    extent = json.loads(write_iteminfo(a_service(), SEATTLE, job_id="j1"))["extent"]

    assert extent["spatialReference"] == {"wkid": 4326, "latestWkid": 4326}
    assert (extent["xmin"], extent["xmax"]) == pytest.approx((-122.34375, -121.9921875))
    assert (extent["ymin"], extent["ymax"]) == pytest.approx((47.5172, 47.7540), abs=1e-4)


def test_the_id_of_an_item_follows_from_the_job():
    one, same, other = (json.loads(write_iteminfo(a_service(), SEATTLE, job_id=job)) for job in ("j1", "j1", "j2"))

    assert one["guid"] == same["guid"] == one["guid"].upper()
    assert one["guid"] != other["guid"]


def test_the_copyright_closes_the_description():
    service = a_service(description="Fire maps.", copyright_text="© Forest Service")

    item = json.loads(write_iteminfo(service, SEATTLE, job_id="j1"))

    assert item["description"] == "Fire maps.\n\n© Forest Service"
    assert item["name"] == item["title"] == "World"


# thumbnail.png


def picture(tiles):
    image = Image.open(BytesIO(thumbnail(tiles)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (200, 133))
    return image


def test_the_documents_stand_before_the_bundles():
    assert MEMBER_ORDER == ("iteminfo.json", "root.json", "thumbnail.png")


def test_a_thumbnail_shows_the_tiles_where_they_lie():
    colours = {(4, 6): "red", (4, 7): "lime", (5, 6): "blue", (5, 7): "white"}
    tiles = {}
    for place, colour in colours.items():
        body = BytesIO()
        Image.new("RGB", (256, 256), colour).save(body, "PNG")
        tiles[place] = body.getvalue()

    shown = picture(tiles)

    corners = [shown.getpixel(corner) for corner in ((1, 1), (198, 1), (1, 131), (198, 131))]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


@pytest.mark.parametrize(
    "tiles",
    [{}, {(0, 0): b"Lerc2 " + bytes(50)}, {(0, 0): b"\x89PNG\r\n\x1a\nbroken"}, {(0, 0): b""}],
    ids=["none", "LERC", "damaged", "empty"],
)
def test_without_a_tile_to_show_a_thumbnail_is_plain(tiles):
    assert picture(tiles).getcolors() == [(200 * 133, (238, 238, 238))]


def test_a_damaged_tile_leaves_a_hole_in_a_thumbnail():
    tile = a_tile((1, 0, 0), mode="RGB")

    shown = picture({(0, 0): tile, (0, 1): tile[: len(tile) // 2]})

    assert shown.getpixel((198, 131)) == (238, 238, 238)
    assert shown.getpixel((50, 131)) != (238, 238, 238)


@pytest.mark.parametrize("shape", [(1, 400), (400, 1)], ids=["a long row", "a high column"])
def test_a_thumbnail_of_a_strip_shows_its_middle(shape):
    tile = a_tile((1, 0, 0), mode="RGB")
    rows, columns = shape

    assert len(picture({(row, column): tile for row in range(rows) for column in range(columns)}).getcolors(9999)) > 1


def test_equal_tiles_give_equal_thumbnails():
    tiles = {(row, column): a_tile((5, row, column)) for row in range(3) for column in range(2)}

    assert thumbnail(tiles) == thumbnail(dict(reversed(tiles.items())))


def test_an_extent_in_degrees_stays_as_it_is():
    extent = Extent(-10, 40, 5, 50, WGS84_512.spatial_reference)

    item = json.loads(write_iteminfo(a_service(scheme=WGS84_512), extent, job_id="j1"))

    assert [item["extent"][side] for side in ("xmin", "ymin", "xmax", "ymax")] == [-10, 40, 5, 50]
    assert extent_of(WGS84_512, [(0, 0, 0)]).xmin == -180
