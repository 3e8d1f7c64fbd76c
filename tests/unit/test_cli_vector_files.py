"""Files of areas that GDAL reads: what is read of them, what is said, and what is refused."""

import json
import math
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import shapely

from exporttiles.cli import vector_file, vector_source
from exporttiles.cli.area_file import read_area_file
from exporttiles.cli.vector_file import Choice
from exporttiles.domain.errors import AreaError, RequestError
from exporttiles.domain.selection import TileSelection
from exporttiles.rest.areas import area_of_interest
from exporttiles.rest.buffer import Buffer
from exporttiles.rest.buffered_areas import buffered_area_of_interest
from tests.builders_rest import a_service
from tests.vector_files import KML, PLACEMARK, POINTS, ring, write, zipped

SERVICE = a_service()
LEVEL = 12
WEST, EAST = shapely.box(8, 47, 8.4, 47.3), shapely.box(9, 47, 9.2, 47.1)


def tiles_of(text, *, level=LEVEL):
    area, warnings = area_of_interest("areaOfInterest", text, SERVICE, must_name_reference=True)
    assert warnings == ()
    return mask_of(area, level)


def mask_of(area, level):
    selection = TileSelection(SERVICE.tiling_scheme, area, SERVICE.full_extent)
    return {bundle: selection.mask(bundle).tobytes() for bundle, _ in selection.bundles(level)}


def geometries_of(text):
    return [shapely.geometry.shape(feature["geometry"]) for feature in json.loads(text)["features"]]


def refusal(path, *choice, wkid=None):
    with pytest.raises(RequestError) as refused:
        read_area_file(path, Choice(*choice), wkid)
    return str(refused.value)


