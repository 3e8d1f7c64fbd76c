"""The map page in a browser, without a stack: the API runs in this process, and says which tiles an area selects.

`test_pages.py` makes whole exports; these tests look at the requests that the page sends.
"""

import json
import re
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
import shapely
from PIL import Image
from playwright.sync_api import expect
from pyproj import Transformer

from exporttiles.cli.area_file import read_area_file
from exporttiles.domain.errors import RequestError
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.spatial_reference import WGS84, SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.rest.package_by import read_packages
from exporttiles.rest.parameters import read_export_request
from tests.browser import chromium, obstacles, watched_page
from tests.builders_rest import HALF_WORLD, a_rest_runtime, a_service
from tests.field.make_inputs import AREAS, POLYGON, feature
from tests.functions.api_client import HOST, Client
from tests.vector_files import KML, PLACEMARK, ring, write, zipped

ROOT = "/arcgis/rest/services"
WORLD = "World_Imagery"


def a_scheme(reference, origin, resolutions):
    lods = tuple(LevelOfDetail(level, step, step * 3779.5) for level, step in enumerate(resolutions))
    return TilingScheme(reference, *origin, 256, 96, lods)


DEGREES = a_service(
    "Degrees",
    tiling_scheme=a_scheme(WGS84, (-180.0, 90.0), [0.703125 / 2**level for level in range(12)]),
    full_extent=Extent(-180, -90, 180, 90, WGS84),
    max_level=11,
)
SHIFTED = a_service(
    "Shifted",  # as ArcGIS cuts degrees by default: tiles do not end at the 180th meridian
    tiling_scheme=a_scheme(WGS84, (-400.0, 400.0), [0.703125 / 2**level for level in range(12)]),
    full_extent=Extent(-180, -90, 180, 90, WGS84),
    max_level=11,
)
SWISS_REFERENCE = SpatialReference(2056, 2056)
SWISS = a_service(
    "Swiss",
    tiling_scheme=a_scheme(SWISS_REFERENCE, (2_420_000.0, 1_350_000.0), [500 / 2**level for level in range(10)]),
    full_extent=Extent(2_480_000, 1_070_000, 2_840_000, 1_300_000, SWISS_REFERENCE),
    max_level=9,
)
ARCTIC_REFERENCE = SpatialReference(3413, 3413)
ARCTIC = a_service(
    "Arctic",
    tiling_scheme=a_scheme(ARCTIC_REFERENCE, (-4_194_304.0, 4_194_304.0), [8192 / 2**level for level in range(8)]),
    full_extent=Extent(-4_194_304, -4_194_304, 4_194_304, 4_194_304, ARCTIC_REFERENCE),
    max_level=7,
)
WEBP = a_service("Webp", tile_format=TileFormat.WEBP)
HEIGHTS = a_service("Heights", tile_format=TileFormat.LERC)


@dataclass
class Site:
    """Pages and the API for a browser; the size of an export is known at once."""

    client: Client = field(default_factory=lambda: Client(a_rest_runtime()))
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self):
        for service in (DEGREES, SHIFTED, SWISS, ARCTIC, WEBP, HEIGHTS):
            self.client.runtime.services.put(service)

    def answer(self, route):
        address, method = urlsplit(route.request.url), route.request.method
        path, body = address.path, route.request.post_data
        if path.endswith("/results/out_service_url"):
            tiles = self.client.runtime.jobs.jobs[path.split("/")[-3]].tile_count
            value = {"totalTilesToExport": tiles, "totalSize": tiles * 15_000}
            route.fulfill(json={"value": value})
            return
        if method == "POST":
            self.asked.append({name: values[0] for name, values in parse_qs(body).items()})
        headers = {"accept-encoding": "", "accept": route.request.headers.get("accept", "*/*")}
        response = self.client.send(method, path, address.query, body, headers)
        content = response.get("body", "")
        route.fulfill(status=response["statusCode"], headers=response["headers"], body=content)

    def request(self, service: ImageService):
        """Return the export that the page asked for last."""
        return read_export_request(self.asked[-1], service)

    def boxes(self, service: ImageService):
        """Return the sides of each polygon of the first area, in units of the service."""
        area = self.request(service).areas[0].area
        rings = [ring for polygon in area.polygons for ring in polygon]
        return sorted((*ring.min(axis=0), *ring.max(axis=0)) for ring in rings)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site():
    return Site()


@pytest.fixture
def page(browser, site, request):
    device = getattr(request, "param", "desktop")
    with watched_page(browser, device, expected=("404 (Not Found)",)) as page:
        page.device = device
        page.route("**/*", site.answer)
        yield page


@pytest.fixture(scope="module")
def shared_page(browser, site):
    """A page with a map, for tests that leave nothing behind."""
    expected = ("404 (Not Found)", "Applying inline style")  # the latter of Chromium's document for bad XML
    with watched_page(browser, expected=expected) as page:
        page.device = "desktop"
        page.route("**/*", site.answer)
        open_map(page)
        yield page


def open_map(page, name=WORLD):
    page.goto(f"{HOST}{ROOT}/{name}/ImageServer")
    expect(page.locator("#map canvas").first).to_be_visible()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def click(page, *points):
    """Click places on the map, in pixels from its middle; on a phone, tap them."""
    box = page.locator("#map").bounding_box()
    for right, down in points:
        x, y = box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2 + down
        if page.device == "phone":
            page.touchscreen.tap(x, y)
        else:
            page.mouse.move(x, y)
            page.mouse.click(x, y)
        page.wait_for_timeout(350)  # two clicks at once would be a double click


