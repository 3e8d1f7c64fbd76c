"""Sources that are files of another kind are refused, and the message names the file."""

import pytest

from exporttiles.adapters.archives import require_cache
from exporttiles.cli.main import main
from exporttiles.domain.errors import SourceError
from tests.fakes import memory

SQLITE, TIFF = b"SQLite format 3\0", b"II*\0\x08\0\0\0"

OTHERS = [
    ("Photo.tif", b"\xff\xd8\xff", "'Photo.tif' is a picture, not what its name says"),
    ("Photo.jp2", b"\0\0\0\x0cjP", "JPEG 2000 image.*gdal_translate -of COG"),
    ("Photo", TIFF, "'Photo' is a TIFF image"),
    ("Photo.jpg", b"\xff\xd8\xff", "a picture"),
    ("Map.vtpk", b"PK\3\4", "vector tile package"),
    ("Area.geojson", b"{}", "GeoJSON.*--area"),
    ("Area.kmz", b"PK\3\4", "KMZ"),
    ("Area.shp", b"\0\0\x27\x0a", "shapefile"),
    ("R0000C0000.bundle", b"\3\0\0\0", "Name the folder of the cache"),
    ("Conf.xml", b"<CacheInfo/>", "'Conf.xml' is a document of a cache. Name the folder"),
    ("ROOT.JSON", b"{}", "'ROOT.JSON' is a document of a cache"),
    ("TileMapResource.xml", b"<TileMap/>", "'TileMapResource.xml' is a document of a cache"),
    ("World.bin", b"PMTiles\3", "'World.bin' is a PMTiles archive, .* or a .tpkx, .tpk, .zip, .pmtiles or .tif"),
    ("notes", b"", "'notes' is empty"),
    ("notes.docx", b"anything", "'notes.docx' is a file of another kind"),
    ("World.tpkx", SQLITE, "'World.tpkx' is an SQLite file.*, not what its name says"),
    ("World.tpk", b"<!doctype html><html>", "'World.tpk' is an HTML page"),
    ("World.pmtiles", b"PK\3\4", "'World.pmtiles' is a zip archive"),
]


IN_STORES = [
    ("World.mbtiles", SQLITE, "'World.mbtiles' is MBTiles, .*exporttiles export MAP.mbtiles MAP.pmtiles"),
    ("WORLD.MBTILES", b"", "'WORLD.MBTILES' is MBTiles, which are read from a disk only"),
    ("Map.gpkg", SQLITE, "'Map.gpkg' is a GeoPackage, .*exporttiles export MAP.gpkg MAP.tpkx"),
]
"""Databases, which are read on this machine."""


@pytest.mark.parametrize(("name", "body", "why"), [*OTHERS, *IN_STORES])
def test_a_file_of_another_kind_is_refused_by_name_and_kind(name, body, why):
    objects = memory()
    objects.write(name, body)
    objects.write("2/1/1.png", b"a cache beside it")

    with pytest.raises(SourceError, match=why):
        require_cache(objects, name)


@pytest.mark.parametrize(("name", "body"), [other[:2] for other in OTHERS])
def test_a_file_never_stands_for_the_folder_around_it(name, body, tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out.tpkx"
    (data / "2/1").mkdir(parents=True)
    (data / "2/1/1.png").write_bytes(b"a cache beside it")
    (data / name).write_bytes(body)

    for source in (str(data / name), (data / name).as_uri()):
        assert main(["export", source, str(out)]) == 1
        assert f"'{name}' is " in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "body"), [("World.tpkx", b"PK\3\4"), ("World.zip", b"PK\5\6"), ("World.pmtiles", b"PMTiles")]
)
def test_archives_folders_and_what_is_not_there_are_left_to_their_readers(name, body):
    objects = memory()
    objects.write(name, body)
    objects.write("Map.tif/2/1/1.png", b"")

    for source in (name, "Map.tif", "nothing.mbtiles", ""):
        require_cache(objects, source)
