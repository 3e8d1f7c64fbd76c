"""Reading the documents of caches, including damaged ones."""

import json
import re
import zipfile
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.formats.caches.documents import read_conf_xml, read_root_json
from exporttiles.formats.esri.esri_json import read_tile_info, write_tile_info
from exporttiles.formats.packages.conf import write_conf_xml

PYTHON = re.compile(r"[a-z](?<!lerc)(Error|Exception)\b|NoneType|could not convert|invalid literal|\bNone\b|\bTrue\b")
GOLDEN = Path(__file__).parents[2] / "golden"
ROOT = (GOLDEN / "arcgis-pro/root.json").read_bytes()
with zipfile.ZipFile(GOLDEN / "states_filled.tpk") as package:
    CONF, CDI = (package.read(f"v101/Layers/conf.{name}") for name in ("xml", "cdi"))


def changed(path, value, encoding="utf-8", **options):
    """The root.json with one member replaced."""
    root = json.loads(ROOT)
    *parents, last = path.split(".")
    member = root
    for name in parents:
        member = member[int(name) if name.isdecimal() else name]
    member[last] = value
    return json.dumps(root, **options).encode(encoding)


def sides(xmin, ymin, xmax, ymax, reference=""):
    """A conf.cdi."""
    named = f"<SpatialReference>{reference}</SpatialReference>" if reference else ""
    texts = zip(("XMin", "YMin", "XMax", "YMax"), (xmin, ymin, xmax, ymax), strict=True)
    return f"<EnvelopeN>{''.join(f'<{name}>{side}</{name}>' for name, side in texts)}{named}</EnvelopeN>".encode()


BILLION_LAUGHS = b"<!DOCTYPE a [<!ENTITY a0 'ha'>%s]>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 10)
)


def test_the_documents_of_arcmap_are_read():
    info = read_conf_xml(CONF, CDI)

    assert (info.tile_format, info.compression_quality, info.lerc_error) == (TileFormat.PNG8, 0, 0)
    assert [lod.level for lod in info.tiling_scheme.lods] == [0, 1, 2, 3, 4]
    assert info.tiling_scheme.lod(0).resolution == 156543.03392799999
    assert info.full_extent.ymax == 7765256.9933629986
    assert read_conf_xml(CONF, None).full_extent is None


def test_the_document_of_arcgis_pro_is_read():
    info = read_root_json(ROOT)

    assert info.tile_format == TileFormat.PNG
    assert info.tiling_scheme.spatial_reference.latest_wkid == 3857


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        changed("tileInfo.lods", []),
        changed("tileInfo.lods", [{"level": 1, "resolution": 1, "scale": 1}] * 2),
        changed("tileInfo.lods", [{"level": level, "resolution": 1, "scale": 1} for level in range(1000)]),
        changed("tileInfo.lods.0.resolution", float("nan")),
        changed("tileInfo.lods.0.resolution", 0),
        changed("tileInfo.lods.0.level", float("inf")),
        changed("tileInfo.origin.x", float("-inf")),
        changed("tileInfo.cols", 512),
        changed("tileInfo.spatialReference", [1]),
        changed("tileInfo.spatialReference", {"wkid": 999_999}),
        changed("tileInfo.spatialReference", {"wkid": 10**400}),
    ],
)
def test_an_unusable_root_json_is_named(body):
    with pytest.raises(DamagedCacheError, match=r"^root\.json: ") as refused:
        read_root_json(body)

    assert not PYTHON.search(str(refused.value))


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("tileInfo", None, "tileInfo is missing."),
        ("tileInfo.rows", "2x56", "tileInfo.rows '2x56' is not a number. It must be a whole number from 0 to 4,096."),
        ("tileInfo.rows", 256.5, "tileInfo.rows '256.5' is not a whole number from 0 to 4,096."),
        ("tileInfo.cols", 512, "tileInfo.cols 512 and tileInfo.rows 256: tiles must be square, 1 pixel or more."),
        ("tileInfo.dpi", "many", "tileInfo.dpi 'many' is not a number."),
        ("tileInfo.origin", None, "tileInfo.origin is missing."),
        ("tileInfo.origin.x", None, "tileInfo.origin.x is missing."),
        ("tileInfo.origin.x", True, "tileInfo.origin.x 'true' is not a number."),
        ("tileInfo.lods", {}, "tileInfo.lods is not a list of levels."),
        ("tileInfo.lods", [], "tileInfo.lods has 0 levels. It must have 1 to 64."),
        ("tileInfo.lods.3.level", 2, "tileInfo.lods: level 2 appears more than once."),
        ("tileInfo.lods.3.level", None, "tileInfo.lods: level is missing. It must be a whole number from 0 to 99."),
        ("tileInfo.lods.3.resolution", -1, "resolution of level 3 '-1' is not a number greater than 0."),
        ("tileInfo.lods.3.scale", "1,234", "scale of level 3 '1,234' can be read in two ways."),
        ("tileInfo.spatialReference", {}, "spatialReference has no wkid, latestWkid or wkt."),
        ("tileInfo.spatialReference", {"wkid": 7}, "tileInfo.spatialReference: No coordinate system is known as '7'."),
    ],
)
def test_a_member_that_cannot_be_used_is_named_with_its_value(member, value, text):
    with pytest.raises(DamagedCacheError, match="^" + re.escape(f"root.json: {text}")):
        read_root_json(changed(member, value))