def stars(seed):
    """Return polygons with holes all over the Alps."""
    spread = random.Random(seed)  # noqa: S311  shapes, not secrets
    for _ in range(40):
        x, y, reach = spread.uniform(6, 12), spread.uniform(45, 48), spread.uniform(0.01, 0.4)
        angles = np.linspace(0, 2 * np.pi, spread.randrange(4, 30), endpoint=False)
        reaches = np.array([reach * spread.uniform(0.5, 1) for _ in angles])
        outer = np.column_stack([x + reaches * np.cos(angles), y + reaches * np.sin(angles)])
        yield shapely.Polygon(outer, [(outer - (x, y)) * 0.4 + (x, y)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_same_polygons_select_the_same_tiles_in_every_kind_of_file(tmp_path, seed):
    polygons = list(stars(seed))
    expected = tiles_of(json.dumps(shapely.geometry.mapping(shapely.GeometryCollection(polygons))))
    files = [write(tmp_path / f"a{suffix}", polygons) for suffix in (".shp", ".gpkg", ".fgb", ".kml", ".geojson")]
    kmz = zipped(tmp_path / "a.kmz", tmp_path / "a.kml")
    archives = [zipped(tmp_path / f"a{file.suffix}.zip", file, folder="data/") for file in files]

    for file in (*files, kmz, *archives):
        assert tiles_of(read_area_file(file).text) == expected, file


@pytest.mark.slow
def test_the_same_lines_and_points_have_the_same_buffer_in_every_kind_of_file(tmp_path):
    track = shapely.LineString([(8, 47), (8.05, 47.02), (8.1, 46.9)])
    shapes = [track, shapely.Point(8.2, 47.1), shapely.MultiPoint([(8.3, 47), (8.3, 47.1)])]
    files = [write(tmp_path / f"a{suffix}", shapes) for suffix in (".gpkg", ".fgb", ".kml", ".geojson")]
    points = ["".join(f'<trkpt lat="{y}" lon="{x}"/>' for x, y in track.coords)]
    points += [f'<wpt lat="{y}" lon="{x}"/>' for x, y in [(8.2, 47.1), (8.3, 47), (8.3, 47.1)]]
    (tmp_path / "a.gpx").write_text(f"<gpx>{''.join(points[1:])}<trk><trkseg>{points[0]}</trkseg></trk></gpx>")

    def corridor(file):
        text, buffer = read_area_file(file).text, Buffer(500.0, "500 m")
        area, warnings, _ = buffered_area_of_interest("areaOfInterest", text, SERVICE, buffer, must_name_reference=True)
        assert warnings == ()
        return mask_of(area, 16)

    expected = corridor(files.pop())
    assert [corridor(file) == expected for file in (*files, tmp_path / "a.gpx")] == [True] * 4


@pytest.mark.slow
@pytest.mark.parametrize("wkid", [25832, 31467, 2056, 102003, 6318])
def test_coordinates_are_read_in_the_reference_of_the_file(tmp_path, wkid):
    """Of which some have north before east in their register."""
    crs = pyproj.CRS.from_user_input(f"{'ESRI' if wkid > 100_000 else 'EPSG'}:{wkid}")
    to_file = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    polygon = shapely.transform(
        shapely.segmentize(WEST, 0.01), lambda vertices: np.column_stack(to_file.transform(*vertices.T))
    )
    expected = read_area_file(write(tmp_path / "a.geojson", [WEST])).text

    for suffix in (".shp", ".gpkg", ".fgb"):
        found = read_area_file(write(tmp_path / f"a{suffix}", [polygon], crs.to_string()))
        assert tiles_of(found.text) == tiles_of(expected)
        assert found.notes == (f"areaOfInterest: 1 feature of layer a was read, in {crs.name}.",)


def test_a_file_of_several_layers_needs_the_name_of_one(tmp_path):
    path = tmp_path / "a.gpkg"
    write(path, [WEST], layer="west")
    write(path, [EAST, EAST], layer="Östliche Gebiete", append=True)

    assert refusal(path) == ("areaOfInterest: It has 2 layers: west, Östliche Gebiete. Choose one with --area-layer.")
    assert refusal(path, "east") == "area_layer: 'east' is none of its layers: west, Östliche Gebiete."
    found = read_area_file(path, Choice("Östliche Gebiete"))
    assert geometries_of(found.text) == [EAST, EAST]
    assert found.notes == ("areaOfInterest: 2 features of layer Östliche Gebiete were read, in WGS 84.",)


def test_tables_are_no_layers(tmp_path):
    path = write(tmp_path / "a.gpkg", [WEST], layer="west")
    pyogrio.raw.write(path, None, [np.array([1])], ["style"], layer="layer_styles", driver="GPKG", append=True)

    assert len(geometries_of(read_area_file(path).text)) == 1


def test_an_archive_of_several_files_needs_the_name_of_one(tmp_path):
    files = [write(tmp_path / f"{name}.shp", [shape]) for name, shape in (("west", WEST), ("east", EAST))]
    archive = zipped(tmp_path / "a.zip", *files, folder="data/")

    assert refusal(archive) == (
        "areaOfInterest: It has 2 files of areas: data/west.shp, data/east.shp. Choose one with --area-layer."
    )
    for name in ("east", "east.shp", "data/east.shp"):
        assert geometries_of(read_area_file(archive, Choice(name)).text)[0].equals(EAST)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb", ".kml"])
def test_features_are_chosen_by_their_attributes(tmp_path, suffix):
    path = write(tmp_path / f"a{suffix}", [WEST, EAST, EAST], names=["Kern", "Inyo", "Inyo"])
    field = "Name" if suffix == ".kml" else "NAME"

    (found,) = geometries_of(read_area_file(path, Choice(where=f"{field} = 'Kern'")).text)
    assert found.equals(WEST)
    assert refusal(path, None, f"{field} = 'Tulare'") == f"area_where: No feature has {field} = 'Tulare'."
    assert refusal(path, None, "COUNTY = 'Kern'").startswith(
        "area_where: 'COUNTY = 'Kern'' cannot be used on layer a, whose attributes are "
    )


def test_the_features_keep_the_attribute_that_is_asked_for(tmp_path):
    path = write(tmp_path / "a.gpkg", [WEST, EAST], names=["Kern", None])

    features = json.loads(read_area_file(path, Choice(attribute="NAME")).text)["features"]

    assert [feature["properties"] for feature in features] == [{"NAME": "Kern"}, {"NAME": None}]
    assert refusal(path, None, None, "OTHER") == "packageBy: Layer a has no attribute 'OTHER', only NAME."


@pytest.mark.parametrize(("encoding", "name"), [("UTF-8", "Übersee"), ("CP1252", "Übersee"), ("CP1250", "Łódź")])
def test_attributes_of_a_shapefile_are_read_in_the_encoding_that_it_names(tmp_path, encoding, name):
    path = write(tmp_path / "a.shp", [WEST, EAST], names=[name], encoding=encoding)

    assert json.loads(read_area_file(path, Choice(attribute="NAME")).text)["features"][0]["properties"] == {
        "NAME": name
    }


@pytest.mark.parametrize("encoding", ["UTF-8", "CP1252"])
def test_an_encoding_that_is_not_named_is_assumed_and_said(tmp_path, encoding):
    path = write(tmp_path / "a.shp", [WEST], names=["Übersee"], encoding=encoding)
    path.with_suffix(".cpg").unlink()
    table = path.with_suffix(".dbf")
    table.write_bytes(table.read_bytes()[:29] + b"\0" + table.read_bytes()[30:])

    found = read_area_file(path, Choice(where="NAME = 'Übersee'"))

    assert len(geometries_of(found.text)) == 1
    assert found.notes[1:] == (
        f"areaOfInterest: No .cpg names the encoding of its attributes; they were read as {encoding}.",
    )


def test_a_file_without_a_reference_needs_one(tmp_path):
    path = write(tmp_path / "a.shp", [shapely.box(500_000, 5_200_000, 510_000, 5_210_000)], crs=None)

    assert refusal(path) == (
        "areaOfInterest: It names no spatial reference. Give it by --area-wkid, such as 4326 for degrees."
    )
    found = read_area_file(path, wkid=25832)
    assert json.loads(found.text)["spatialReference"] == {"wkid": 25832, "latestWkid": 25832}
    assert found.notes == ("areaOfInterest: 1 feature of layer a was read, in ETRS89 / UTM zone 32N.",)
    assert refusal(path, wkid=999_999).startswith("area_wkid: No coordinate system is known as '999999'.")


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b'GEOGCS["WGS 84"', "missing "), ('LOCAL_CS["Système",UNIT["m",1]]'.encode("latin-1"), "it is not in UTF-8.")],
)
def test_a_reference_that_is_damaged_is_refused(tmp_path, body, reason):
    path = write(tmp_path / "a.shp", [WEST])
    path.with_suffix(".prj").write_bytes(body)

    assert refusal(path).startswith(f"areaOfInterest: Its spatial reference cannot be read: {reason}")


