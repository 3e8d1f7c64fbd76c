"""Hostile requests to the API: refused early and cheaply, with a message."""

import io
import json
import logging
import re
import time
import tracemalloc
from contextlib import redirect_stdout
from dataclasses import replace
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles.domain.area import VERTICES_LIMIT
from exporttiles.domain.job import JobStatus
from exporttiles.rest.http import MAX_BODY_CHARACTERS
from tests.builders_rest import a_job, a_rest_runtime
from tests.functions.api_client import FILES, SERVICE, Client, foreign_scripts

RING = [[-100, 35], [-100, 45], [-90, 45], [-90, 35], [-100, 35]]
FILE_IN_WKT = (
    'PROJCS["x",GEOGCS["y",DATUM["D",SPHEROID["S",6378137,298.25]{datum}],PRIMEM["G",0],UNIT["d",0.0174532925199433]],'
    'PROJECTION["Mercator_1SP"],PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],UNIT["m",1]{end}]'
)
MOST_SECONDS = 10  # of processor time for one request, whatever else the machine does


@pytest.fixture
def client():
    client = Client(a_rest_runtime())
    client.put(a_job(JobStatus.SUCCEEDED))
    return client


def export(client, **parameters):
    """Submit an export; return the reply and the seconds it took."""
    body = urlencode({"f": "json", "tilePackage": "true", "levels": "0-2"} | parameters)
    began = time.process_time()
    response = client.send("POST", f"{SERVICE}/exportTiles", body=body)
    assert response["statusCode"] == 200
    return json.loads(response["body"]), time.process_time() - began


def bracketed(opening, closing, times):
    return opening * times + closing * times


AREAS = {
    "a long text among short ones": json.dumps({"rings": [["a" * 20_000, *["b"] * 20_000]]}),
    "a long text in a vertex": json.dumps({"rings": [[[0, "a" * 20_000], *[[0, "b"]] * 20_000]]}),
    "vertices that are not flat": json.dumps({"rings": [[[[0, 0], [1, 1]], [0, 1], [1, 1]]]}),
    "vertices that are true": json.dumps({"rings": [[[True, False], [0, 1], [1, 1]]]}),
    "400,000 vertices": json.dumps({"rings": [[[0, 1]] * 400_000]}),
    "100,000 rings": json.dumps({"rings": [[[0, 0], [0, 1], [1, 1]]] * 100_000}),
    "a million empty rings": json.dumps({"rings": [[]] * 1_000_000}),
    "9,000 references": json.dumps(
        {"features": [{"geometry": {"rings": [RING], "spatialReference": {"wkid": wkid}}} for wkid in range(1, 9000)]}
    ),
    "deep brackets": bracketed("[", "]", 1_000_000),
    "deep braces": bracketed('{"a":', "}", 500_000),
    "braces that balance": bracketed("{", "}", 1_000_000),
    "closers alone": "}" * 3_000_000,
    "openers and one closer": "[" * 3_000_000 + "}",
    "a text that never ends": '{"' + '\\"' * 1_000_000 + "}",
    "deep in a member that is not looked at": f'{{"coordinates":[],"crs":{bracketed("[", "]", 940)}}}',
    "NaN": '{"rings":[[[NaN,1],[2,3],[4,5]]]}',
    "infinity": '{"rings":[[[1e999,1],[2,3],[4,5]]]}',
    "the far side of the moon": '{"rings":[[[1e14,1],[-1e14,3],[4,5e13]]],"spatialReference":{"wkid":3031}}',
    "half a character": f'{{"rings":{json.dumps([RING])},"spatialReference":{{"wkt":"\\ud800"}}}}',
    "a nul": f'{{"rings":{json.dumps([RING])},"spatialReference":{{"wkt":"a\\u0000"}}}}',
    "a reference of 300 digits": f'{{"rings":{json.dumps([RING])},"spatialReference":{{"wkid":1e300}}}}',
    "a reference that is deep": json.dumps({"rings": [RING], "spatialReference": {"wkt": "A[" * 4_900}}),
}


@pytest.mark.parametrize("name", AREAS)
def test_an_area_that_is_expensive_to_parse_is_refused_cheaply(client, name):
    reply, seconds = export(client, areaOfInterest=AREAS[name])

    assert reply["error"]["code"] == 400
    assert len(reply["error"]["message"]) < 1000
    assert seconds < MOST_SECONDS
    assert client.started == []


