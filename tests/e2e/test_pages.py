"""The pages of services and jobs in a browser, on a computer and on a phone: choose, look at the size, download."""

import json
import re
import time
from urllib.parse import parse_qs

import pytest
import rasterio
from playwright.sync_api import expect
from rasterio.warp import transform_bounds

from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.packages.conf import LEVELS_FOLDER
from local.compact_cache import make_compact_cache
from local.services import publish, upload_folder
from tests.browser import DEVICES, chromium, obstacles, watched_page

NAME = "Bundles/World_Imagery"  # sizes of its tiles are in indexes, and quickly found
DAMAGED = f"caches/Damaged/{LEVELS_FOLDER}/{bundle_path(BundleIndex(4, 0, 0))}"
SQUARE = [[6, 46], [10, 46], [10, 48], [6, 48], [6, 46]]
UNREACHABLE = "net::ERR_FAILED"
UNAVAILABLE = "503 (Service Unavailable)"


@pytest.fixture(scope="module")
def services(cloud, world, bundles, tmp_path_factory):
    """The caches are published before the browser starts: its loop and that of uploads exclude each other."""
    sharp = tmp_path_factory.mktemp("sharp")
    make_compact_cache(world, sharp, max_level=4, quality=90)
    for name in ("Sharp", "Damaged"):
        upload_folder(cloud, sharp, f"caches/{name}")
        publish(cloud, name)
    return cloud.services_url


@pytest.fixture(scope="module")
def browser(services):
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def batch(client, services):
    """A batch of two packages, one of which has a hostile name, and one a long one."""
    features = [
        {"type": "Feature", "properties": {"NAME": name}, "geometry": {"type": "Polygon", "coordinates": [SQUARE]}}
        for name in ("<img src=x>", "A valley of a very long name without an end " * 3)
    ]
    area = json.dumps({"type": "FeatureCollection", "features": features})
    return client.export(NAME, levels="0-3", areaOfInterest=area, packageBy="NAME")["jobId"]


@pytest.fixture(params=DEVICES)
def page(browser, request):
    with watched_page(browser, request.param) as page:
        page.device = request.param
        yield page


@pytest.fixture
def desktop(browser):
    with watched_page(browser) as page:
        yield page


def open_map(page, services, name=NAME):
    with page.expect_response(lambda response: "/tile/" in response.url):
        page.goto(f"{services}/{name}/ImageServer")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def draw(page, *places):
    """Click places on the map, each in shares of its width and height; on a phone, tap them."""
    box = page.locator("#map").bounding_box()
    for right, down in places:
        x, y = box["x"] + right * box["width"], box["y"] + down * box["height"]
        if getattr(page, "device", "") == "phone":
            page.touchscreen.tap(x, y)
        else:
            page.mouse.move(x, y)
            page.mouse.click(x, y)
        page.wait_for_timeout(350)  # two clicks at once would be a double click


def type_degrees(page, west, south, east, north):
    page.get_by_text("Find a place, or type coordinates").click()
    for name, side in (("West", west), ("South", south), ("East", east), ("North", north)):
        page.get_by_label(name, exact=True).fill(str(side))
    press(page, "Use this rectangle")


def download(page, folder):
    """Make the package, follow its job to the end, and return the file."""
    press(page, "Make the package")
    page.wait_for_url("**/jobs/*")
    expect(page.get_by_text("Done", exact=False).first).to_be_visible()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download").click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def sent(request):
    return {name: values[0] for name, values in parse_qs(request.post_data).items()}


