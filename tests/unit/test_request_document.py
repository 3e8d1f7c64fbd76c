"""Parsing of request documents."""

import json
from datetime import UTC, datetime

import pytest

from exporttiles.domain.errors import RequestError
from exporttiles.events.request_document import read_request_document
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import a_service

NOW = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


def read(**members):
    return read_request_document(json.dumps({"service": "World"} | members).encode(), NOW)


def test_json_values_become_text_as_clients_send_it():
    document = read(levels=5, tilePackage=True, exportBy=None, areaOfInterest={"rings": [[[0, 0.5]]]}, extent="")

    assert document.parameters == {
        "levels": "5",
        "tilePackage": "true",
        "exportBy": "",
        "areaOfInterest": '{"rings": [[[0, 0.5]]]}',
        "extent": "",
    }


def test_areas_with_their_levels_are_read_as_over_http():
    areas = [
        {"exportExtent": {"xmin": 0, "ymin": 0, "xmax": 9e6, "ymax": 9e6}, "levels": 8, "name": "County"},
        {"tiles": ["3/4/2"], "levels": "9-10"},
    ]

    request = read_export_request(read(areas=areas, overviewLevels="0-3").parameters, a_service("World"))

    assert [(each.name, each.levels) for each in request.areas] == [
        ("areas[0] (County)", (8,)),
        ("areas[1]", (9, 10)),
        ("overviewLevels", (0, 1, 2, 3)),
    ]


def test_callback_data_is_repeated_unchanged():
    assert read(callbackData={"order": 4711, "share": 0.5, "to": ["a", 1]}).callback_data == (
        '{"order": 4711, "share": 0.5, "to": ["a", 1]}'
    )
    assert read().callback_data == ""
    assert read(callbackData=0).callback_data == "0"


def test_a_name_may_contain_the_date():
    assert read(name="district-{date}").package_name == "district-2026-11-23"
    assert read().package_name == ""


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "-x", "a b", "a" * 101, "{time}", "ä", "a\n", 1, None, ["a"]])
def test_a_name_that_is_not_a_file_name_is_refused(name):
    with pytest.raises(RequestError, match="It must have 1 to 100"):
        read(name=name)


@pytest.mark.parametrize("depth", [500, 900, 990, 1000, 5000])
def test_deep_nesting_is_read_or_refused_with_a_message(depth):
    nested = b"[" * depth + b"]" * depth
    for member in (b"areaOfInterest", b"callbackData", b"service", b"name", b"levels"):
        body = b'{"service": "World", "%s": %s}' % (member, nested)
        try:
            read_request_document(body, NOW)
        except RequestError:
            continue


def test_a_byte_order_mark_is_ignored():
    assert read_request_document(b'\xef\xbb\xbf{"service": "World"}', NOW).service_name == "World"


def test_nan_and_infinity_are_refused():
    with pytest.raises(RequestError, match="NaN is not a number"):
        read_request_document(b'{"service": "World", "levels": NaN}', NOW)


def test_a_series_is_identified_by_the_name_pattern():
    document = read(name="district-{date}", keep=4)

    assert (document.keep, document.name_pattern) == (4, "district-{date}")
    assert (read(name="district-{date}").keep, read().keep) == (0, 0)


@pytest.mark.parametrize("keep", [0, -1, 1.5, 1001, "4", True, [4], 1e300])
def test_an_invalid_number_of_packages_is_refused(keep):
    with pytest.raises(RequestError, match="It must be a whole number from 1 to 1,000"):
        read(name="district", keep=keep)


def test_keep_requires_a_name():
    with pytest.raises(RequestError, match="Give the packages a name"):
        read(keep=4)


def test_since_last_requires_a_series():
    assert read(name="district", keep=4, since="last").is_since_last
    assert "since" not in read(name="district", keep=4, since="last").parameters
    assert not read(since="2026-11-23").is_since_last
    with pytest.raises(RequestError, match="they define the series"):
        read(name="district", since="last")