@pytest.mark.parametrize("name", ["a long text among short ones", "a long text in a vertex"])
def test_texts_in_a_ring_are_not_padded_to_the_longest(client, name):
    tracemalloc.start()
    export(client, areaOfInterest=AREAS[name])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 100 * 2**20  # NumPy took 1.6 GB


@pytest.mark.parametrize(
    "wkt",
    [
        FILE_IN_WKT.format(datum=',EXTENSION["PROJ4_GRIDS","/etc/passwd"]', end=""),
        FILE_IN_WKT.format(datum=',EXTENSION["PROJ4_GRIDS","http://169.254.169.254/latest/meta-data"]', end=""),
        FILE_IN_WKT.format(datum="", end=',EXTENSION["PROJ4","+proj=merc +nadgrids=/dev/zero +wktext"]'),
        FILE_IN_WKT.format(datum="", end=',extension ( "PROJ4" , "+init=/tmp/x:1")'),
        FILE_IN_WKT.format(datum="", end=',PARAMETERFILE["Latitude and longitude difference file","/dev/zero"]'),
    ],
)
def test_a_spatial_reference_opens_no_file_and_no_url(client, wkt):
    area = json.dumps({"rings": [RING], "spatialReference": {"wkt": wkt}})

    reply, _ = export(client, areaOfInterest=area)

    assert reply["error"]["message"].startswith("areaOfInterest: No coordinate system is known as 'PROJCS")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"levels": "0-999999999"}, "levels"),
        ({"levels": ",".join(map(str, range(100_000)))}, "levels"),
        ({"levels": "1e400"}, "levels"),
        ({"levels": "NaN"}, "levels"),
        ({"levels": "-5"}, "levels"),
        ({"levels": "\N{ARABIC-INDIC DIGIT THREE}"}, "levels"),
        ({"levels": "\N{GRINNING FACE}\u202e\x00"}, "levels"),
        ({"exportBy": "Scale", "levels": "1e-99"}, "levels"),
        ({"exportBy": "__proto__"}, "exportBy"),
        ({"exportExtent": "nan,nan,nan,nan"}, "exportExtent"),
        ({"exportExtent": "0,0,1,1" + ",1" * 100_000}, "exportExtent"),
        ({"optimizeTilesForSize": "true", "compressionQuality": "1e9"}, "compressionQuality"),
        ({"optimizeTilesForSize": "true", "compressionQuality": "9" * 5000}, "compressionQuality"),
        ({"storageFormatType": "../../x"}, "storageFormatType"),
        ({"tilePackage": "\x00"}, "tilePackage"),
        ({"callback": "alert(1)//"}, "callback"),
    ],
)
def test_an_absurd_value_is_refused_with_the_parameter_name(client, parameters, name):
    reply, seconds = export(client, **parameters)

    assert reply["error"]["code"] == 400
    assert reply["error"]["message"].startswith(f"{name}: ")
    assert len(reply["error"]["message"]) < 1000
    assert seconds < MOST_SECONDS