def test_a_drawn_rectangle_is_exported_opened_by_gdal_and_remembered(page, services, tmp_path):
    open_map(page, services)
    press(page, "Draw a rectangle")
    draw(page, (0.45, 0.4), (0.6, 0.5))
    expect(page.locator("#estimate")).to_contain_text("tiles, about")

    package = download(page, tmp_path)

    with rasterio.open(package) as dataset:
        assert dataset.crs.to_epsg() == 3857
        assert dataset.read(1, out_shape=(64, 64)).max() > 0
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    expect(page.get_by_role("application", name="Map of the area")).to_be_visible()
    job = page.url.partition("?")[0]
    expect(page.get_by_role("link", name=job)).to_be_visible()
    page.get_by_role("link", name="Verification").click()
    expect(page.get_by_text("The package is intact")).to_be_visible()

    page.goto(f"{services}/{NAME}/ImageServer")
    expect(page.locator("#recent")).to_contain_text(re.compile(r"Done, World_Imagery\.tpkx \(.*\), just now"))
    page.locator("#recent a").first.click()
    page.wait_for_url(job)


def test_what_the_map_shows_and_all_of_it_are_areas_too(page, services):
    open_map(page, services)
    press(page, "What the map shows")
    expect(page.locator("#make-package")).to_be_enabled()
    press(page, "All of it")

    expect(page.locator("#estimate")).to_contain_text("21,845 tiles, about")
    expect(page.locator("#costs")).to_contain_text(
        re.compile(r"Ready in .* seconds\. Costs the operator less than \$0\.01")
    )


@pytest.mark.parametrize(
    ("page", "tool", "member", "corners"),
    [
        ("phone", "Draw a shape", "rings", [(0.4, 0.4), (0.6, 0.4), (0.5, 0.6)]),
        ("desktop", "Along a route", "paths", [(0.4, 0.4), (0.5, 0.5), (0.6, 0.4)]),
    ],
    indirect=["page"],
)
def test_a_shape_and_a_route_end_with_done(page, services, tool, member, corners):
    open_map(page, services)
    press(page, tool)
    draw(page, *corners)
    with page.expect_request("**/estimateExportTilesSize") as request:
        press(page, "Done")

    parameters = sent(request.value)
    (line,) = json.loads(parameters["areaOfInterest"])[member]
    assert len(line) == len(corners) + (member == "rings")
    assert parameters.get("bufferDistance") == ("500" if member == "paths" else None)
    expect(page.locator("#make-package")).to_be_enabled()


def test_coordinates_in_degrees_stay_degrees(desktop, services, tmp_path):
    page = desktop
    open_map(page, services)
    with page.expect_request("**/estimateExportTilesSize") as request:
        type_degrees(page, 5, 44, 12, 48)
    asked = json.loads(sent(request.value)["exportExtent"])
    assert asked == {"xmin": 5, "ymin": 44, "xmax": 12, "ymax": 48, "spatialReference": {"wkid": 4326}}
    expect(page.locator("#make-package")).to_be_enabled()

    with rasterio.open(download(page, tmp_path)) as dataset:
        bounds = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
    assert bounds == pytest.approx((5, 44, 12, 48), abs=0.02)  # two pixels


def test_how_to_draw_and_the_button_that_ends_it_are_on_the_screen(page, services):
    open_map(page, services)
    press(page, "Draw a shape")

    expect(page.get_by_text("On the map, click or tap each corner.", exact=False)).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Done", exact=True)).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Make the package")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Make the package")).to_be_visible()