def test_a_reference_may_have_heights(tmp_path):
    path = write(tmp_path / "a.shp", [WEST])
    height = 'VERTCS["EGM96_Geoid",VDATUM["EGM96_Geoid"],PARAMETER["Vertical_Shift",0.0],PARAMETER["Direction",1.0]]'
    projection = path.with_suffix(".prj")
    projection.write_text(projection.read_text() + "," + height.replace("]]", '],UNIT["Meter",1.0]]'))

    assert tiles_of(read_area_file(path).text) == tiles_of(json.dumps(shapely.geometry.mapping(WEST)))


@pytest.mark.parametrize("srs_id", [0, -1])
def test_a_geopackage_without_a_reference_needs_one(tmp_path, srs_id):
    path = write(tmp_path / "a.gpkg", [WEST])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_contents SET srs_id = ?", (srs_id,))
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (srs_id,))

    assert "It names no spatial reference." in refusal(path)
    assert tiles_of(read_area_file(path, wkid=4326).text) == tiles_of(json.dumps(shapely.geometry.mapping(WEST)))


UTM = [[500_000, 5_200_000], [500_000, 5_210_000], [510_000, 5_210_000], [500_000, 5_200_000]]


@pytest.mark.parametrize("document", [{"type": "Polygon", "coordinates": [UTM]}, {"rings": [UTM]}])
def test_json_without_a_reference_gets_the_given_one(tmp_path, document):
    path, named = tmp_path / "a.json", tmp_path / "named.json"
    path.write_text(json.dumps(document))
    named.write_text(json.dumps(document | {"spatialReference": 25832}))

    assert tiles_of(read_area_file(path, wkid=25832).text) == tiles_of(named.read_text())
    assert tiles_of(read_area_file(named, wkid=4326).text) == tiles_of(named.read_text())