numbers = st.sampled_from([0, -0.0, 1, 10, 179, 1e7, 1e15, 1e300, -1e7]) | st.floats(allow_nan=False, width=32)
scalars = (
    numbers | st.none() | st.booleans() | st.sampled_from(["", "NaN", "0", "rubbish", "4326", "\u202e"]) | st.text()
)
references = scalars | st.fixed_dictionaries({}, optional={"wkid": scalars, "latestWkid": scalars, "wkt": scalars})
vertices = st.lists(numbers, min_size=2, max_size=2) | st.lists(scalars, max_size=5)
curves = st.fixed_dictionaries({}, optional={name: st.lists(vertices | scalars, max_size=7) for name in "abc"})
rings = st.lists(st.lists(vertices | curves, max_size=6) | scalars, max_size=3) | scalars
envelopes = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("xmin", "ymin", "xmax", "ymax"), scalars) | {"spatialReference": references}
)
crs = st.builds(lambda kind, name: {"type": kind, "properties": {"name": name, "code": name}}, scalars, scalars)
geometries = envelopes | st.fixed_dictionaries(
    {},
    optional={"rings": rings, "curveRings": rings, "spatialReference": references, "x": scalars, "paths": rings}
    | {"type": st.sampled_from(["Polygon", "MultiPolygon", "Point", "Topology"]) | scalars}
    | {"coordinates": st.lists(rings, max_size=2) | rings, "crs": crs | scalars},
)
areas = st.recursive(
    geometries | scalars,
    lambda part: (
        st.lists(part, max_size=3)
        | st.fixed_dictionaries({"geometry": part}, optional={"spatialReference": references})
        | st.fixed_dictionaries({"features": st.lists(part, max_size=3) | scalars}, optional={"crs": crs | scalars})
        | st.fixed_dictionaries({"geometries": st.lists(part, max_size=3) | scalars})
    ),
    max_leaves=4,
)
as_json = st.builds(json.dumps, areas)
VALUES = {
    "exportExtent": st.lists(scalars, max_size=5).map(lambda sides: ",".join(map(str, sides)))
    | st.builds(json.dumps, envelopes | scalars),
    "areaOfInterest": as_json | as_json.map(lambda text: text[:-1]) | as_json.map(lambda text: text + "}"),
    "polygon": as_json,
    "levels": st.lists(scalars, max_size=3).map(lambda levels: "-".join(map(str, levels))),
    "exportBy": scalars.map(str),
    "tilePackage": scalars.map(str),
    "storageFormatType": scalars.map(str),
    "compressionQuality": scalars.map(str),
    "since": scalars.map(str),
    "clientToken": scalars.map(str),
}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*VALUES]).flatmap(lambda name: st.tuples(st.just(name), VALUES[name])))
def test_every_error_begins_with_the_parameter_that_it_is_about(parameter):
    """GIVEN any value of any parameter, WHEN it is refused, THEN the message names that parameter first."""
    name, value = parameter
    sent = {name: value.encode(errors="replace").decode(), "optimizeTilesForSize": "true"}

    reply, _ = export(Client(a_rest_runtime()), **sent)

    if "error" in reply:
        assert (reply["error"]["code"], reply["error"]["details"]) == (400, [])
        assert reply["error"]["message"].startswith(f"{name}: ")
        assert not re.search(r"Error\b|Traceback|NoneType|unpack", reply["error"]["message"].replace(value[:80], ""))


def test_an_infinite_extent_is_refused(client):
    assert "not a finite number" in export(client, exportExtent="1e400,0,1,1")[0]["error"]["message"]


def test_an_estimate_of_an_area_too_complex_is_refused_before_it_is_counted(client):
    zigzag = [[(number * 37) % 170, number % 2 * 80] for number in range(999)]
    area = json.dumps({"rings": [zigzag], "spatialReference": {"wkid": 4326}})

    began = time.process_time()
    response = client.send("POST", f"{SERVICE}/estimateExportTilesSize", body=urlencode({"areaOfInterest": area}))

    assert "too complex for level 19" in response["body"]
    assert time.process_time() - began < MOST_SECONDS


