"""Tile grids in files: used if they agree with the tiles, otherwise refused by name."""

import json
from xml.sax.saxutils import quoteattr

import mercantile
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import MessageKind
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from exporttiles.usecases.inspection.readings import XYZ, FileOrder
from tests.fakes import memory

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\2"  # of 256 x 256 pixels, as far as anyone looks
WGS84_TEXT = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]]'
)


def inspect(files, order=XYZ, documents=None):
    objects = memory()
    for path, body in (dict.fromkeys(files, PNG) | (documents or {})).items():
        objects.write(path, body)
    return InspectCache(objects, read_cache, WEB_MERCATOR_256, order)("World", "memory:///")


def warnings(found):
    return [message.text for message in found.messages if message.kind is MessageKind.WARNING]


def said(found):
    return " ".join(message.text for message in found.messages)


def names(level, rows, columns, *, is_from_bottom, row_count=None):
    count = row_count or 2**level
    return [f"{level}/{x}/{count - 1 - y if is_from_bottom else y}.png" for y in rows for x in columns]


# metadata.json and tilejson.json


def block_bounds(level, rows, columns):
    first, last = mercantile.bounds(columns[0], rows[0], level), mercantile.bounds(columns[-1], rows[-1], level)
    return [first.west, last.south, last.east, first.north]


@st.composite
def blocks(draw):
    level = draw(st.integers(2, 12))
    row = draw(st.integers(0, 2**level - 1))
    rows = range(row, draw(st.integers(row, min(row + 3, 2**level - 1))) + 1)
    column = draw(st.integers(0, 2**level - 2))
    return level, rows, range(column, column + 2)


@settings(max_examples=60)
@given(blocks(), st.sampled_from(["tms", "xyz", "TMS", None]), st.booleans(), st.booleans())
def test_bounds_decide_the_order_of_rows_against_the_stated_scheme(block, scheme, is_from_bottom, is_text):
    level, rows, columns = block
    mirrored = range(2**level - rows.stop, 2**level - rows.start)
    assume(abs(mirrored.start - rows.start) > 4)  # within a few rows of the equator both readings fit
    bounds = block_bounds(level, rows, columns)
    document = {"bounds": ",".join(map(str, bounds)) if is_text else bounds} | ({"scheme": scheme} if scheme else {})
    body = {"Metadata.json": json.dumps(document).encode()}

    found = inspect(names(level, rows, columns, is_from_bottom=is_from_bottom), documents=body)

    block = found.service.tiling_scheme.tile_range(found.service.full_extent, level)
    assert (range(block.row_start, block.row_stop), range(block.column_start, block.column_stop)) == (rows, columns)
    is_true = is_from_bottom == ((scheme or "").lower() == "tms")
    assert [text.partition(":")[0] for text in warnings(found)] == ([] if is_true else ["Metadata.json"])


@pytest.mark.parametrize("document", [b'{"scheme": "tms"}', b'{"scheme": "tms", "bounds": "-180,-85,180,85"}'])
def test_a_scheme_that_bounds_do_not_confirm_is_followed_with_a_warning(document):
    found = inspect(["3/4/1.png"], documents={"metadata.json": document})

    assert found.service.full_extent == found.service.tiling_scheme.tile_extent(3, 6, 4)
    (warning,) = warnings(found)
    assert "metadata.json: rows are read from the bottom, because scheme is 'tms'" in warning
    assert "--rows-from-top" in warning


@pytest.mark.parametrize(
    "bounds", ["0,0,0,0", "a,b,c,d", [1, 2, 3], [170, 0, -170, 9], [0, 0, 1e6, 1e6], 7, {}, [None] * 4]
)
def test_bounds_that_cannot_be_used_are_named(bounds):
    document = json.dumps({"bounds": bounds}).encode()

    found = inspect(["3/4/1.png"], documents={"tilejson.json": document})

    assert found.service.full_extent == found.service.tiling_scheme.tile_extent(3, 1, 4)
    assert "tilejson.json: bounds" in said(found)
    assert warnings(found) == []


@pytest.mark.parametrize(("is_from_bottom", "row"), [(True, 6), (False, 1)])
@pytest.mark.parametrize(
    "document",
    [
        ("metadata.json", b'{"scheme": "tms", "bounds": "0,0,90,66"}'),
        ("tilejson.json", b'{"scheme": "xyz"}'),
        ("tilemapresource.xml", b"<TileMap/>"),
    ],
)
def test_an_option_goes_before_all_documents(document, is_from_bottom, row):
    found = inspect(["3/4/1.png"], FileOrder(is_from_bottom=is_from_bottom), dict([document]))

    assert found.service.full_extent == found.service.tiling_scheme.tile_extent(3, row, 4)
    assert "as the option says" in said(found)
    assert warnings(found) == []