def test_features_of_json_are_chosen_with_all_that_json_may_hold(tmp_path):
    """Curves and references of single features, which GDAL does not read."""
    curves = {"curveRings": [[[8, 47], {"c": [[9, 48], [8, 48]]}, [8, 47]]], "spatialReference": {"wkid": 4326}}
    features = [{"attributes": {"NAME": name, "KM2": at}, "geometry": curves} for at, name in enumerate(["a", "Łódź"])]
    (tmp_path / "a.json").write_text(json.dumps({"features": features}, ensure_ascii=False), "utf-16")

    found = read_area_file(tmp_path / "a.json", Choice(where="NAME = 'Łódź' AND KM2 > 0"))

    assert json.loads(found.text) == [{"features": features[1:]}]
    assert found.notes == ("areaOfInterest: 1 of 2 features was chosen.",)
    assert refusal(tmp_path / "a.json", None, "KM2 = 7") == "area_where: No feature has KM2 = 7."
    assert refusal(tmp_path / "a.json", "a") == "area_layer: A file of JSON has no layers."


def test_a_reference_other_than_that_of_the_file_is_refused(tmp_path):
    path = write(tmp_path / "a.shp", [WEST])

    assert refusal(path, wkid=25832) == "area_wkid: It is 25832 (ETRS89 / UTM zone 32N), but the file is in WGS 84."
    assert read_area_file(path, wkid=4326) == read_area_file(path)


def test_kml_is_read_with_all_its_folders(tmp_path):
    (tmp_path / "a.kml").write_text(
        KML.format(
            PLACEMARK.format("outside", ring(WEST.bounds))
            + "<Folder><name>Camps</name>"
            + PLACEMARK.format("a", ring(WEST.bounds))
            + "<Folder><name>B</name>"
            + PLACEMARK.format("b", ring(EAST.bounds))
            + POINTS.format("camp", "8,47,1500")
            + "</Folder></Folder><Folder><name>empty</name></Folder>"
        )
    )

    found = read_area_file(tmp_path / "a.kml")

    assert [shape.geom_type for shape in geometries_of(found.text)] == ["Polygon"] * 3 + ["Point"]
    assert found.notes == ("areaOfInterest: 4 features of 3 layers a, Camps, B were read, in WGS 84.",)
    assert read_area_file(tmp_path / "a.kml", Choice("B")).notes == (
        "areaOfInterest: 2 features of layer B were read, in WGS 84.",
    )


def test_pictures_and_links_in_kml_are_left_out_and_said(tmp_path):
    box = "<LatLonBox><north>1</north><south>0</south><east>1</east><west>0</west></LatLonBox>"
    (tmp_path / "a.kml").write_text(
        KML.format(
            PLACEMARK.format("a", ring(WEST.bounds))
            + f"<GroundOverlay><name>scan</name>{box}</GroundOverlay>"
            + "<NetworkLink><Link><href>http://127.0.0.1:9/other.kml</href></Link></NetworkLink>"
        )
    )

    found = read_area_file(tmp_path / "a.kml")

    (shape,) = geometries_of(found.text)
    assert shape.equals(WEST)
    assert found.notes[1:] == ("areaOfInterest: Left out: 1 GroundOverlay and 1 NetworkLink. Links are not followed.",)


def test_geometries_that_gdal_does_not_find_are_said(tmp_path):
    both = PLACEMARK.format("a", ring(WEST.bounds)).replace(
        "</Placemark>", "<Point><coordinates>8,47</coordinates></Point></Placemark>"
    )
    (tmp_path / "a.kml").write_text(KML.format(both + PLACEMARK.format("b", "")))

    assert read_area_file(tmp_path / "a.kml").notes[1:] == (
        "areaOfInterest: Left out, empty or misplaced: 2 geometries.",
    )


def test_tracks_routes_and_waypoints_of_gpx_are_read_once(tmp_path):
    points = '<{0} lat="47" lon="8"/><{0} lat="47.1" lon="8.1"/>'
    (tmp_path / "a.gpx").write_text(
        '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="47" lon="8"/>'
        f"<rte>{points.format('rtept')}</rte><trk><trkseg>{points.format('trkpt')}</trkseg></trk></gpx>"
    )

    found = read_area_file(tmp_path / "a.gpx")

    assert [shape.geom_type for shape in geometries_of(found.text)] == ["Point", "LineString", "MultiLineString"]
    assert found.notes == ("areaOfInterest: 3 features of 3 layers waypoints, routes, tracks were read, in WGS 84.",)