def zigzag(height_metres):
    """An area of as many vertices as are allowed, whose edges meet many rows of tiles."""
    x, y = np.linspace(-1e6, 1e6, VERTICES_LIMIT), np.tile([0, height_metres], VERTICES_LIMIT // 2)
    return json.dumps({"rings": [np.column_stack([x.round(2), y]).tolist()], "spatialReference": {"wkid": 102100}})


@pytest.mark.parametrize("operation", ["exportTiles", "estimateExportTilesSize"])
@pytest.mark.parametrize("height_metres", [1, 2_000, 5_900])
def test_all_levels_of_a_complex_area_are_answered_within_seconds(client, operation, height_metres):
    body = urlencode({"f": "json", "tilePackage": "true", "levels": "0-19", "areaOfInterest": zigzag(height_metres)})

    began = time.process_time()
    reply = json.loads(client.send("POST", f"{SERVICE}/{operation}", body=body)["body"])

    assert time.process_time() - began < MOST_SECONDS
    if "error" in reply:
        assert reply["error"]["code"] == 400
        assert re.match(
            r"levels: '0,1,2,.*,19' cannot be used. The area is too complex for them together: its edges "
            r"meet rows of tiles [\d,]+ times and more; 8,388,608 are allowed. Ask for fewer or less detailed levels",
            reply["error"]["message"],
        )
    assert ("error" in reply) == (height_metres >= 5_900)


def test_the_first_value_of_a_repeated_parameter_counts(client):
    client.get(f"{SERVICE}/exportTiles", "f=json&f=html&tilePackage=true&levels=1&levels=99")

    (job_id,) = client.started
    assert client.runtime.browse_job.parameters(job_id)["levels"] == "1"


@pytest.mark.parametrize(
    "body",
    ["levels=" + "9" * MAX_BODY_CHARACTERS, "&".join(f"a{number}=1" for number in range(500_000)), "a=1&" * 1000],
    ids=["too long", "too many", "many"],
)
def test_a_body_too_long_or_of_too_many_fields_is_refused(client, body):
    began = time.process_time()
    response = client.send("POST", f"{SERVICE}/exportTiles", body=body)

    assert json.loads(response["body"])["error"]["code"] == 400
    assert time.process_time() - began < MOST_SECONDS
    assert client.started == []


def test_text_that_is_not_utf_8_does_not_fail(client):
    for path in (b"\xff\xfe", "levels=1".encode("utf-16"), b"levels=%ff%fe&f=json"):
        response = client.send("POST", f"{SERVICE}/tilemap/0/0/0/1/1", body=path.decode("latin-1"))
        assert '"code":500' not in response["body"]


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../tokens",
        "%2e%2e",
        "a\0b",
        "a\nb",
        "World_Imagery\r\nSet-Cookie: a=b",
        "\u202eyregamI",
        "a" * 9000,
        "Wörld",
    ],
)
def test_no_name_of_a_service_leaves_the_catalog(client, name):
    for resource in ("", "/exportTiles", f"/jobs/{a_job().job_id}"):
        error = client.error(f"/arcgis/rest/services/{name}/ImageServer{resource}", "f=json&tilePackage=true")
        assert error["code"] in (400, 404)
    assert client.started == []


@pytest.mark.parametrize(
    "file",
    [
        "..",
        "../..",
        "a/../../b",
        f"../../jobs/{a_job().job_id}/request.json",
        "%2e%2e/%2e%2e/tokens",
        "..\\..\\b",
        ".",
        "./World_Imagery.tpkx",
        "a\0b",
        "a\nb",
        "a\r\nSet-Cookie: a=b",
        "\x7f",
        "\x1f/\x1e",
        "\u202e",
        "\N{LATIN SMALL LETTER A}\N{COMBINING ACUTE ACCENT}",
        "日本語",
        "a" * 5000,
        "*",
        "~",
        "#",
    ],
)
def test_no_name_of_a_file_leaves_the_folder_of_its_job(client, file):
    for method in ("GET", "HEAD"):
        response = client.send(method, f"{FILES}/{file}", "f=json")
        assert response["statusCode"] == 404
        assert "location" not in response["headers"]


@pytest.mark.parametrize("job_id", ["..", "%2e%2e", "j" + "0" * 31 + "\n", "j" + "٣" * 32, "*"])
def test_a_malformed_job_id_is_not_looked_up(client, job_id, monkeypatch):
    monkeypatch.setattr(client.runtime.jobs, "get", lambda _: 1 // 0)

    assert client.error(f"{SERVICE}/jobs/{job_id}")["code"] == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", ""])
def test_other_methods_do_nothing(client, method):
    response = client.send(method, f"{SERVICE}/exportTiles", "f=json&tilePackage=true&levels=0")

    assert json.loads(response["body"])["error"]["message"] == "Invalid URL"
    assert client.started == []


@pytest.mark.parametrize(
    "host", ["", "a b", "a\r\nSet-Cookie: b=c", "a/b", "evil.org#", "user@evil.org", "a" * 254, "a:123456"]
)
def test_an_invalid_host_never_gets_into_a_url(client, host):
    assert client.error(FILES, headers={"host": host})["message"] == "The request names no host."


@pytest.mark.parametrize("scheme", ["javascript", "HTTPS\r\nA: b", "file", ""])
def test_urls_are_http_or_https(client, scheme):
    (file,) = client.json(FILES, headers={"x-forwarded-proto": scheme})["files"]

    assert file["url"].startswith("https://tiles.example.org/")


@pytest.mark.parametrize("origin", ["https://evil.org", "null", "https://evil.org\r\nA: b"])
def test_cors_allows_every_origin_without_credentials(client, origin):
    for method in ("GET", "OPTIONS"):
        headers = client.send(method, SERVICE, "f=json", headers={"origin": origin})["headers"]
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"/arcgis/rest/services/{SCRIPT}/ImageServer", "f=html"),
        (f"/arcgis/rest/services/{SCRIPT}", "f=html"),
        (f"{SERVICE}/exportTiles", f"f=html&levels={quote(SCRIPT)}"),
        (f"{SERVICE}/exportTiles", f"f=html&areaOfInterest={quote(SCRIPT)}"),
        (f"{SERVICE}/exportTiles", f"f=html&exportBy={quote(SCRIPT)}"),
        (f"{SERVICE}/jobs/{SCRIPT}", "f=html"),
        (f"{FILES}/{SCRIPT}", "f=html"),
        (SERVICE, f"f={quote(SCRIPT)}"),
        (SERVICE, f"f=html&callback={quote(SCRIPT)}"),
    ],
)
def test_no_page_repeats_markup(client, path, query):
    response = client.get(path, query, headers={"accept": "text/html"})

    is_page = response["headers"]["content-type"].startswith("text/html")
    assert not (is_page and (foreign_scripts(response["body"]) or "<img" in response["body"]))
    assert response["headers"]["x-content-type-options"] == "nosniff"
    assert not is_page or "default-src 'none'" in response["headers"]["content-security-policy"]


