"""What a cache's own documents tell, and what is not believed."""

import json
import zipfile
from pathlib import Path

import pytest

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import TileFormat
from exporttiles.formats.cache_documents import is_counted_from_bottom, read_conf_xml, read_root_json

GOLDEN = Path(__file__).parents[2] / "golden"
ROOT = (GOLDEN / "arcgis-pro/root.json").read_bytes()
with zipfile.ZipFile(GOLDEN / "states_filled.tpk") as package:
    CONF, CDI = (package.read(f"v101/Layers/conf.{name}") for name in ("xml", "cdi"))


def changed(path, value):
    """The root.json with one member replaced."""
    root = json.loads(ROOT)
    *parents, last = path.split(".")
    member = root
    for name in parents:
        member = member[int(name) if name.isdecimal() else name]
    member[last] = value
    return json.dumps(root).encode()


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
    assert read_root_json(changed("fullExtent", None)).full_extent is None


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
        changed("tileImageInfo.format", "BMP"),
        changed("fullExtent", {"xmin": 0}),
        changed("tileInfo.spatialReference", [1]),
    ],
)
def test_an_unusable_root_json_is_named(body):
    with pytest.raises(DamagedCacheError, match=r"root\.json cannot be used"):
        read_root_json(body)


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
        CONF.replace(b"PNG8", b"BMP"),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + CONF.partition(b"?>")[2],
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + CONF.partition(b"?>")[2],
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><CacheInfo>&x;</CacheInfo>',
        BILLION_LAUGHS + CONF.partition(b"?>")[2],
        CONF.replace(b"utf-8", b"utf-4"),
        CONF.decode().encode("utf-16"),
        b"<a>" * 100_000,
    ],
)
def test_an_unusable_conf_xml_is_named(conf):
    with pytest.raises(DamagedCacheError, match=r"conf\.xml cannot be used"):
        read_conf_xml(conf, CDI)


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("tilemapresource.xml", b"", True),
        ("metadata.json", b'{"scheme": "tms"}', True),
        ("metadata.json", b'{"scheme": "xyz"}', False),
        ("metadata.json", b"[" * 100_000, False),
        ("tilejson.json", b"[]", False),
        ("conf.xml", b"tms", False),
    ],
)
def test_documents_tell_whether_rows_are_counted_from_the_bottom(name, body, expected):
    assert is_counted_from_bottom(name, body) is expected