def test_geometries_of_any_kind_are_read_without_heights(tmp_path):
    shapes = [
        shapely.force_3d(WEST, 100.0),
        shapely.Point(8, 47),
        shapely.MultiLineString([[(8, 47), (9, 48)]]),
        shapely.GeometryCollection([EAST, shapely.Point(1, 1)]),
        shapely.Polygon(),
        None,
    ]

    found = read_area_file(write(tmp_path / "a.gpkg", shapes))

    assert [shape.wkt for shape in geometries_of(found.text)] == [shapely.force_2d(shape).wkt for shape in shapes[:4]]
    assert found.notes == (
        "areaOfInterest: 4 features of layer a were read, in WGS 84.",
        "areaOfInterest: Left out, empty or misplaced: 2 geometries.",
    )


def test_curves_are_traced(tmp_path):
    """A circle as a GeoPackage holds it: CURVEPOLYGON (CIRCULARSTRING (9 47, 8 47, 9 47))."""
    path = write(tmp_path / "a.gpkg", [WEST])
    circle = struct.pack("<BIIBII6d", 1, 10, 1, 1, 8, 3, 9, 47, 8, 47, 9, 47)
    with sqlite3.connect(path) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE a SET geom = ?", (b"GP\0\1" + struct.pack("<i", 4326) + circle,))

    (shape,) = geometries_of(read_area_file(path).text)

    assert shape.area == pytest.approx(math.pi / 4, rel=1e-4)
    assert shapely.Point(8.5, 47).hausdorff_distance(shape.exterior) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg"])
def test_an_area_may_cross_the_antimeridian_in_two_parts(tmp_path, suffix):
    parts = shapely.MultiPolygon([shapely.box(178, -18, 180, -16), shapely.box(-180, -18, -178, -16)])
    single = {"type": "Polygon", "coordinates": [[[178, -18], [182, -18], [182, -16], [178, -16], [178, -18]]]}

    found = read_area_file(write(tmp_path / f"a{suffix}", [parts]))

    assert tiles_of(found.text, level=8) == tiles_of(json.dumps(single), level=8)


def test_a_file_without_features_is_refused(tmp_path):
    assert refusal(write(tmp_path / "a.shp", [None])) == "areaOfInterest: It has no features with a geometry."
    (tmp_path / "a.kml").write_text(KML.format("<NetworkLink/>"))
    assert refusal(tmp_path / "a.kml") == (
        "areaOfInterest: It has no geometries. Left out: 1 NetworkLink. Links are not followed."
    )


def test_a_shapefile_may_lack_its_index_and_its_folder_stays_as_it_is(tmp_path):
    written = write(tmp_path / "a.shp", [WEST, EAST])
    written.with_suffix(".shx").unlink()
    for suffix in (".shp", ".dbf", ".prj", ".cpg"):
        written.with_suffix(suffix).rename(tmp_path / f"zip:Ä.b!{suffix.upper()}")
    path = tmp_path / "zip:Ä.b!.SHP"
    before = sorted(tmp_path.iterdir())

    found = read_area_file(path)

    assert len(geometries_of(found.text)) == 2
    assert found.notes == ("areaOfInterest: 2 features of layer zip_Ä.b_ were read, in WGS 84.",)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.gdb", "It is a file geodatabase: export its layer to a GeoPackage."),
        ("a", "It is a folder. Name a file."),
        ("a.dbf", "It is a part of a shapefile: name the .shp."),
    ],
)
def test_what_is_no_file_of_an_area_is_refused_with_what_to_do(tmp_path, name, reason):
    (tmp_path / name).touch() if name == "a.dbf" else (tmp_path / name).mkdir()

    assert refusal(tmp_path / name) == f"areaOfInterest: {reason}"