def expect_size(page):
    expect(page.locator("#estimate")).to_contain_text("tiles, about")


def pixels_of_world(page, name=WORLD):
    """Return the width of the world on a map that shows all of it, and nothing else."""
    box = page.locator("#map").bounding_box()
    return min(box["width"], box["height"] * (2 if name == "Degrees" else 1)) - 22  # with its border


def degrees(boxes):
    """Return the west and east sides of boxes in Web Mercator, in degrees."""
    return [(west / HALF_WORLD * 180, east / HALF_WORLD * 180) for west, _, east, _ in boxes]


def type_rectangle(page, west, south, east, north):
    details = page.locator("details:has(#coordinates)")
    if details.get_attribute("open") is None:
        page.get_by_text("Find a place, or type coordinates").click()
    for name, side in (("West", west), ("South", south), ("East", east), ("North", north)):
        page.get_by_label(name, exact=True).fill(str(side))
    press(page, "Use this rectangle")


def drop(page, name, body):
    page.get_by_label("File with an area").set_input_files({"name": name, "mimeType": "", "buffer": body.encode()})


def test_a_second_area_has_finer_levels_and_the_whole_map_coarse_ones(page, site):
    """GIVEN a county, WHEN a second area is added, THEN its levels begin below those of the county."""
    open_map(page)
    type_rectangle(page, -100, 30, -80, 50)
    expect_size(page)
    page.get_by_label("Down to the details").fill("9")
    press(page, "Add another area, in more detail")
    type_rectangle(page, -90, 40, -89.9, 40.1)
    page.get_by_label("also the whole map").check()
    expect_size(page)

    county, fire, overview = site.request(a_service()).areas
    assert county.levels == tuple(range(10))
    assert fire.levels[0] == 10
    assert len(fire.levels) > 1
    assert overview.levels == (0, 1, 2, 3, 4, 5)
    assert overview.area.extent.xmin == pytest.approx(-HALF_WORLD)
    expect(page.locator("#overview-text")).to_contain_text("Down to level 5")
    expect(page.locator("#area-list li")).to_have_count(2)
    expect(page.locator("#area-list li").first).to_contain_text("levels 0 to 9, down to regions")
    assert obstacles(page) == []

    page.get_by_role("button", name="Remove area 1").click()
    expect(page.locator("#areas")).to_be_hidden()
    expect_size(page)
    assert site.asked[-1]["levels"].startswith("10,")
    assert site.asked[-1]["overviewLevels"] == "0,1,2,3,4,5"


def test_an_area_of_several_is_changed_and_the_others_stay(page, site):
    open_map(page)
    type_rectangle(page, 0, 0, 10, 10)
    press(page, "Add another area, in more detail")
    press(page, "Draw a rectangle")
    click(page, (-10, -10), (10, 10))
    page.get_by_role("button", name="Change area 1").click()
    expect(page.get_by_label("West", exact=True)).to_have_value("0")
    page.get_by_label("Down to the details").fill("2")
    page.get_by_label("From the overview").fill("2")
    expect_size(page)

    first, second = json.loads(site.asked[-1]["areas"])
    assert (first["levels"], first["exportExtent"]["xmax"]) == ("2", 10)
    assert second["levels"] != "2"


def test_all_of_the_map_as_one_of_several_areas_is_an_overview(page, site):
    open_map(page)
    press(page, "All of it")
    page.get_by_label("Down to the details").fill("3")
    press(page, "Add another area, in more detail")
    type_rectangle(page, 0, 0, 1, 1)
    expect_size(page)

    assert site.asked[-1]["overviewLevels"] == "0,1,2,3"
    assert len(json.loads(site.asked[-1]["areas"])) == 1


def test_what_lies_outside_is_cut_off_and_tiles_are_converted(page, site):
    open_map(page)
    type_rectangle(page, 0, 0, 1, 1)
    page.get_by_text("More choices").click()
    page.get_by_label("show nothing outside my area").check()
    page.get_by_label("Outside of it the map is").select_option("white")
    page.get_by_label("Pictures are stored").select_option("as PNG: large, keeps what is transparent")
    expect_size(page)
    asked = site.asked[-1]
    assert (asked["clip"], asked["clipColor"], asked["tileFormat"]) == ("true", "255,255,255", "PNG")
    assert obstacles(page) == []

    press(page, "All of it")
    expect(page.get_by_label("show nothing outside my area")).to_be_disabled()
    expect(page.locator("#clip-note")).to_have_text("Nothing lies outside: all of this map is chosen.")


def test_an_app_that_does_not_show_the_pictures_gets_others(page, site):
    """GIVEN a map of WebP pictures, WHEN an ArcGIS app is chosen, THEN they are converted, and the page says so."""
    open_map(page, "Webp")
    type_rectangle(page, 0, 0, 1, 1)
    page.get_by_text("More choices").click()
    expect(page.locator("#clip-note")).to_contain_text("WebP pictures cannot be cut")
    page.get_by_label("App that will show the map").select_option("esriMapCacheStorageModeCompactV2")
    expect(page.locator("#format-note")).to_have_text("This app does not show WEBP pictures: they are converted.")
    expect_size(page)

    assert site.asked[-1]["tileFormat"] == "MIXED"
    expect(page.get_by_label("show nothing outside my area")).to_be_enabled()


def test_heights_are_neither_cut_nor_converted(page):
    open_map(page, "Heights")
    type_rectangle(page, 0, 0, 1, 1)
    page.get_by_text("More choices").click()

    expect(page.get_by_label("show nothing outside my area")).to_be_disabled()
    expect(page.get_by_label("Pictures are stored")).to_be_disabled()
    expect(page.locator("#clip-note")).to_have_text("This map holds heights, which cannot be cut.")