def test_a_corner_can_be_dragged(desktop, services):
    open_map(desktop, services)
    press(desktop, "Draw a rectangle")
    draw(desktop, (0.45, 0.4), (0.6, 0.5))
    expect(desktop.locator("#make-package")).to_be_enabled()
    box = desktop.locator("#map").bounding_box()
    with desktop.expect_request("**/estimateExportTilesSize") as request:
        desktop.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
        desktop.mouse.down()
        desktop.mouse.move(box["x"] + 0.65 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
        desktop.mouse.up()

    extent = json.loads(sent(request.value)["exportExtent"])
    assert extent["ymin"] < -1_000_000 < 1_000_000 < extent["ymax"]


def test_the_levels_and_the_app_are_those_of_the_request(desktop, services):
    open_map(desktop, services, "Sharp")
    press(desktop, "All of it")
    desktop.get_by_label("Down to the details").fill("3")
    desktop.get_by_label("From the overview").fill("2")
    desktop.get_by_label("App that will show the map").select_option(label="QGIS, QField (GeoPackage)")
    with desktop.expect_request("**/estimateExportTilesSize") as request:
        desktop.get_by_label("smaller file").check()

    parameters = sent(request.value)
    assert (parameters["levels"], parameters["storageFormatType"]) == ("2,3", "GeoPackage")
    assert parameters["optimizeTilesForSize"] == "true"
    expect(desktop.locator("#finest-level-text")).to_contain_text("Level 3")
    desktop.get_by_text("Compare a tile").click()
    expect(desktop.locator("#picture-smaller figcaption")).to_contain_text("kB")


GPX = (
    '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg>'
    '<trkpt lat="46" lon="6"/><trkpt lat="48" lon="10"/></trkseg></trk></gpx>'
)


@pytest.mark.parametrize("page", ["phone"], indirect=True)
@pytest.mark.parametrize(
    ("name", "body", "said", "kind"),
    [
        ("a.geojson", json.dumps({"type": "Polygon", "coordinates": [SQUARE]}), "1 polygon of a.geojson.", "Polygon"),
        ("a.gpx", GPX, "1 line of a.gpx.", "LineString"),
    ],
)
def test_a_file_is_an_area(page, services, *, name, body, said, kind):
    open_map(page, services)
    with page.expect_request("**/estimateExportTilesSize") as request:
        page.get_by_label("File with an area").set_input_files({"name": name, "mimeType": "", "buffer": body.encode()})

    expect(page.locator("#area-hint")).to_contain_text(said)
    parameters = sent(request.value)
    (feature,) = json.loads(parameters["areaOfInterest"])["features"]
    assert feature["geometry"]["type"] == kind
    assert ("bufferDistance" in parameters) == (kind == "LineString")
    expect(page.locator("#make-package")).to_be_enabled()


def test_recent_exports_of_all_services_are_renewed_and_gone_ones_are_named(browser, services, client):
    ended = client.export("Sharp", levels="0-1")["jobId"]
    jobs = f"/arcgis/rest/services/{NAME}/ImageServer/jobs"
    now = 1e3 * time.time()
    remembered = [
        ("Ended", f"/arcgis/rest/services/Sharp/ImageServer/jobs/{ended}", {}),
        ("Gone", f"{jobs}/j{'0' * 32}", {}),
        ("Old", f"{jobs}/j{'1' * 32}", {"state": "Done", "isFinal": True, "expiresAt": now - 1}),
        ("<img src=x>", f"{jobs}/j{'2' * 32}", {"state": "Done", "isFinal": True}),
        ("Elsewhere", "//other.example/arcgis/rest/", {}),
    ]
    entries = [{"title": title, "path": path, "state": "…", "at": now} | more for title, path, more in remembered]
    with watched_page(browser, expected=("400 (Bad Request)",)) as page:
        page.goto(services)
        page.evaluate("text => localStorage.setItem('exporttiles.recent', text)", json.dumps(entries))
        page.reload()
        lines = page.locator("#recent li")

        expect(lines).to_have_count(4)
        expect(lines.filter(has_text="Ended")).to_contain_text(re.compile(r"Done, Sharp\.tpkx \(.* kB\), just now"))
        for title in ("Gone", "Old"):
            expect(lines.filter(has_text=title)).to_contain_text("Expired, just now")
            expect(lines.filter(has_text=title).get_by_role("link")).to_have_count(0)
        expect(page.get_by_role("link", name="<img src=x>")).to_be_visible()
        press(page, "Forget them")
        expect(lines).to_have_count(0)


def test_the_map_of_a_job_fills_with_what_is_done(desktop, services, client):
    """GIVEN an estimate, whose map answers with a plan of which the western half is done."""
    asked = {"levels": "0-5", "exportExtent": "-9e6,-9e6,9e6,9e6"}
    job_id = client.post(f"{NAME}/ImageServer/estimateExportTilesSize", **asked)["jobId"]
    half = {"level": 1, "rowStart": 0, "rowStop": 2, "columnStart": 0, "columnStop": 1}
    levels = [{"level": 1, "blocks": 2, "done": 1}, {"level": 5, "blocks": 8, "done": 0}]
    plan = {"levels": levels, "done": [half]}
    desktop.route("**/map?f=json", lambda route: route.fulfill(json=route.fetch().json() | plan))
    with desktop.expect_response(lambda response: "/tile/" in response.url):
        desktop.goto(f"{services}/{NAME}/ImageServer/jobs/{job_id}")
    expect(desktop.locator(".legend")).to_contain_text("Green shows the finished part of level 1: 1 of 2 blocks")
    expect(desktop.locator(".legend")).to_contain_text("1 finer level to come.")
    shown = desktop.get_by_role("application", name="Map of the area")
    filled = desktop.locator("[data-job-map] canvas").last

    west, east = (
        filled.evaluate("(canvas, x) => canvas.getContext('2d').getImageData(x, canvas.height / 2, 1, 1).data[3]", x)
        for x in (shown.bounding_box()["width"] / 2 - 20, shown.bounding_box()["width"] / 2 + 40)
    )
    assert (west, east) == (255, 0)


def test_an_area_across_the_180th_meridian_is_shown_in_one_piece(desktop, services, client):
    """GIVEN Fiji, THEN the map of its job shows the islands, and not the whole world between them."""
    fiji = '{"xmin":176,"ymin":-21,"xmax":-178,"ymax":-15,"spatialReference":{"wkid":4326}}'
    asked = {"levels": "0-5", "exportExtent": fiji}
    job_id = client.post(f"{NAME}/ImageServer/estimateExportTilesSize", **asked)["jobId"]

    with desktop.expect_response(lambda response: re.search("/tile/[567]/", response.url)):
        desktop.goto(f"{services}/{NAME}/ImageServer/jobs/{job_id}")


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_an_export_is_cancelled_on_its_page(page, services, client):
    job_id = client.submit("World_Imagery", levels="0-7")
    page.goto(f"{services}/World_Imagery/ImageServer/jobs/{job_id}")
    press(page, "Cancel")

    page.wait_for_url("**/jobs/*")
    expect(page.locator(".state")).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


@pytest.mark.parametrize("page", ["desktop"], indirect=True)
def test_an_export_that_failed_is_resumed_on_its_page(page, services, client, tiles):
    whole = tiles.read(DAMAGED)
    tiles.write(DAMAGED, bytes(64) + whole[64:])
    job_id = client.export("Damaged", levels="0-4")["jobId"]
    tiles.write(DAMAGED, whole)
    page.goto(f"{services}/Damaged/ImageServer/jobs/{job_id}")
    expect(page.locator(".state")).to_contain_text("Failed")
    expect(page.locator(".messages .error")).to_contain_text("It can be resumed until")
    press(page, "Resume")

    page.wait_for_url("**/jobs/*")
    expect(page.get_by_role("link", name="Download")).to_be_visible()


@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_the_packages_of_a_batch_are_read_and_downloaded(page, services, batch):
    page.goto(f"{services}/{NAME}/ImageServer/jobs/{batch}")
    expect(page.locator(".legend")).to_contain_text("Green districts are done")
    page.get_by_role("link", name="See the 2 packages").click()

    expect(page.get_by_role("heading", name="<img src=x>")).to_be_visible()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download").first.click()
    assert found.value.suggested_filename.endswith(".tpkx")


def test_the_page_of_a_job_that_expires_says_so(browser, services, client):
    """GIVEN an open page, WHEN the server knows the job no more, THEN the page shows that, and not an old state."""
    job_id = client.submit("World_Imagery", levels="0-7")
    gone = {"status": 400, "content_type": "text/html", "body": "<h1>No job has this id, or it has expired.</h1>"}
    with watched_page(browser, expected=("400 (Bad Request)",)) as page:
        page.goto(f"{services}/World_Imagery/ImageServer/jobs/{job_id}")
        page.route("**/jobs/*", lambda route: route.fulfill(**gone))

        expect(page.get_by_role("heading", name="No job has this id, or it has expired.")).to_be_visible()
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")


def test_the_page_of_a_job_says_when_the_server_does_not_answer(browser, services, client):
    job_id = client.submit("World_Imagery", levels="0-7")
    with watched_page(browser, expected=(UNREACHABLE,)) as page:
        page.goto(f"{services}/World_Imagery/ImageServer/jobs/{job_id}")
        page.route("**/jobs/*", lambda route: route.abort())
        expect(page.get_by_text("The server does not answer. The export goes on;")).to_be_visible()

        page.unroute("**/jobs/*")
        expect(page.get_by_text("The server does not answer.")).to_have_count(0)
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")


def test_the_page_of_a_job_announces_its_state_in_the_same_element(desktop, services, client):
    """GIVEN an open page, WHEN the state changes, THEN screen readers, which watch the element, hear of it."""
    job_id = client.submit("World_Imagery", levels="0-7")
    desktop.goto(f"{services}/World_Imagery/ImageServer/jobs/{job_id}")
    desktop.get_by_role("heading", name="On another device").wait_for()
    desktop.evaluate("() => { window.watched = document.querySelector('.state[role=status]') }")
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")

    expect(desktop.locator(".state")).to_contain_text("Cancelled")
    assert desktop.evaluate("window.watched === document.querySelector('.state')")
    expect(desktop.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_script_that_cannot_be_loaded_is_named_and_a_reload_offered(browser, services, client):
    job_id = client.submit("World_Imagery", levels="0-7")
    with watched_page(browser, expected=(UNREACHABLE, "Failed to fetch dynamically imported module")) as page:
        page.route("**/static/job_page-*.js", lambda route: route.abort())
        page.goto(f"{services}/World_Imagery/ImageServer/jobs/{job_id}")
        expect(page.get_by_role("alert")).to_contain_text("A part of this page could not be loaded")

        page.unroute("**/static/job_page-*.js")
        press(page, "Reload")
        expect(page.get_by_role("heading", name="On another device")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    client.post(f"World_Imagery/ImageServer/jobs/{job_id}/cancel")


def estimate_of(page, tiles, size_bytes):
    """Let the API estimate so many tiles and bytes, whatever is asked."""
    value = {"totalSize": size_bytes, "totalTilesToExport": tiles, "totalSeconds": 110}
    page.route("**/results/out_service_url?f=json", lambda route: route.fulfill(json={"value": value}))


def test_a_large_package_takes_minutes_and_costs_cents(desktop, services):
    open_map(desktop, services)
    estimate_of(desktop, 90_000, 5_000_000_000)
    press(desktop, "All of it")

    expect(desktop.locator("#estimate")).to_have_text("90,000 tiles, about 5.0 GB")
    expect(desktop.locator("#costs")).to_contain_text("Ready in about 2 minutes. Costs the operator about $0.45")


def test_an_area_of_too_many_tiles_is_refused_with_the_limit(desktop, services):
    open_map(desktop, services)
    estimate_of(desktop, 100_001, 9)
    press(desktop, "All of it")

    expect(desktop.locator("#estimate")).to_contain_text("100,001 tiles: the limit is 100,000 tiles.")
    expect(desktop.locator("#make-package")).to_be_disabled()


def test_the_answer_to_an_earlier_question_is_not_shown(desktop, services):
    """GIVEN an estimate that takes long, WHEN the levels change, THEN only the second one is shown."""
    open_map(desktop, services)
    held = []
    desktop.route("**/estimateExportTilesSize", lambda route: held.append(route), times=1)  # noqa: PLW0108 (Playwright marks it)
    with desktop.expect_request("**/estimateExportTilesSize"):
        press(desktop, "All of it")
    desktop.get_by_label("Down to the details").fill("0")
    expect(desktop.locator("#estimate")).to_contain_text("1 tile, about")
    held[0].abort()

    expect(desktop.locator("#estimate")).to_contain_text("1 tile, about")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"abort": True}, "The server cannot be reached."),
        ({"status": 503, "body": "Service Unavailable"}, "The server is busy."),
        (
            {"json": {"error": {"code": 400, "message": "Bad", "details": ["levels: <img src=x onerror=alert(1)>"]}}},
            "levels: <img src=x onerror=alert(1)>",
        ),
    ],
)
def test_a_request_that_fails_is_explained_and_can_be_repeated(browser, services, answer, said):
    with watched_page(browser, expected=(UNREACHABLE, UNAVAILABLE)) as page:
        open_map(page, services)
        page.route(
            "**/estimateExportTilesSize",
            lambda route: route.abort() if "abort" in answer else route.fulfill(**answer),
            times=1,
        )
        press(page, "What the map shows")
        expect(page.locator("#estimate")).to_contain_text(said)
        expect(page.locator("#estimate img")).to_have_count(0)

        press(page, "Try again")
        expect(page.locator("#estimate")).to_contain_text("tiles, about")