def test_of_files_that_differ_in_case_only_those_named_are_read(tmp_path):
    for name, shape in (("a", WEST), ("A", EAST)):
        write(tmp_path / f"{name}.shp", [shape], names=[name])

    for name, shape in (("a", WEST), ("A", EAST)):
        for file in (tmp_path / f"{name}.shp", zipped(tmp_path / "both.zip", tmp_path / "a.shp", tmp_path / "A.shp")):
            layer = name if file.suffix == ".zip" else None
            (feature,) = json.loads(read_area_file(file, Choice(layer, None, "NAME")).text)["features"]
            assert feature["properties"] == {"NAME": name}
            assert shapely.geometry.shape(feature["geometry"]).equals(shape)


def test_without_the_extra_only_json_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.geojson", [WEST])
    monkeypatch.setattr(vector_file, "find_spec", lambda _name: None)

    assert read_area_file(path).text == path.read_text()
    assert refusal(write(tmp_path / "a.shp", [WEST])) == (
        "areaOfInterest: It is read by pyogrio, which is not installed: add the extra [areas], or convert the file to "
        "GeoJSON."
    )
    assert refusal(path, None, "NAME = 'n0'") == (
        "area_where: It is evaluated by pyogrio, which is not installed: add the extra [areas]."
    )


def bomb(path, name, size_bytes):
    """Write an archive with a member of KML and blanks, which packs to a thousandth."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        member.write(b"<kml>")
        for _ in range(size_bytes // 2**20):
            member.write(b" " * 2**20)
    return path


@pytest.mark.slow
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = bomb(tmp_path / "a.kmz", "doc.kml", vector_source.MAX_UNPACKED_BYTES)

    assert refusal(path) == "areaOfInterest: It unpacks to more than 536,870,912 bytes."


def test_kml_that_is_too_large_is_refused_before_it_is_parsed(tmp_path):
    path = bomb(tmp_path / "a.kmz", "doc.kml", vector_source.MAX_XML_BYTES)

    assert refusal(path) == "areaOfInterest: It has more than 33,554,432 bytes: simplify it."


@pytest.mark.parametrize("name", ["../a.kml", "/a.kml", "..\\a.kml", "C:\\a.kml"])
def test_an_archive_writes_nothing_elsewhere(tmp_path, monkeypatch, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(inner))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, KML.format(PLACEMARK.format("a", ring(WEST.bounds))))

    assert len(geometries_of(read_area_file(tmp_path / "a.zip").text)) == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.zip", inner]
    assert list(inner.iterdir()) == []


@pytest.mark.parametrize("suffix", [".kml", ".gpx"])
def test_xml_with_entities_is_refused(tmp_path, suffix):
    root = suffix.removeprefix(".")
    (tmp_path / f"a{suffix}").write_text(
        f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><{root}>&b;</{root}>'
    )

    assert refusal(tmp_path / f"a{suffix}") == (
        "areaOfInterest: It has a document type (DOCTYPE), which may define entities: remove it."
    )


@pytest.mark.parametrize("depth", [20, 5_000, 100_000])
def test_kml_may_be_nested_but_not_too_deeply(tmp_path, depth):
    body = "<Folder>" * depth + PLACEMARK.format("a", ring(WEST.bounds)) + "</Folder>" * depth
    (tmp_path / "a.kml").write_text(KML.format(body))

    if depth == 20:
        assert len(geometries_of(read_area_file(tmp_path / "a.kml").text)) == 1
    else:
        assert "areaOfInterest: " in refusal(tmp_path / "a.kml")


VRT = '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


@pytest.mark.parametrize("name", ["a.kml", "a.gpx", "a.vrt", "a.shp", "a.gpkg", "a.geojson"])
def test_a_file_that_refers_to_another_is_not_followed_whatever_its_name_is(tmp_path, name):
    other = write(tmp_path / "other.geojson", [WEST])
    (tmp_path / name).write_text(VRT.format(other))
    archive = zipped(tmp_path / "a.zip", tmp_path / name)

    assert refusal(tmp_path / name) == "areaOfInterest: It is XML: convert it to GeoJSON."
    assert refusal(archive).startswith("areaOfInterest: It is ")


@pytest.mark.parametrize("kind", ["kml", "gpx"])
def test_a_file_of_two_kinds_is_read_as_the_one_it_begins_with(tmp_path, kind):
    """GDAL takes XML for a virtual file wherever its first bytes say so."""
    other = write(tmp_path / "other.geojson", [WEST])
    (tmp_path / f"a.{kind}").write_text(f"<{kind}>{VRT.format(other)}</{kind}>")

    assert "areaOfInterest: " in refusal(tmp_path / f"a.{kind}")


@pytest.mark.slow
def test_a_view_that_never_ends_is_given_up(tmp_path, monkeypatch):
    path = write(tmp_path / "a.gpkg", [WEST], layer="t")
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE VIEW v AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
            " SELECT n AS fid, geom FROM t, c WHERE n < 0;"
            "INSERT INTO gpkg_contents(table_name, data_type, identifier, srs_id) VALUES ('v', 'features', 'v', 4326);"
            "INSERT INTO gpkg_geometry_columns VALUES ('v', 'geom', 'POLYGON', 4326, 0, 0);"
        )
    monkeypatch.setattr(vector_file, "MAX_SECONDS", 5)

    assert refusal(path, "v") == "areaOfInterest: It takes more than 5 seconds to read: simplify it."


@pytest.mark.slow
def test_a_file_of_a_million_vertices_is_read_and_too_complex(tmp_path):
    angles = np.linspace(0, 2 * np.pi, 1_000_000)
    circle = shapely.Polygon(np.column_stack([8 + np.cos(angles), 47 + np.sin(angles)]))
    found = read_area_file(write(tmp_path / "a.gpkg", [circle]))

    with pytest.raises(AreaError, match=r"The area has 1,000,000 vertices; 100,000 are allowed\."):
        tiles_of(found.text)


def test_more_features_than_the_limit_are_refused(tmp_path):
    points = shapely.points(np.linspace(8, 9, 100_000 + 1), 47)

    assert refusal(write(tmp_path / "a.fgb", list(points))) == (
        "areaOfInterest: Layer a has more than 100,000 features: choose some with --area-where."
    )


@pytest.mark.slow
def test_memory_is_limited(tmp_path):
    (tmp_path / "a.kml").write_text(KML.format('<b c="d"/>' * 2_000_000))
    program = (
        "import sys; from exporttiles.cli import vector_reader as reader;"
        "reader.MAX_MEMORY_BYTES = 600_000_000; reader.main(*sys.argv[1:])"
    )
    (tmp_path / "empty").mkdir()

    said = subprocess.check_output(
        [sys.executable, "-c", program, str(tmp_path / "a.kml"), str(tmp_path / "empty"), "{}"]
    )

    assert json.loads(said)["error"] == "It takes more than 600,000,000 bytes of memory to read."


@pytest.fixture
def reader_that(tmp_path, monkeypatch):
    """Replace the process that reads files by a command of the shell."""

    def replace(command):
        program = tmp_path / "reader"
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o700)
        monkeypatch.setattr(vector_file.sys, "executable", str(program))

    return replace


def test_a_crash_of_gdal_is_a_refusal(tmp_path, reader_that):
    reader_that("kill -SEGV $$")

    assert refusal(write(tmp_path / "a.fgb", [WEST])) == (
        "areaOfInterest: GDAL crashes when it reads it: it is damaged, or too large."
    )


def test_a_fault_of_ours_keeps_its_traceback(tmp_path, reader_that):
    reader_that("echo Traceback >&2; exit 1")

    with pytest.raises(RuntimeError, match="Traceback"):
        read_area_file(write(tmp_path / "a.fgb", [WEST]))


def test_the_process_gets_neither_credentials_nor_settings_of_gdal(tmp_path, reader_that, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("GDAL_DRIVER_PATH", "/plugins")
    reader_that(f"env > {tmp_path}/environment; kill $$")
    refusal(write(tmp_path / "a.fgb", [WEST]))

    names = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    assert not {name for name in names if name.startswith(("AWS", "GDAL"))}


def test_a_reference_that_is_not_one_of_maps_is_refused(tmp_path):
    plan = 'ENGCRS["Site",EDATUM["Gate"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'

    assert refusal(write(tmp_path / "a.gpkg", [WEST], plan)).startswith(
        "areaOfInterest: Its spatial reference cannot be used. "
    )