def test_a_page_cannot_be_framed_and_sends_no_referrer(client):
    headers = client.get(SERVICE, "f=html&token=secret")["headers"]

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("query", ["f=html", "f=html&levels=99"])  # the form, and the one below an error
def test_forms_are_sent_to_this_host_and_to_that_of_public_base_url_only(client, query):
    def policy():
        return client.get(f"{SERVICE}/exportTiles", query)["headers"]["content-security-policy"]

    assert policy().endswith("; form-action 'self'")
    settings = replace(client.runtime.settings, public_base_url="https://maps.example.org/gis")
    client.runtime = replace(client.runtime, settings=settings)
    assert policy().endswith("; form-action 'self' https://maps.example.org")


@pytest.mark.parametrize("query", ["f=html", "f=json", "f=html&callback=a"])
def test_caches_on_the_way_keep_no_page_and_no_document(client, query):
    assert client.get(SERVICE, query)["headers"]["cache-control"] == "private, no-cache"


def test_texts_of_the_operator_are_escaped(client):
    service = client.runtime.services.get("World_Imagery")
    object.__setattr__(service, "description", SCRIPT)
    client.runtime.services.put(service)

    page = client.get(SERVICE, "f=html")["body"]

    assert not foreign_scripts(page)
    assert "&lt;script&gt;" in page


def test_every_request_is_one_line_of_the_log_whatever_it_holds(client):
    """GIVEN line ends, control characters and megabytes, WHEN they are refused, THEN the log stays one JSON a line."""
    line_end = 'x\r\n{"level":"ERROR","message":"forged"}\u2028\x1b[31m'
    log = io.StringIO()
    handler = logging.getLogger("api").handlers[0]
    with redirect_stdout(log):
        before, handler.stream = handler.stream, log
        try:
            client.get(f"/arcgis/rest/services/{line_end}/ImageServer")
            client.get(f"{SERVICE}/exportTiles", f"f=json&levels={quote(line_end)}")
            client.get(f"{SERVICE}/exportTiles", "f=json&levels=" + "9" * 100_000)
            client.get(
                f"{SERVICE}/exportTiles", "f=json&areaOfInterest=" + quote('{"spatialReference":{"wkt":"\\ud800"}}')
            )
        finally:
            handler.stream = before

    lines = [json.loads(line) for line in log.getvalue().split("\n") if line]
    assert [line["message"] for line in lines] == ["Refused"] * 4
    assert max(map(len, log.getvalue().split("\n"))) < 20_000


def test_a_tile_map_of_files_makes_a_bounded_number_of_requests_to_the_store(client):
    tilemap = client.json(f"{SERVICE}/tilemap/9/0/0/128/128")

    assert (tilemap["adjusted"], tilemap["location"]) == (True, {"left": 0, "top": 0, "width": 32, "height": 32})


def test_a_reply_beyond_the_limit_of_lambda_is_an_error_in_words(client):
    client.runtime.browse_service.sources.objects.write("World/3/2/1.jpg", b"\xff\xd8\xff" + bytes(5 * 2**20))

    response = client.get(f"{SERVICE}/tile/3/1/2", "")

    assert response["statusCode"] == 413
    assert "more than can be sent" in response["body"]