@pytest.mark.parametrize(
    "conf",
    [
        b"",
        b"<CacheInfo/>",
        CONF[:-1],
        CONF.replace(b"<TileCols>256", b"<TileCols>512"),
        CONF.replace(b"<TileCols>256", b"<TileCols>99999").replace(b"<TileRows>256", b"<TileRows>99999"),
        CONF.replace(b"<Resolution>156543.03392799999", b"<Resolution>-1"),
        CONF.replace(b"<LevelID>1<", b"<LevelID>0<"),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + CONF.partition(b"?>")[2],
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + CONF.partition(b"?>")[2],
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><CacheInfo>&x;</CacheInfo>',
        BILLION_LAUGHS + CONF.partition(b"?>")[2],
        b"<a>" * 100_000,
    ],
)
def test_an_unusable_conf_xml_is_named(conf):
    with pytest.raises(DamagedCacheError, match=r"^Layers/conf\.xml: ") as refused:
        read_conf_xml(conf, CDI, "Layers/conf.xml")

    assert not PYTHON.search(str(refused.value))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (
            "TileCols>256",
            "TileCols>2x56",
            "TileCols '2x56' is not a number. It must be a whole number from 0 to 4,096.",
        ),
        ("DPI>96", "DPI>many", "DPI 'many' is not a number."),
        ("<X>-20037508.342787001</X>", "", "TileOrigin/X is missing."),
        ("<Resolution>156543.03392799999", "<Resolution>", "Resolution of level 0 is missing."),
        ("<Resolution>156543.03392799999", "<Resolution>NaN", "Resolution of level 0 'NaN' is not a number."),
        ("<LevelID>1<", "<LevelID>one<", "LODInfos: LevelID 'one' is not a number."),
        ("<WKID>102100", "<WKID>web", "WKID 'web' is not a number."),
        ("SpatialReference", "Reference", "SpatialReference is missing."),
        ("TileCacheInfo", "TileCache", "TileCacheInfo is missing."),
    ],
)
def test_an_element_that_cannot_be_used_is_named_with_its_value(before, after, text):
    conf = CONF.decode().replace(before, after)
    assert conf != CONF.decode()

    with pytest.raises(DamagedCacheError, match="^" + re.escape(f"conf.xml: {text}")):
        read_conf_xml(conf.encode(), None)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("<WKID>999999</WKID>", "No coordinate system is known as '999999'."),
        ("<WKT>nonsense</WKT>", "No coordinate system is known as 'nonsense'."),
        (
            "<WKT>LOCAL_CS[&quot;Plan&quot;,UNIT[&quot;Meter&quot;,1.0]]</WKT>",
            "'Plan' is not a coordinate system of maps.",
        ),
    ],
)
def test_a_reference_that_is_unknown_is_named_by_its_element(reference, why):
    conf = re.sub(r"(<SpatialReference[^>]*>).*(</SpatialReference>)", rf"\1{reference}\2", CONF.decode())

    with pytest.raises(DamagedCacheError, match="^" + re.escape(f"conf.xml: SpatialReference: {why}")):
        read_conf_xml(conf.encode(), None)


# Encodings


