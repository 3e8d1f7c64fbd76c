"""Files of areas that GDAL reads: what is read of them, what is said, and what is refused."""

import json
import random
import sqlite3

import numpy as np
import pyproj
import pytest
import shapely

from exporttiles.cli import vector_file
from exporttiles.cli.area_file import read_area_file
from exporttiles.cli.vector_file import Choice
from exporttiles.domain.errors import RequestError
from exporttiles.domain.selection import TileSelection
from exporttiles.rest.areas import area_of_interest
from tests.builders_rest import a_service
from tests.vector_files import KML, PLACEMARK, POINTS, ring, write, zipped

SERVICE = a_service()
LEVEL = 12
WEST, EAST = shapely.box(8, 47, 8.4, 47.3), shapely.box(9, 47, 9.2, 47.1)


def tiles_of(text, *, level=LEVEL):
    area, warnings = area_of_interest("areaOfInterest", text, SERVICE, must_name_reference=True)
    assert warnings == ()
    selection = TileSelection(SERVICE.tiling_scheme, area, SERVICE.full_extent)
    block = selection.block(level)
    return block, selection.count(level)


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


@pytest.mark.parametrize("seed", range(2))
def test_the_same_polygons_select_the_same_tiles_in_every_kind_of_file(tmp_path, seed):
    polygons = list(stars(seed))
    expected = tiles_of(json.dumps(shapely.geometry.mapping(shapely.GeometryCollection(polygons))))
    files = [write(tmp_path / f"a{suffix}", polygons) for suffix in (".shp", ".gpkg", ".fgb", ".kml", ".geojson")]
    kmz = zipped(tmp_path / "a.kmz", tmp_path / "a.kml")
    archives = [zipped(tmp_path / f"a{file.suffix}.zip", file, folder="data/") for file in files]

    for file in (*files, kmz, *archives):
        assert tiles_of(read_area_file(file).text) == expected, file


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


def test_an_archive_of_several_files_needs_the_name_of_one(tmp_path):
    files = [write(tmp_path / f"{name}.shp", [shape]) for name, shape in (("west", WEST), ("east", EAST))]
    archive = zipped(tmp_path / "a.zip", *files, folder="data/")

    assert refusal(archive) == (
        "areaOfInterest: It has 2 files of areas: data/west.shp, data/east.shp. Choose one with --area-layer."
    )
    for name in ("east", "east.shp", "data/east.shp"):
        assert geometries_of(read_area_file(archive, Choice(name)).text)[0].equals(EAST)


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".fgb", ".kml", ".geojson"])
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


@pytest.mark.parametrize("srs_id", [0, -1])
def test_a_geopackage_without_a_reference_needs_one(tmp_path, srs_id):
    path = write(tmp_path / "a.gpkg", [WEST])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_contents SET srs_id = ?", (srs_id,))
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (srs_id,))

    assert "It names no spatial reference." in refusal(path)
    assert tiles_of(read_area_file(path, wkid=4326).text) == tiles_of(json.dumps(shapely.geometry.mapping(WEST)))


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
    assert found.notes[1:] == (
        "areaOfInterest: Left out, because it is a picture: 1 GroundOverlay.",
        "areaOfInterest: Left out, because links are not followed: 1 NetworkLink.",
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
    assert found.notes == ("areaOfInterest: 4 features of layer a were read, in WGS 84.",)


def test_a_file_without_features_is_refused(tmp_path):
    assert refusal(write(tmp_path / "a.shp", [None])) == "areaOfInterest: It has no features with a geometry."
    (tmp_path / "a.kml").write_text(KML.format(""))
    assert refusal(tmp_path / "a.kml") == "areaOfInterest: It has no features with a geometry."


def test_a_shapefile_may_lack_its_index_and_its_folder_stays_as_it_is(tmp_path):
    written = write(tmp_path / "a.shp", [WEST, EAST])
    written.with_suffix(".shx").unlink()
    for suffix in (".shp", ".dbf", ".prj", ".cpg"):
        written.with_suffix(suffix).rename(tmp_path / f"zip:Ä b!{suffix.upper()}")
    path = tmp_path / "zip:Ä b!.SHP"
    before = sorted(tmp_path.iterdir())

    found = read_area_file(path)

    assert len(geometries_of(found.text)) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_without_the_extra_only_json_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.geojson", [WEST])
    monkeypatch.setattr(vector_file, "find_spec", lambda _name: None)

    assert read_area_file(path).text == path.read_text()
    assert refusal(write(tmp_path / "a.shp", [WEST])) == (
        "areaOfInterest: pyogrio reads it and is not installed: add the extra [areas] or convert the file to GeoJSON."
    )