@pytest.mark.parametrize("name", ["metadata.json", "TileJSON.json", "tile.json", "Tiles.json"])
def test_the_only_document_is_followed_wherever_it_lies_with_a_warning(name):
    found = inspect(["tiles/3/4/1.png"], documents={f"docs/{name}": b'{"scheme": "tms"}'})

    assert found.service.cache.level_rows
    assert f"docs/{name} does not lie in a folder above the tiles." in warnings(found)[-1]


def test_several_documents_apart_from_the_tiles_are_named_and_not_used():
    documents = dict.fromkeys(["docs/metadata.json", "other/metadata.json"], b'{"scheme": "tms"}')

    found = inspect(["tiles/3/4/1.png"], documents=documents)

    assert not found.service.cache.level_rows
    assert warnings(found)[0].startswith("docs/metadata.json and other/metadata.json do not lie in a folder above")


@pytest.mark.parametrize("name", ["metadata.json", "tilemapresource.xml", "docs/tilejson.json"])
def test_rows_of_arcgis_count_from_the_top_whatever_documents_of_others_say(name):
    documents = {name: b"<TileMap/>" if name.endswith("xml") else b'{"scheme": "tms"}'}

    found = inspect(["L03/R00000001/C00000004.png"], documents=documents)

    assert not found.service.cache.level_rows
    assert f"{name} is not used" in warnings(found)[-1]


def test_a_row_that_the_level_does_not_have_is_refused():
    with pytest.raises(DamagedCacheError, match=r"row 8 of level 3, which has 8 rows.*--rows-from-top"):
        inspect(["3/4/8.png"], FileOrder(is_from_bottom=True))


# tilemapresource.xml


def tile_map(srs, profile, box=(0, 0, 1, 1), origin=(0, 0), units=None, *, size=256):
    sets = "".join(
        f'<TileSet href="http://tiles.example/map/{level}" units-per-pixel="{step!r}" order="{level}"/>'
        for level, step in (units or {}).items()
    )
    place = f'<Origin x="{origin[0]!r}" y="{origin[1]!r}"/>' if origin else ""
    sides = " ".join(f'{name}="{side!r}"' for name, side in zip(("minx", "miny", "maxx", "maxy"), box, strict=True))
    text = (
        f"<TileMap version='1.0.0'><SRS>{quoteattr(srs)[1:-1]}</SRS><BoundingBox {sides}/>{place}"
        f'<TileFormat width="{size}" height="{size}" mime-type="image/png" extension="png"/>'
        f"<TileSets profile='{profile}'>{sets}</TileSets></TileMap>"
    )
    return {"tilemapresource.xml": text.encode()}


@settings(max_examples=60)
@given(
    blocks(),
    st.sampled_from(["EPSG:3857", "EPSG:900913", "OSGEO:41001", "EPSG:3785"]),
    st.sampled_from(["mercator", "global-mercator"]),
    st.sampled_from(["degrees", "metres", "swapped"]),
    st.booleans(),
)
def test_a_mercator_tile_map_is_placed_whatever_units_its_box_has(block, srs, profile, units, is_from_bottom):
    level, rows, columns = block
    assume(abs(2**level - rows.stop - rows.start) > 4)
    box = block_bounds(level, rows, columns)
    if units == "metres":
        box = [*mercantile.xy(*box[:2]), *mercantile.xy(*box[2:])]
    elif units == "swapped":
        assume(abs(box[0]) < 85 and abs(box[2]) < 85)
        box = [box[1], box[0], box[3], box[2]]
    document = tile_map(srs, profile, box, box[:2], {level: 156543.0339 / 2**level})

    found = inspect(names(level, rows, columns, is_from_bottom=is_from_bottom), documents=document)

    assert found.service.tiling_scheme == WEB_MERCATOR_256
    block = found.service.tiling_scheme.tile_range(found.service.full_extent, level)
    is_right = (range(block.row_start, block.row_stop), range(block.column_start, block.column_stop)) == (rows, columns)
    assert is_right or (units == "swapped" and warnings(found))
    assert bool(warnings(found)) >= (not is_from_bottom)


@pytest.mark.parametrize("true_resolution", [0.703125, 1.40625])
@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("is_from_bottom", [False, True])
@pytest.mark.parametrize(
    "srs",
    [
        "EPSG:4326",
        WGS84_TEXT,
    ],
)
@pytest.mark.parametrize("place", [(7.0, 50.0), (-70.6, -33.5)])
def test_a_geodetic_tile_map_has_one_tile_or_two_at_level_0(true_resolution, is_swapped, is_from_bottom, srs, place):
    level, span = 8, true_resolution / 2**8 * 256
    column, row = int((place[0] + 180) / span), int((place[1] + 90) / span)  # from the bottom, as gdal2tiles counts
    west, south = column * span - 180, row * span - 90
    box = (south, west, south + span, west + span) if is_swapped else (west, south, west + span, south + span)
    file = f"{level}/{column}/{row if is_from_bottom else 2**level - 1 - row}.png"

    found = inspect([file], documents=tile_map(srs, "geodetic", box, box[:2], {level: 0.703125 / 2**level}))

    sides = found.service.full_extent.sides
    assert sides == pytest.approx((west, south, west + span, south + span), abs=1e-9)
    assert found.service.tiling_scheme.spatial_reference.latest_wkid == 4326
    assert bool(warnings(found)) == (true_resolution != 0.703125 or not is_from_bottom)