@pytest.mark.parametrize(
    ("encoding", "letters"),
    [
        ("gb2312", "图"),
        ("gbk", "圖"),
        ("gb18030", "㐀"),
        ("big5", "圖"),
        ("shift_jis", "表"),  # its second byte is a backslash
        ("euc-jp", "図"),
        ("iso-2022-jp", "図"),
        ("euc-kr", "도"),
        ("windows-1250", "ł"),
        ("windows-1251", "к"),
        ("windows-1252", "ü"),
        ("windows-1254", "ş"),
        ("iso-8859-15", "€"),
        ("koi8-r", "к"),
        ("utf-8", "図"),
        ("utf-8-sig", "図"),
        ("utf-16", "図"),
        ("utf-16-le", "図"),
        ("utf-16-be", "図"),
        ("utf-32", "図"),
    ],
)
@pytest.mark.parametrize("has_letters", [True, False])
def test_a_document_is_read_in_the_encoding_that_it_declares(encoding, letters, has_letters):
    comment = f"<!-- {letters if has_letters else ''} -->"
    documents = [
        body.decode().replace("utf-8", encoding).replace("?>", f"?>{comment}").encode(encoding) for body in (CONF, CDI)
    ]

    assert read_conf_xml(*documents) == read_conf_xml(CONF, CDI)


@pytest.mark.parametrize(
    ("declared", "encoding", "letters"),
    [
        ("utf-8", "latin-1", "ü"),
        ("utf-8", "gbk", "图"),
        ("utf-8", "shift_jis", "表"),
        ("utf-16", "utf-8", "ü"),
        ("utf-16", "ascii", ""),
        ("windows-1252", "utf-8-sig", "ü"),
        ("gb2312", "gb18030", "㐀"),
        ("us-ascii", "utf-8", "ü"),
        ("utf-4", "utf-8", "ü"),
        ("Windows-31J", "cp932", "表"),
        ("x-sjis", "cp932", "図"),
        ("punycode", "latin-1", "ü"),
        ("zlib", "ascii", ""),
    ],
)
def test_a_wrong_encoding_does_no_harm_outside_of_names_and_comments(declared, encoding, letters):
    conf = CONF.decode().replace("utf-8", declared).replace("?>", f"?><!-- {letters} -->").encode(encoding)

    assert read_conf_xml(conf, CDI) == read_conf_xml(CONF, CDI)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_is_read_in_every_unicode_encoding(encoding):
    assert read_root_json(ROOT.decode().encode(encoding)) == read_root_json(ROOT)


def test_json_with_letters_in_another_encoding_is_read():
    assert read_root_json(changed("name", "Übersicht", ensure_ascii=False, encoding="latin-1")) == read_root_json(ROOT)


# Formats and storage


@pytest.mark.parametrize(
    ("said", "tile_format"),
    [
        ("JPG", TileFormat.JPEG),
        ("jpg", TileFormat.JPEG),
        (" Jpeg\n", TileFormat.JPEG),
        ("Mixed", TileFormat.MIXED),
        ("png32", TileFormat.PNG32),
        ("LERC2D", TileFormat.LERC),
        ("", None),
        ("  ", None),
    ],
)
def test_formats_are_read_in_all_their_spellings(said, tile_format):
    conf = read_conf_xml(CONF.replace(b">PNG8<", f">{said}<".encode()), None)
    root = read_root_json(changed("tileImageInfo.format", said))

    assert (conf.tile_format, conf.remarks) == (tile_format, ())
    assert (root.tile_format, root.remarks) == (tile_format, ())


def test_a_format_that_is_unknown_is_left_to_the_tiles_with_a_remark():
    conf = read_conf_xml(CONF.replace(b">PNG8<", b">BMP<"), None)
    root = read_root_json(changed("tileImageInfo.format", "BMP"))

    left = "'BMP' is not a format of Esri's caches."
    assert (conf.tile_format, conf.remarks) == (None, (f"conf.xml: CacheTileFormat {left}",))
    assert (root.tile_format, root.remarks) == (None, (f"root.json: tileImageInfo.format {left}",))


def test_a_conf_xml_of_before_arcgis_10_is_read():
    text = CONF.decode()
    for name in ("TileImageInfo", "CacheStorageInfo"):
        text = re.sub(rf"<{name} .*</{name}>", "", text, flags=re.DOTALL)
    text = re.sub(r"<(WKID|LatestWKID)>\d+</\1>", "", text)  # the reference by its text alone

    info = read_conf_xml(text.encode(), None)

    assert (info.storage_format, info.tile_format, info.compression_quality) == (None, None, None)
    assert info.tiling_scheme.lods == read_conf_xml(CONF, None).tiling_scheme.lods
    assert info.tiling_scheme.spatial_reference.is_same_as(SpatialReference(3857))
    assert info.remarks == ()


# Numbers