def test_the_keyboard_alone_is_enough(desktop, services):
    open_map(desktop, services)
    for _ in range(30):
        desktop.keyboard.press("Tab")
        if desktop.evaluate("document.activeElement.textContent") == "All of it":
            break
    desktop.keyboard.press("Enter")
    expect(desktop.locator("#make-package")).to_be_enabled()
    for _ in range(30):
        desktop.keyboard.press("Tab")
        if desktop.evaluate("document.activeElement.id") == "make-package":
            break
    desktop.keyboard.press("Enter")

    desktop.wait_for_url("**/jobs/*")


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_nothing_serious_keeps_anybody_from_using_the_pages(browser, services, batch, device, scheme):
    """Nor is any page wider than its screen; phones of 360 pixels are common."""
    service = f"{services}/{NAME}/ImageServer"
    pages = [
        services,
        f"{services}/Bundles",
        f"{service}/exportTiles?f=html",
        f"{service}/exportTiles?levels=99&clip=true&f=html",
        f"{service}/estimateExportTilesSize?levels=0&f=html",
        f"{service}/tilemap/3/0/0/8/8?f=html",
        f"{service}/nothing",
        f"{service}/jobs/{batch}",
        f"{service}/jobs/{batch}/packages",
        f"{service}/jobs/{batch}/map",
        f"{service}/jobs/{batch}/cancel?f=html",
    ]
    refused = ("400 (Bad Request)", "404 (Not Found)")
    with watched_page(browser, device, color_scheme=scheme, reduced_motion="reduce", expected=refused) as page:
        width = 360 if device == "phone" else page.viewport_size["width"]
        page.set_viewport_size({"width": width, "height": 740})

        def check():
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
            assert obstacles(page) == [], page.url

        open_map(page, services)
        page.get_by_text("Find a place, or type coordinates").click()
        press(page, "Along a route")
        check()
        press(page, "What the map shows")
        expect(page.locator("#make-package")).to_be_enabled()
        check()
        for address in pages:
            page.goto(address)
            check()
        page.goto(f"{service}/jobs/{batch}/packages")
        page.get_by_role("link", name="Details").first.click()
        for name in ("Verification", "job", "Result"):
            check()
            page.get_by_role("link", name=name, exact=True).click()
        check()


def test_without_javascript_the_forms_export(browser, services, tmp_path):
    with watched_page(browser, java_script_enabled=False) as page:
        page.goto(f"{services}/{NAME}/ImageServer")
        page.get_by_role("link", name="exportTiles", exact=True).click()
        page.get_by_label("levels", exact=True).fill("0-2")
        press(page, "Export")
        page.wait_for_url("**/jobs/*")
        expect(page.locator(".messages")).to_contain_text("21 tiles of levels 0-2 are selected.")
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        with page.expect_download() as found:
            page.get_by_role("link", name="Download").click()

        assert found.value.suggested_filename == "World_Imagery.tpkx"