@settings(max_examples=60)
@given(
    st.sampled_from(
        [("EPSG:2056", (2600000, 1200000)), ("EPSG:3857", (1500000, 6800000)), ("EPSG:27700", (300000, 400000))]
    ),
    st.floats(0.25, 50),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4),
    st.sampled_from(["raster", "local", "none", ""]),
)
def test_another_profile_begins_at_its_origin(grid, first, level, places, profile):
    srs, (x, y) = grid
    units, span = first / 2**level, first / 2**level * 256
    columns, rows = [column for column, _ in places], [row for _, row in places]
    box = (
        x + min(columns) * span,
        y + min(rows) * span,
        x + (max(columns) + 1) * span,
        y + (max(rows) + 1) * span,
    )

    found = inspect(
        [f"{level}/{column}/{row}.png" for column, row in places],
        documents=tile_map(srs, profile, box, (x, y), {level: units}),
    )

    assert found.service.full_extent.sides == pytest.approx(box, rel=1e-9)
    assert warnings(found) == []


def test_the_level_is_the_folder_and_not_its_order():
    document = tile_map("EPSG:2056", "raster", (2600000, 1200000, 2620480, 1220480), (2600000, 1200000), {3: 10.0})
    document = {name: body.replace(b'order="3"', b'order="0"') for name, body in document.items()}

    found = inspect(["3/0/7.png"], documents=document)

    assert found.service.full_extent.sides == pytest.approx((2600000, 1217920, 2602560, 1220480))


GOOD = {"srs": "EPSG:2056", "profile": "raster", "origin": (2600000, 1200000), "units": {3: 10.0}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"srs": "EPSG:999999"}, "SRS 'EPSG:999999' is not known"),
        ({"srs": ""}, "SRS is missing, and the profile 'raster' does not imply one"),
        ({"srs": "OSGEO:7"}, "SRS 'OSGEO:7' is not known"),
        ({"srs": "somewhere"}, "SRS 'somewhere' is not known"),
        ({"origin": None}, "Origin is missing"),
        ({"origin": (1200000, 2600000)}, "Are x and y of Origin swapped"),
        ({"units": {}}, "TileSet is missing"),
        ({"units": {3: 10.0, 4: 7.0}}, "units-per-pixel is not half"),
        ({"units": {3: -1.0}}, "units-per-pixel '-1.0' is not a number greater than 0"),
        ({"units": {3: 1e-300}}, "units-per-pixel '1e-300' is not between"),
        ({"origin": (1e300, 0)}, "Origin x '1e.300' is too large"),
        ({"units": {3000: 1.0}}, "TileSet order '3000' is not a level"),
        ({"size": 0}, "TileFormat width '0'"),
        ({"size": 512}, "512 x 512"),
        ({"srs": "EPSG:3857", "profile": "mercator", "units": {3: 12.0}}, "units-per-pixel 12 of level 3"),
        ({"srs": "EPSG:4326", "profile": "geodetic", "units": {1: 0.3, 2: 0.3}}, "units-per-pixel is not half"),
    ],
)
def test_a_tile_map_that_cannot_be_honoured_is_refused_by_its_member(change, why):
    with pytest.raises(DamagedCacheError, match=f"tilemapresource.xml.*{why}"):
        inspect(["3/4/1.png"], documents=tile_map(**(GOOD | change)))


@pytest.mark.parametrize(("profile", "wkid"), [("mercator", 3857), ("global-geodetic", 4326)])
def test_a_well_known_profile_tells_the_reference_where_srs_is_missing(profile, wkid):
    found = inspect(["3/4/1.png"], documents=tile_map("", profile))

    assert found.service.tiling_scheme.spatial_reference.crs.to_epsg() == wkid


@pytest.mark.parametrize("body", [b"", b"<TileMap>", b"<!DOCTYPE x [<!ENTITY a 'a'>]><TileMap>&a;</TileMap>"])
def test_a_tile_map_that_is_no_xml_is_refused_by_name(body):
    with pytest.raises(DamagedCacheError, match=r"tilemapresource\.xml: "):
        inspect(["3/4/1.png"], documents={"tilemapresource.xml": body})


def test_rows_of_a_local_grid_cannot_count_from_the_top():
    with pytest.raises(DamagedCacheError, match="--rows-from-top"):
        inspect(["3/4/1.png"], FileOrder(is_from_bottom=False), tile_map(**GOOD))