@pytest.mark.parametrize("name", ["TileCols", "TileRows", "X", "Y", "WKID", "LevelID", "Scale", "Resolution", "DPI"])
def test_white_space_around_a_number_has_no_meaning(name):
    conf = re.sub(rf"<({name})>([^<]+)", r"<\1>\n \t\2\r\n", CONF.decode()).encode()
    assert conf != CONF

    assert read_conf_xml(conf, CDI) == read_conf_xml(CONF, CDI)


def test_a_decimal_comma_is_a_decimal_point():
    conf = re.sub(r"(<(?:Resolution|Scale|X|Y)>-?\d+)\.", r"\1,", CONF.decode())
    cdi = re.sub(r"(<[XY]M(?:in|ax)>-?\d+)\.", r"\1,", CDI.decode())
    assert conf.count(",") > CONF.count(b",")

    assert read_conf_xml(conf.encode(), cdi.encode()) == read_conf_xml(CONF, CDI)


def test_a_comma_that_could_group_thousands_is_decimal_among_others_that_cannot():
    conf = CONF.replace(b"<Resolution>156543.03392799999", b"<Resolution>156543,03392799999")
    conf = re.sub(rb"<Resolution>9783[.\d]+", b"<Resolution>9,784", conf)

    assert read_conf_xml(conf, None).tiling_scheme.lod(4).resolution == 9.784


@pytest.mark.parametrize(
    ("elements", "dpi"),
    [
        ("<DPI>90.714285714285708</DPI>", 90.714285714285708),
        ("<DPI>91</DPI><PreciseDPI>90.714285714285708</PreciseDPI>", 90.714285714285708),
        ("<DPI>120.0</DPI>", 120),
        ("<DPI>96</DPI><PreciseDPI>0</PreciseDPI>", 96),
        ("<DPI></DPI>", 96),
        ("", 96),
    ],
)
def test_dots_per_inch_keep_their_decimals(elements, dpi):
    conf = re.sub(r"<DPI>.*</PreciseDPI>", elements, CONF.decode())

    assert read_conf_xml(conf.encode(), None).tiling_scheme.dpi == dpi
    assert read_root_json(changed("tileInfo.dpi", dpi)).tiling_scheme.dpi == dpi


def test_dots_per_inch_that_are_missing_follow_from_scale_and_resolution():
    root = json.loads(ROOT)
    root["tileInfo"]["dpi"] = None
    for lod in root["tileInfo"]["lods"]:
        lod["scale"] = lod["resolution"] * 120 / 0.0254

    assert read_root_json(json.dumps(root).encode()).tiling_scheme.dpi == pytest.approx(120)


@pytest.mark.parametrize("value", [None, ""])
def test_scales_that_are_missing_follow_from_resolution_and_dots_per_inch(value):
    root = json.loads(ROOT)
    for lod in root["tileInfo"]["lods"]:
        lod["scale"] = value

    for lod in read_root_json(json.dumps(root).encode()).tiling_scheme.lods:
        assert lod.scale == pytest.approx(lod.resolution * 96 / 0.0254)


@given(dpi=st.floats(1, 10_000), quality=st.integers(0, 100))
def test_a_written_conf_xml_is_read_unchanged(dpi, quality):
    scheme = replace(read_conf_xml(CONF, None).tiling_scheme, dpi=dpi)
    conf = write_conf_xml(scheme, StorageFormat.COMPACT_V2, TileFormat.JPEG, compression_quality=quality)

    info = read_conf_xml(conf, None)

    assert (info.tiling_scheme.dpi, info.compression_quality) == (dpi, quality)
    assert read_tile_info(json.loads(json.dumps(write_tile_info(scheme)))).dpi == dpi


def test_dots_per_inch_that_are_whole_are_written_as_arcgis_does():
    scheme = read_conf_xml(CONF, None).tiling_scheme
    conf = write_conf_xml(scheme, StorageFormat.COMPACT_V2, TileFormat.JPEG, compression_quality=0)

    assert b"<DPI>96</DPI><PreciseDPI>96</PreciseDPI>" in conf
    assert '"dpi": 96,' in json.dumps(write_tile_info(scheme))