def districts(*names):
    features = [
        {
            "type": "Feature",
            "properties": {"NAME": name, "CODE": at, "NOTE": None, "stroke": f"#{at}"},
            "geometry": {"type": "Polygon", "coordinates": [[[at, 0], [at + 1, 0], [at + 1, 1], [at, 1], [at, 0]]]},
        }
        for at, name in enumerate(names)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_file_of_districts_becomes_one_package_for_each(page, site):
    open_map(page)
    drop(page, "districts.geojson", districts("North", "South", " South", "East"))
    packages = page.get_by_label("Make of this file")
    expect(packages.locator("option")).to_have_text(
        ["one package of all areas in the file", "3 packages, one for each NAME", "4 packages, one for each CODE"]
    )
    packages.select_option("NAME")
    expect(page.locator("#estimate")).to_contain_text("3 packages: ")
    expect(page.locator("#estimate")).to_contain_text("together")
    expect(page.get_by_role("button", name="Make the 3 packages")).to_be_enabled()
    expect(page.locator("#add-area")).to_be_hidden()

    found = read_packages(site.asked[-1], a_service(), 500)
    assert [each.export.request.package_name for each in found] == ["North", "South", "East"]
    (feature, *_) = json.loads(site.asked[-1]["areaOfInterest"])["features"]
    assert feature["properties"] == {"NAME": "North"}
    assert obstacles(page) == []


def pan(page, steps):
    """Move the map to the east by steps of 128 pixels, with the arrow keys; return the pixels."""
    page.locator("#map").focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
        page.wait_for_timeout(200)  # it moves for a tenth of a second
    return 128 * steps


@pytest.mark.parametrize("name", [WORLD, "Degrees"])
def test_what_is_drawn_across_the_180th_meridian_lies_on_both_sides(page, site, name):
    """GIVEN a map that repeats, WHEN an area is drawn around Fiji, THEN it is the same on both sides of the cut."""
    service, unit = (DEGREES, 1) if name == "Degrees" else (a_service(), HALF_WORLD / 180)
    open_map(page, name)
    degree = pixels_of_world(page, name) / 360
    middle = pan(page, 2) / degree
    west, east = (170 - middle) * degree, (190 - middle) * degree
    for tool, corners in (
        ("Draw a rectangle", [(west, 10), (east, 20)]),
        ("Draw a shape", [(west, 10), (east, 20), (west + 10, 40)]),
        ("Along a route", [(west, 10), (east, 20)]),
    ):
        press(page, tool)
        click(page, *corners)
        if tool != "Draw a rectangle":
            press(page, "Done")
        expect_size(page)
        sides = [side / unit for west, _, east, _ in site.boxes(service) for side in (west, east)]
        assert min(sides) == pytest.approx(-180, abs=0.01)
        assert max(sides) == pytest.approx(180, abs=0.01)
        assert max(side for side in sides if side < 0) == pytest.approx(-170, abs=1)
        assert min(side for side in sides if side > 0) == pytest.approx(170, abs=1)


@pytest.mark.parametrize("steps", [-7, 7])
def test_a_repeated_world_is_the_same_world(page, site, steps):
    """GIVEN a map that was moved by more than a world, WHEN a rectangle is drawn, THEN it lies where people see it."""
    open_map(page)
    degree = pixels_of_world(page) / 360
    middle = pan(page, steps) / degree
    press(page, "Draw a rectangle")
    click(page, (-10 * degree, -10), (10 * degree, 10))
    expect_size(page)

    ((west, _, east, _),) = site.boxes(a_service())
    expected = [(middle + side + 180) % 360 - 180 for side in (-10, 10)]
    assert [west / HALF_WORLD * 180, east / HALF_WORLD * 180] == pytest.approx(expected, abs=1)


def test_an_area_is_edited_wherever_the_map_repeats_it(page, site):
    """GIVEN a rectangle, WHEN the map is moved by a world and a corner dragged there, THEN the rectangle is larger."""
    open_map(page)
    world = pixels_of_world(page)
    press(page, "Draw a rectangle")
    click(page, (-20, -20), (20, 20))
    expect_size(page)
    shift = pan(page, 5) - world
    box, asked = page.locator("#map").bounding_box(), len(site.asked)
    x, y = box["x"] + box["width"] / 2 - shift, box["y"] + box["height"] / 2
    page.mouse.move(x + 20, y + 20)
    page.mouse.down()
    page.mouse.move(x + 60, y + 60, steps=5)
    page.mouse.up()
    expect_size(page)
    assert len(site.asked) == asked + 1
    ((west, _, east, _),) = site.boxes(a_service())
    pixel = 2 * HALF_WORLD / world
    assert (west / pixel, east / pixel) == pytest.approx((-20, 60), abs=3)


def test_what_the_map_shows_of_chukotka_is_on_both_sides(page, site):
    open_map(page)
    page.get_by_text("Find a place, or type coordinates").click()
    page.get_by_label("Latitude, longitude").fill("66, 179.999")
    press(page, "Show")
    press(page, "What the map shows")
    expect_size(page)

    assert [round(side) for pair in degrees(site.boxes(a_service())) for side in pair] == [-180, -180, 180, 180]
    assert len(site.boxes(a_service())) == 2


@pytest.mark.parametrize("service", [SWISS, ARCTIC, SHIFTED], ids=lambda service: service.name)
def test_a_map_with_edges_ends_there(page, site, service):
    open_map(page, service.name)
    press(page, "Draw a rectangle")
    click(page, (-20, -20), (390, 280))
    expect_size(page)
    extent = service.full_extent
    ((_, ymin, xmax, _),) = site.boxes(service)
    assert (ymin, xmax) == pytest.approx((max(ymin, extent.ymin), min(xmax, extent.xmax)))
    assert ymin == pytest.approx(extent.ymin) or xmax == pytest.approx(extent.xmax)  # where the click was beyond it

    page.get_by_label("Corners of a rectangle in").evaluate("e => (e.closest('details').open = true)")
    page.get_by_label("Corners of a rectangle in").select_option("map")
    type_rectangle(page, 9_000_000, 9_000_000, 9_100_000, 9_100_000)
    expect(page.locator("#estimate")).to_contain_text("This area lies outside of the map.")
    expect(page.locator("#make-package")).to_be_disabled()


def test_degrees_around_the_pole_are_a_circle_on_its_map(page, site):
    open_map(page, "Arctic")
    type_rectangle(page, -180, 80, 180, 90)
    expect_size(page)

    extent = site.request(ARCTIC).areas[0].area.extent
    assert extent.xmin == pytest.approx(-extent.xmax, rel=0.01)
    assert 1_000_000 < extent.xmax < 1_200_000


def test_shapes_are_drawn_by_keyboard_alone(page, site):
    """GIVEN a focused map, WHEN Enter is pressed at two places, THEN they are the corners of a rectangle."""
    open_map(page)
    page.get_by_role("button", name="Draw a rectangle").focus()
    page.keyboard.press("Enter")
    page.locator("#map").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    expect_size(page)
    ((west, south, east, north),) = site.boxes(a_service())
    assert (west, south) == pytest.approx((0, 0), abs=1)
    assert east == pytest.approx(north, rel=0.01)

    page.get_by_role("button", name="Draw a shape").focus()
    page.keyboard.press("Enter")
    page.locator("#map").focus()
    for key in ("Enter", "ArrowRight", "Enter", "ArrowRight", "Enter", "Backspace", "ArrowUp", "Enter"):
        page.keyboard.press(key)
        page.wait_for_timeout(200)
    page.get_by_role("button", name="Done", exact=True).focus()
    page.keyboard.press("Enter")
    expect_size(page)
    (ring,) = json.loads(site.asked[-1]["areaOfInterest"])["rings"]
    assert len(ring) == 4  # three corners, and the first once more


@pytest.mark.parametrize(
    ("tool", "corners"),
    [
        ("Draw a shape", [(-200, 200), (200, 200), (200, -200)]),
        ("Along a route", [(-200, 200), (200, 200), (200, 100)]),
    ],
)
def test_the_tiles_of_an_area_are_shown_and_those_beside_it_not(page, tool, corners):
    open_map(page)
    press(page, tool)
    click(page, *corners)
    press(page, "Done")
    expect_size(page)
    page.get_by_label("Down to the details").fill("6")
    page.get_by_label("show the tiles of the finest level").check()
    page.wait_for_timeout(300)  # until they are drawn
    picture = np.asarray(Image.open(BytesIO(page.locator("#map").screenshot())).convert("RGB")).astype(int)
    is_border = (abs(picture - (0xC2, 0x41, 0x0C)).max(axis=2) < 40).astype(int)
    row, column = is_border.shape[0] // 2, is_border.shape[1] // 2

    assert is_border[row - 190 : row + 90, column - 190 : column - 90].sum() == 0
    assert is_border[row + 120 : row + 220, column + 90 : column + 220].sum() > 50


@pytest.mark.parametrize("removes", ["Remove", "Remove this area", "Stop drawing", "Use less detail"])
def test_the_keyboard_goes_on_where_a_button_disappears(page, removes):
    open_map(page)
    type_rectangle(page, 0, 0, 4, 4)
    if removes == "Remove":
        press(page, "Add another area, in more detail")
        type_rectangle(page, 0, 0, 0.5, 0.5)
    if removes == "Stop drawing":
        press(page, "Draw a shape")
    if removes == "Use less detail":
        page.get_by_label("Down to the details").fill("16")
    page.get_by_role("button", name=removes).last.focus()
    page.keyboard.press("Enter")

    expect(page.locator("[data-tool]:focus")).to_have_count(1)


def test_the_keyboard_is_on_the_map_once_drawing_begins_and_how_to_draw_is_said(page):
    open_map(page)
    page.get_by_role("button", name="Draw a rectangle").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#map:focus")).to_have_count(1)
    expect(page.locator("#spoken-size")).to_contain_text("press Enter to put a corner in its middle")


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_a_long_name_of_a_district_leaves_room_for_the_levels_beside_it(page, site):
    districts = feature(POLYGON) | {"properties": {"NAME": "x" * 300}}
    form = {"tilePackage": "true", "levels": "0-2", "packageBy": "NAME", "areaOfInterest": json.dumps(districts)}
    response = site.client.send("POST", f"{ROOT}/{WORLD}/ImageServer/exportTiles", "f=json", urlencode(form))
    page.goto(f"{HOST}{ROOT}/{WORLD}/ImageServer/jobs/{json.loads(response['body'])['jobId']}/map?f=html")

    expect(page.get_by_role("cell", name="0-2")).to_be_in_viewport()


def test_screen_readers_hear_a_size_once_it_has_settled(page):
    open_map(page)
    press(page, "All of it")
    for level in range(6):
        page.get_by_label("Down to the details").fill(str(level))
    heard = page.locator("#spoken-size")
    expect(heard).to_have_text("")
    expect(heard).to_contain_text("1,365 tiles, about")


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_a_finger_draws_moves_the_map_and_takes_a_corner_back(page, site):
    open_map(page)
    press(page, "Draw a shape")
    click(page, (-60, -40), (60, -40))
    middle = page.locator("#map").bounding_box()
    swipe(page, middle["x"] + 200, middle["y"] + 300, -60)
    click(page, (0, 60), (60, 60))
    press(page, "Undo the last corner")
    press(page, "Done")
    expect_size(page)
    (ring,) = json.loads(site.asked[-1]["areaOfInterest"])["rings"]
    assert len(ring) == 4
    (west, _), (east, _), (lower, _), _ = ring
    assert lower > (west + east) / 2 + 1_000_000  # the map had moved before it was tapped

    press(page, "Remove this area")
    expect(page.locator("#estimate")).to_have_text("Choose an area to see the size of its package.")
    expect(page.get_by_role("button", name="Make the package")).to_be_disabled()


def swipe(page, x, y, right):
    """Move a finger over the map."""
    session = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", 0), *(("touchMove", step / 6 * right) for step in range(1, 7)), ("touchEnd", None)):
        points = [] if at is None else [{"x": x + at, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(60)


def test_an_area_stays_if_another_one_is_not_drawn_to_its_end(page, site):
    open_map(page)
    type_rectangle(page, 0, 0, 10, 10)
    expect_size(page)
    press(page, "Draw a shape")
    click(page, (0, 0), (20, 0))
    press(page, "Along a route")
    page.keyboard.press("Escape")
    expect_size(page)
    assert json.loads(site.asked[-1]["exportExtent"])["xmax"] == 10

    with page.expect_file_chooser():
        press(page, "From a file")  # and no file is chosen
    expect(page.get_by_role("button", name="Make the package")).to_be_enabled()


def test_a_reload_keeps_the_areas_and_the_choices(page, site):
    open_map(page)
    type_rectangle(page, 0, 0, 10, 10)
    press(page, "Add another area, in more detail")
    drop(page, "districts.geojson", districts("North", "South"))
    page.get_by_label("also the whole map").check()
    page.get_by_label("App that will show the map").select_option("GeoPackage")
    expect_size(page)
    before = site.asked[-1]
    page.reload()
    expect_size(page)

    assert site.asked[-1] == before
    expect(page.locator("#area-list li")).to_have_count(2)
    page.goto(f"{HOST}{ROOT}/Degrees/ImageServer")
    expect(page.locator("#areas")).to_be_hidden()  # those of another map


@pytest.mark.parametrize("stored", ["{", '{"service":"PATH","entries":[{"area":null,"levels":{"finest":99}}]}'])
def test_what_was_stored_before_is_left_out_if_it_cannot_be_used(page, stored):
    open_map(page)
    path = f"{ROOT}/{WORLD}/ImageServer"
    page.add_init_script(f"sessionStorage.setItem('exporttiles.draft.1', {json.dumps(stored.replace('PATH', path))})")
    open_map(page)

    expect(page.locator("#estimate")).to_have_text("Choose an area to see the size of its package.")


def test_too_many_tiles_are_reduced_by_a_button(page, site):
    open_map(page)
    type_rectangle(page, -100, 30, -80, 50)
    expect_size(page)
    page.get_by_label("Down to the details").fill("16")
    expect(page.locator("#estimate")).to_contain_text(
        "the limit is 100,000 tiles. Choose less detail or a smaller area."
    )
    press(page, "Use less detail")
    expect_size(page)

    assert site.request(a_service()).levels[-1] < 16
    page.get_by_label("Down to the details").fill("16")
    page.get_by_label("From the overview").fill("16")
    expect(page.locator("#estimate")).to_contain_text("Choose a smaller area.")
    expect(page.get_by_role("button", name="Use less detail")).to_be_hidden()


def test_the_size_comes_by_itself_once_there_is_a_connection(browser, site):
    with watched_page(browser, expected=("404 (Not Found)", "net::ERR_FAILED")) as page:
        page.device = "desktop"
        page.route("**/*", site.answer)
        open_map(page)
        page.route("**/estimateExportTilesSize", lambda route: route.abort(), times=1)
        type_rectangle(page, 0, 0, 1, 1)
        expect(page.locator("#estimate")).to_contain_text("The server cannot be reached.")
        page.evaluate("dispatchEvent(new Event('online'))")
        expect_size(page)


@pytest.mark.parametrize("buttons", [["Make the package"], ["Try again", "Make the package"]])
def test_a_repeated_start_after_a_lost_answer_starts_one_export(browser, site, buttons):
    """The server may have started the export all the same."""
    tokens = []

    def lose_first(route):
        tokens.append(parse_qs(route.request.post_data)["clientToken"][0])
        route.abort() if len(tokens) == 1 else site.answer(route)

    with watched_page(browser, expected=("404 (Not Found)", "net::ERR_FAILED")) as page:
        page.device = "desktop"
        page.route("**/*", site.answer)
        page.route("**/exportTiles", lose_first)
        open_map(page)
        type_rectangle(page, 0, 0, 1, 1)
        press(page, "Make the package")
        expect(page.locator("#estimate")).to_contain_text("cannot be reached")
        for button in buttons:
            press(page, button)
        page.wait_for_url("**/jobs/*")

    assert len(tokens) == 2
    assert len({*tokens}) == 1


def test_an_area_that_is_too_large_to_be_sent_is_named(browser, site):
    with watched_page(browser, expected=("404 (Not Found)", "status of 413")) as page:
        page.device = "desktop"
        page.route("**/*", site.answer)
        page.route("**/estimateExportTilesSize", lambda route: route.fulfill(status=413, json={"message": "Too Long"}))
        open_map(page)
        type_rectangle(page, 0, 0, 1, 1)

        expect(page.locator("#estimate")).to_contain_text("The area has too many corners to be sent.")


def test_the_page_is_ready_again_for_somebody_who_comes_back(page):
    """Browsers keep a page as it was left, with the button pressed."""
    page.route("**/exportTiles", lambda _: None)
    open_map(page)
    type_rectangle(page, 0, 0, 1, 1)
    press(page, "Make the package")
    expect(page.locator("#estimate")).to_contain_text("Starting")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    expect_size(page)
    expect(page.get_by_role("button", name="Make the package")).to_be_enabled()


SHAPES = [shapely.Polygon([(7, 46), (9.5, 46.2), (8.2, 47.9)]), shapely.box(9.7, 46.4, 10.1, 46.6)]
LINES = [shapely.LineString([(7, 46), (9, 47.5)]), shapely.LineString([(9, 47.5), (9.5, 46)])]


def moved(shapes, reference):
    """Return shapes in degrees in another reference."""
    change = Transformer.from_crs(4326, reference, always_xy=True).transform
    return [shapely.transform(shape, lambda xy: np.column_stack(change(*xy.T))) for shape in shapes]


def shapefile_in(reference):
    return lambda folder: zipped(
        folder / "a.zip", write(folder / "a.shp", moved(SHAPES, reference), f"EPSG:{reference}")
    )


def geojson_in(reference):
    def make(folder):
        features = [
            {"type": "Feature", "geometry": shapely.geometry.mapping(each)} for each in moved(SHAPES, reference)
        ]
        crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{reference}"}}
        return text_file(
            folder / "a.geojson", json.dumps({"type": "FeatureCollection", "crs": crs, "features": features})
        )

    return make


def text_file(path, text, encoding="utf-8"):
    path.write_text(text, encoding)
    return path


def gpx(folder):
    return text_file(
        folder / "a.gpx",
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><wpt lat="46.5" lon="7.5"/>'
        '<rte><rtept lat="46" lon="8"/><rtept lat="46.5" lon="8"/></rte>'
        '<trk><trkseg><trkpt lat="46" lon="6"/><trkpt lat="47" lon="7"/></trkseg>'
        '<trkseg><trkpt lat="47" lon="8"/><trkpt lat="47" lon="8.5"/></trkseg></trk></gpx>',
    )


def kml(folder, more="", encoding="utf-8"):
    placemarks = "".join(PLACEMARK.format(f"n{at}", ring(each.bounds)) for at, each in enumerate(SHAPES))
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    return text_file(folder / "a.kml", head + KML.format(f"<Folder>{placemarks}</Folder>{more}"), encoding)


OVERLAY = (
    "<GroundOverlay><Icon><href>a.png</href></Icon><LatLonBox><north>60</north><south>50</south><east>0</east>"
    "<west>-10</west></LatLonBox></GroundOverlay><NetworkLink><Link><href>b.kml</href></Link></NetworkLink>"
)
FILES = {
    "shapefile in degrees": shapefile_in(4326),
    "shapefile in Web Mercator": shapefile_in(3857),
    "shapefile in the Swiss grid": shapefile_in(2056),
    "shapefile in UTM": shapefile_in(25832),
    "GeoJSON": geojson_in(4326),
    "GeoJSON in Web Mercator": geojson_in(3857),
    "KML": kml,
    "KML in Latin-1": lambda folder: kml(folder, "<!-- Zürich -->", "iso-8859-1"),
    "KML in UTF-16": lambda folder: kml(folder, encoding="utf-16"),
    "KML with pictures and links": lambda folder: kml(folder, OVERLAY),
    "KMZ": lambda folder: zipped(folder / "a.kmz", kml(folder)),
    "GPX with waypoints, a route and a track": gpx,
    "lines": lambda folder: zipped(folder / "a.zip", write(folder / "a.shp", LINES, "EPSG:4326")),
    "GeoJSON across the 180th meridian": lambda folder: text_file(
        folder / "a.json", json.dumps(shapely.geometry.mapping(shapely.box(177, -20, 185, -16)))
    ),
}


def test_the_command_and_the_page_select_the_same_tiles_of_a_file(page, site, tmp_path):
    open_map(page)
    for name, make in FILES.items():
        folder = tmp_path / name
        folder.mkdir()
        path, asked = make(folder), len(site.asked)
        page.get_by_label("File with an area").set_input_files(path)
        expect_size(page)
        assert len(site.asked) == asked + 1, name
        own = site.request(a_service())
        text = read_area_file(path).text
        buffered = {"bufferDistance": "500"} if "bufferDistance" in site.asked[-1] else {}
        other = read_export_request(
            {"areaOfInterest": text, "levels": site.asked[-1]["levels"]} | buffered, a_service()
        )
        selected, expected = (ExportSelection(a_service(), request) for request in (own, other))
        assert {level: selected.count([level]) for level in own.levels} == {
            level: expected.count([level]) for level in own.levels
        }, name
        assert own.areas[0].area.extent.sides == pytest.approx(other.areas[0].area.extent.sides), name


REFUSED_BY_THE_PAGE = {"esri-curve-rings": "has curves"}
"""Documents that the command can read, and the page refuses in words."""


def test_the_command_and_the_page_agree_on_json_as_people_have_it(page, site, tmp_path):
    """GIVEN an area in JSON, WHEN the page reads it, THEN it selects the same tiles as the command, or says why not."""
    texts = {
        name: json.dumps(document) if document else "\n".join([json.dumps(feature(POLYGON))] * 2)
        for name, (document, _) in AREAS.items()
    }
    umlaut = json.dumps({"id": "Ü", **feature(POLYGON)}, ensure_ascii=False)
    encoded = {name: umlaut.encode(name) for name in ("utf-8-sig", "utf-16", "latin-1")}
    open_map(page)
    for name, body in {**{name: text.encode() for name, text in texts.items()}, **encoded}.items():
        path, asked = tmp_path / f"{name}.json", len(site.asked)
        path.write_bytes(body)
        page.get_by_label("File with an area").set_input_files(path)
        said = page.locator("#estimate")
        expect(said).to_contain_text(re.compile(r"tiles, about|\.json"))
        is_read = len(site.asked) > asked
        same = {each: site.asked[-1][each] for each in ("levels", "bufferDistance") if each in site.asked[-1]}
        try:
            text = read_area_file(path).text
            other = read_export_request({"areaOfInterest": text} | same, a_service(), must_name_reference=True)
        except RequestError:
            assert not is_read, name
            continue
        if not is_read:
            expect(said).to_contain_text(REFUSED_BY_THE_PAGE.get(name, f"{name} is read"))
            continue
        own = site.request(a_service())
        counts = [[ExportSelection(a_service(), each).count([level]) for level in own.levels] for each in (own, other)]
        assert counts[0] == counts[1], name


def test_several_files_are_read_together(page, site, tmp_path):
    write(tmp_path / "a.shp", SHAPES, "EPSG:4326")
    parts = [tmp_path / f"a{suffix}" for suffix in (".shp", ".dbf", ".shx", ".prj")]
    open_map(page)
    page.get_by_label("File with an area").set_input_files(parts)
    expect(page.locator("#area-hint")).to_contain_text("2 polygons of a.shp and 3 other files.")
    expect_size(page)
    names = [feature["properties"] for feature in json.loads(site.asked[-1]["areaOfInterest"])["features"]]
    assert names == [{}, {}]
    expect(page.get_by_label("Make of this file")).to_contain_text("2 packages, one for each NAME")


def test_a_shapefile_without_a_reference_is_read_in_degrees_and_the_page_says_so(page, tmp_path):
    write(tmp_path / "a.shp", SHAPES)
    (tmp_path / "a.prj").unlink()
    open_map(page)
    page.get_by_label("File with an area").set_input_files(zipped(tmp_path / "a.zip", tmp_path / "a.shp"))

    expect(page.locator("#area-hint")).to_contain_text("It names no reference (.prj): degrees of WGS 84 were assumed.")


def archive_of(path, *names, body=b"", packed_bytes=0):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, body or bytes(packed_bytes))
    return path


WRONG_FILES = {
    "is empty": lambda folder: text_file(folder / "a.geojson", ""),
    "unpacks to more than 100 MB": lambda folder: archive_of(folder / "a.zip", "a.shp", packed_bytes=120_000_000),
    "has several files of areas: a.kml, b.kml": lambda folder: archive_of(
        folder / "a.zip", "a.kml", "b.kml", body=b"<"
    ),
    "it has no file of an area": lambda folder: archive_of(folder / "a.zip", "a.txt", body=b"a"),
    "1 NetworkLink left out": lambda folder: text_file(
        folder / "a.kml", KML.format("<NetworkLink><Link><href>b.kml</href></Link></NetworkLink>")
    ),
    "has a document type": lambda folder: text_file(folder / "a.kml", "<!DOCTYPE kml []><kml/>"),
    "is in the reference urn:ogc:def:crs:EPSG::25832, which this page does not know": geojson_in(25832),
    "names no reference (a shapefile needs its .prj)": lambda folder: zipped(
        folder / "a.zip", without_reference(write(folder / "a.shp", moved(SHAPES, 2056), "EPSG:2056"))
    ),
    "is one part of a shapefile": lambda folder: text_file(folder / "a.dbf", "a"),
    "has 100,005 corners; 100,000 corners are possible": lambda folder: text_file(
        folder / "a.json", json.dumps({"type": "LineString", "coordinates": [[7.5, 46.5]] * 100_005})
    ),
}


def without_reference(path):
    path.with_suffix(".prj").unlink()
    return path


def test_a_wrong_file_is_refused_by_its_name_and_the_reason(page, tmp_path):
    open_map(page)
    for number, (problem, make) in enumerate(WRONG_FILES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = make(folder)
        page.get_by_label("File with an area").set_input_files(path)
        expect(page.locator("#estimate")).to_contain_text(problem)
        expect(page.locator("#estimate")).to_contain_text(path.name)
        expect(page.locator("#make-package")).to_be_disabled()


@pytest.mark.parametrize(
    ("sides", "problem"),
    [
        ((12, 44, 5, 48), "West must be less than east."),
        ((5, 48, 12, 44), "South must be less than north."),
        ((500_000, 44, 600_000, 48), "Degrees go from -180 to 180"),
        (("", 44, 12, 48), "Type a number into each"),
    ],
)
def test_coordinates_that_cannot_be_right_are_explained(shared_page, sides, problem):
    type_rectangle(shared_page, *sides)

    expect(shared_page.locator("#coordinates-problem")).to_contain_text(problem)
    expect(shared_page.locator("#make-package")).to_be_disabled()


def test_degrees_may_cross_the_180th_meridian(page, site):
    open_map(page)
    type_rectangle(page, 177, -20, -178, -16)
    expect_size(page)

    assert degrees(site.boxes(a_service())) == [pytest.approx((-180, -178)), pytest.approx((177, 180))]
    expect(page.locator("#area-hint")).to_contain_text("crosses the 180th meridian")


def test_a_place_is_found_by_latitude_and_longitude(page, site):
    open_map(page)
    page.get_by_text("Find a place, or type coordinates").click()
    page.get_by_label("Latitude, longitude").fill("Bern")
    press(page, "Show")
    expect(page.locator("#place-problem")).to_contain_text("such as 46.95, 7.44")
    page.get_by_label("Latitude, longitude").fill("46.95, 7.44")
    press(page, "Show")
    press(page, "What the map shows")
    expect_size(page)

    ((west, south, east, north),) = site.boxes(a_service())
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(7.44, 46.95)
    assert west < x < east
    assert south < y < north


def test_the_map_goes_where_the_phone_is(browser, site):
    options = {"geolocation": {"longitude": 7.44, "latitude": 46.95}, "permissions": ["geolocation"]}
    with watched_page(browser, "phone", expected=("404 (Not Found)",), **options) as page:
        page.route("**/*", site.answer)
        open_map(page)
        page.get_by_text("Find a place, or type coordinates").click()
        press(page, "Show where I am")
        press(page, "What the map shows")
        expect_size(page)

        ((west, _, east, _),) = site.boxes(a_service())
        assert west < 828_217 < east


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_all_ways_to_choose_an_area_are_on_the_screen_of_a_phone(page):
    open_map(page)
    expect(page.get_by_role("button", name="From a file")).to_be_in_viewport(ratio=1)
    box, tool = (page.locator(name).bounding_box() for name in ("#size", "[data-tool=file]"))
    assert box["y"] > tool["y"] + tool["height"]


def draw_route(page):
    press(page, "Along a route")
    click(page, (-80, -40), (80, -40))
    press(page, "Done")
    expect_size(page)


def test_a_route_has_a_band_as_wide_as_its_number_and_unit_say(page, site):
    open_map(page)
    draw_route(page)
    expect(page.locator("#area-hint")).to_contain_text("The band is drawn roughly; the package is exact.")
    narrow = page.locator("#map").screenshot()
    width = page.get_by_label("How far to each side")
    page.get_by_label("Unit of the distance").select_option("miles")
    width.fill("600")
    width.blur()
    expect_size(page)
    assert site.asked[-1]["bufferDistance"] == str(600 * 1609.344)
    assert share_that_differs(narrow, page.locator("#map").screenshot()) > 0.01

    for wrong in ("", "0", "2000000"):
        width.fill(wrong)
        width.blur()
        expect(page.locator("#estimate")).to_contain_text("between 1 metre and 1,000 kilometres")
        expect(page.locator("#make-package")).to_be_disabled()
    width.fill("1")
    width.blur()
    expect_size(page)


def share_that_differs(before, after):
    """Return the share of the pixels that differ between two pictures."""
    pictures = [np.asarray(Image.open(BytesIO(each)).convert("RGB")).astype(int) for each in (before, after)]
    return (abs(pictures[0] - pictures[1]).max(axis=2) > 8).mean()


def test_the_distance_of_a_route_in_a_file_is_mended(page, site, tmp_path):
    open_map(page)
    page.get_by_label("File with an area").set_input_files(gpx(tmp_path))
    expect(page.locator("#area-hint")).to_contain_text("2 lines and 1 point of a.gpx.")
    distance = page.get_by_label("How far to each side")
    distance.fill("")
    distance.blur()
    expect(page.locator("#estimate")).to_contain_text("between 1 metre and 1,000 kilometres")
    distance.fill("100")
    distance.blur()
    expect_size(page)

    assert site.asked[-1]["bufferDistance"] == "100"


def test_another_tiling_scheme_is_drawn_in_its_own_grid_and_understands_degrees(page):
    open_map(page, "Swiss")
    type_rectangle(page, 7.40, 46.90, 7.50, 47.00)  # around Bern, which is at 2,600,000 1,200,000
    assert page.locator("#xmin").input_value() == "7.4"  # as typed, though the map shows it turned
    page.get_by_label("Corners of a rectangle in").select_option("map units (metre)")

    west, south = (float(page.locator(f"#{side}").input_value()) for side in ("xmin", "ymin"))
    assert (west, south) == pytest.approx((2_597_000, 1_194_300), abs=600)
    expect_size(page)


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("a.geojson", "{", "cannot be read"),
        ("a.geojson", '{"type":"FeatureCollection","features":[]}', "has no polygon, line or point"),
        ("a.geojson", '{"type":"Point","coordinates":[2600000,1200000]}', "not longitude and latitude in degrees"),
        ("a.zip", "PK", "cannot be read"),
        ("a.kmz", "PK", "damaged zip archive"),
        ("<img src=x>.json", "{", "<img src=x>.json cannot be read"),
        ("a.kml", "<kml>", "a.kml is not XML"),
        ("a.geojson", '{"type":"FeatureCollection"}', "cannot be read"),
        ("a.geojson", '{"type":"FeatureCollection","features":[null]}', "has no polygon, line or point"),
        ("a.geojson", '{"type":"Polygon","coordinates":[[6,46],[10,46],[6,48]]}', "cannot be read"),
        ("a.geojson", '{"type":"Polygon","coordinates":[]}', "cannot be read"),
        ("a.geojson", '{"type":"Point","coordinates":[1e999,0]}', "not longitude and latitude in degrees"),
        ("a.geojson", '{"type":"Polygon","coordinates":' + "[" * 100_000 + "]" * 100_000 + "}", "cannot be read"),
    ],
)
def test_a_damaged_file_is_explained(shared_page, name, body, problem):
    drop(shared_page, name, body)

    expect(shared_page.locator("#estimate")).to_contain_text(problem)
    expect(shared_page.locator("#make-package")).to_be_disabled()