# root.json by other programs


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("numbers as texts", lambda root: root["tileInfo"].update(rows="256", cols=" 256 ", dpi="96")),
        ("one number as text", lambda root: root["tileInfo"].update(rows="256")),
        ("row", lambda root: root["tileInfo"].update(row=root["tileInfo"].pop("rows"))),
        ("no dpi", lambda root: root["tileInfo"].pop("dpi")),
        ("dpi null", lambda root: root["tileInfo"].update(dpi=None)),
        ("fine to coarse", lambda root: root["tileInfo"]["lods"].reverse()),
        ("levels as texts", lambda root: [lod.update(level=str(lod["level"])) for lod in root["tileInfo"]["lods"]]),
        ("scales as texts", lambda root: [lod.update(scale=repr(lod["scale"])) for lod in root["tileInfo"]["lods"]]),
        ("origin as texts", lambda root: root["tileInfo"]["origin"].update(x=repr(root["tileInfo"]["origin"]["x"]))),
        ("LatestWkid", lambda root: root["tileInfo"].update(spatialReference={"WKID": 102100, "LatestWkid": "3857"})),
        ("the outer reference", lambda root: root["tileInfo"].pop("spatialReference")),
        ("no storageInfo", lambda root: root.pop("storageInfo")),
        ("storageInfo null", lambda root: root.update(storageInfo=None)),
        ("bandCount as text", lambda root: root["tileImageInfo"].update(bandCount="1")),
    ],
)
def test_a_root_json_by_another_program_is_read(name, change):
    root = json.loads(ROOT)
    change(root)

    info = read_root_json(json.dumps(root).encode())

    scheme = read_root_json(ROOT).tiling_scheme
    assert (replace(info.tiling_scheme, lods=()), sorted(info.tiling_scheme.lods, key=attrgetter("level"))) == (
        replace(scheme, lods=()),
        list(scheme.lods),
    ), name
    assert info.full_extent == read_root_json(ROOT).full_extent
    assert info.remarks == ()


@pytest.mark.parametrize("value", [None, "", "0.75", 75.5, "high", 101, -1, [75]])
def test_a_quality_that_cannot_be_used_is_left_to_the_tiles(value):
    info = read_root_json(changed("tileImageInfo.compressionQuality", value))

    assert info.compression_quality is None
    assert len(info.remarks) == (value not in (None, ""))
    assert all(text.startswith("root.json: tileImageInfo.compressionQuality ") for text in info.remarks)


# Extents


@pytest.mark.parametrize(
    ("cdi", "why"),
    [
        (b"", "It is not well-formed XML: line 1, column 1 cannot be read."),
        (b"not xml", "It is not well-formed XML"),
        (CDI[:200], "It is not well-formed XML"),
        (b"<EnvelopeN/>", "XMin is missing."),
        (sides(0, 0, 0, 0), "xmin (0) must be less than xmax (0)."),
        (sides(10, 10, 0, 0), "xmin (10) must be less than xmax (0)."),
        (sides("NaN", "NaN", "NaN", "NaN"), "XMin 'NaN' is not a number."),
        (sides("1.#INF", 0, 1, 1), "XMin '1.#INF' is not a number."),
        (sides("-1.#IND", 0, 1, 1), "XMin '-1.#IND' is not a number."),
        (sides(0, "", 1, 1), "YMin is missing."),
        (sides(0, 0, 1e300, 1), "too large"),
        (sides(0, 0, 1, 1, "<WKID>999999</WKID>"), "No coordinate system is known as '999999'."),
        (sides(0, 0, 1, 1, "<WKT>nonsense</WKT>"), "No coordinate system is known as 'nonsense'."),
        (sides(700000, 89.99, 700001, 89.999, "<WKID>4326</WKID>"), ""),
    ],
)
def test_a_conf_cdi_that_cannot_be_used_is_passed_over_with_a_remark(cdi, why):
    info = read_conf_xml(CONF, cdi, "Layers/conf.xml", "Layers/conf.cdi")

    assert info.full_extent is None
    (remark,) = info.remarks
    assert remark.startswith("Layers/conf.cdi: ")
    assert why in remark
    assert not PYTHON.search(remark)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "'null' is not an object"),
        ([], "is not an object"),
        ({"xmin": 0}, "ymin is missing."),
        ({"xmin": None, "ymin": 0, "xmax": 1, "ymax": 1}, "xmin is missing."),
        ({"xmin": "NaN", "ymin": "NaN", "xmax": "NaN", "ymax": "NaN"}, "xmin 'NaN' is not a number."),
        ({"xmin": 0, "ymin": 0, "xmax": 0, "ymax": 0}, "xmin (0) must be less than xmax (0)."),
        ({"xmin": 0, "ymin": 0, "xmax": 1, "ymax": 1, "spatialReference": {"wkid": 7}}, "known as '7'"),
    ],
)
def test_a_full_extent_that_cannot_be_used_is_passed_over_with_a_remark(value, why):
    info = read_root_json(changed("fullExtent", value))

    assert info.full_extent is None
    (remark,) = info.remarks
    assert remark.startswith("root.json: fullExtent: ")
    assert why in remark


DEGREES = '<WKT>GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]</WKT>'  # noqa: E501


@pytest.mark.parametrize("reference", ["<WKID>4326</WKID>", "<LatestWKID>4326</LatestWKID>", DEGREES])
def test_a_conf_cdi_in_another_reference_is_converted(reference):
    extent = read_conf_xml(CONF, sides(-90, 0, 0, 66.51326044, reference)).full_extent

    assert extent.sides == pytest.approx((-10018754.17, 0, 0, 10018754.17), abs=0.01)
    assert extent.spatial_reference == read_conf_xml(CONF, None).tiling_scheme.spatial_reference


def test_a_full_extent_in_another_reference_is_converted():
    degrees = {"xmin": "-90", "ymin": 0, "xmax": 0, "ymax": 66.51326044, "spatialReference": {"wkid": 4326}}

    extent = read_root_json(changed("fullExtent", degrees)).full_extent

    assert extent.sides == pytest.approx((-10018754.17, 0, 0, 10018754.17), abs=0.01)


def test_a_full_extent_across_the_180th_meridian_reaches_from_edge_to_edge():
    """So no service has an extent from east to west, within which `TileSelection` would find nothing."""
    degrees = {"xmin": 170, "ymin": -10, "xmax": -170, "ymax": 10, "spatialReference": {"wkid": 4326}}

    extent = read_root_json(changed("fullExtent", degrees)).full_extent

    assert (extent.xmin, extent.xmax) == pytest.approx((-20037508.34, 20037508.34), abs=0.01)


# Whatever a document holds

VALUES = st.sampled_from(
    ["", " ", "-1", "0", "1e999", "NaN", "1,5", "1,234", "2x56", "\0", "\ud800", "٣", "9" * 400, "true"]
)
JSON_VALUES = st.one_of(VALUES, st.none(), st.booleans(), st.integers(), st.floats(), st.just([]), st.just({}))


@given(st.data())
def test_a_root_json_is_read_or_refused_by_its_name(data):
    root = json.loads(ROOT)
    for _ in range(data.draw(st.integers(1, 3))):
        member = root
        while True:
            keys = list(member) if isinstance(member, dict) else list(range(len(member)))
            key = data.draw(st.sampled_from(keys))
            if not (isinstance(member[key], dict | list) and member[key]) or data.draw(st.integers(0, 3)) == 0:
                break
            member = member[key]
        if data.draw(st.booleans()):
            member[key] = data.draw(JSON_VALUES)
        elif isinstance(member, dict) and len(member) > 1:
            del member[key]

    read_or_refused(lambda: read_root_json(json.dumps(root).encode(), "Map/root.json"), "Map/root.json")


@given(st.data())
def test_a_conf_xml_is_read_or_refused_by_its_name(data):
    documents = []
    for body in (CONF, CDI):
        root = fromstring(body)
        for element in data.draw(st.lists(st.sampled_from([*root.iter()]), max_size=2)):
            match data.draw(st.sampled_from(["text", "tag", "empty"])):
                case "text":
                    element.text = data.draw(VALUES.filter(lambda text: text not in {"\0", "\ud800"}))
                case "tag":
                    element.tag = "Other"
                case "empty":
                    element.clear()
        documents.append(ET.tostring(root))

    read_or_refused(lambda: read_conf_xml(*documents, "Map/conf.xml", "Map/conf.cdi"), "Map/conf.xml")


@given(st.binary(max_size=200), st.integers(0, len(CONF)), st.integers(0, len(CONF)))
def test_bytes_that_are_changed_anywhere_are_read_or_refused_by_name(body, start, stop):
    read_or_refused(lambda: read_conf_xml(CONF[:start] + body + CONF[stop:], body), "conf.xml")
    read_or_refused(lambda: read_root_json(ROOT[:start] + body + ROOT[stop:]), "root.json")


def read_or_refused(read, path):
    try:
        texts = read().remarks
    except DamagedCacheError as error:
        texts = (str(error),)
        assert texts[0].startswith(f"{path}: ")
    for text in texts:
        assert not PYTHON.search(text)
        assert text.isprintable()


# Rows
