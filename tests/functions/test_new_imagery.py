"""New imagery starts the exports that subscribe to its cache."""

import json
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest
from referencing import Registry, Resource

from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.subscription import Subscription
from exporttiles.events.requests import REQUESTED
from functions.receive_imagery import app as receive_imagery
from tests.builders_rest import a_service
from tests.fakes import a_runtime, memory
from tests.functions.test_event_functions import schema
from tests.functions.test_workflow_functions import Context, event

QUIET = timedelta(minutes=15)
WEST = {"xmin": -20e6, "ymin": -20e6, "xmax": -10, "ymax": 20e6, "spatialReference": {"wkid": 102100}}


@pytest.fixture
def tiles():
    return memory()


@pytest.fixture
def runtime(monkeypatch, tiles):
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    runtime = a_runtime(tiles)
    cache = replace(
        a_service().cache, url="s3://exporttiles-tiles/caches/World", path_template="{level}/{column}/{row}.jpg"
    )
    runtime.services.put(a_service(cache=cache))
    runtime.services.put(a_service("Elsewhere", cache=replace(cache, url="s3://exporttiles-tiles/caches/Elsewhere")))
    return runtime


def subscribe(runtime, name="district", **request):
    request = {"service": "World_Imagery", "levels": "0-5", "tilePackage": True} | request
    runtime.subscriptions.put(Subscription(name, QUIET, json.dumps(request)))


def receive(runtime):
    receive_imagery.handler(event("receive_imagery"), Context(), runtime=runtime)
    return runtime.timers.timers


def test_an_export_waits_until_the_cache_has_been_quiet(runtime):
    subscribe(runtime, name="district")
    before = runtime.clock.time

    at, told = receive(runtime)["district"]

    assert timedelta(0) < at - before - QUIET <= timedelta(seconds=2)
    assert told.detail_type == REQUESTED
    schema("export_tiles_requested").validate(told.detail)
    assert told.detail["service"] == "World_Imagery"


def test_more_imagery_reschedules_the_export(runtime):
    subscribe(runtime)
    first, _ = receive(runtime)["district"]
    runtime.clock.time += timedelta(minutes=5)

    second, _ = receive(runtime)["district"]

    assert second - first >= timedelta(minutes=5)
    assert len(runtime.timers.timers) == 1


@pytest.mark.parametrize(
    ("request_", "is_concerned"),
    [
        ({}, True),
        ({"levels": "3"}, True),
        ({"levels": "0-2,4-5"}, False),
        ({"exportExtent": WEST}, False),
        ({"exportExtent": WEST | {"xmin": 10, "xmax": 20e6}}, True),
        ({"service": "Elsewhere"}, False),
        ({"levels": "", "areas": [{"exportExtent": WEST, "levels": "3"}, {"tiles": "3/5/2", "levels": "4"}]}, False),
        ({"levels": "", "areas": [{"exportExtent": WEST, "levels": "4"}, {"tiles": "3/5/2", "levels": "3"}]}, True),
        ({"levels": "4", "exportExtent": WEST, "overviewLevels": "0-3"}, True),
    ],
)
def test_an_export_is_concerned_if_its_levels_and_area_contain_the_tile(runtime, request_, is_concerned):
    subscribe(runtime, **request_)  # the tile that comes is level 3, row 2, column 5

    assert bool(receive(runtime)) is is_concerned


def test_an_invalid_subscription_does_not_hold_up_the_others(runtime, tiles):
    subscribe(runtime, "a", service="Nowhere")
    subscribe(runtime, "b", levels="99")
    tiles.write("subscriptions/c.json", b"[]")
    tiles.write("subscriptions/d.json", b'{"quietMinutes": 1e999, "request": {}}')
    tiles.write("subscriptions/notes.txt", b"")
    subscribe(runtime, "e")

    assert receive(runtime).keys() == {"e"}


def test_a_replaced_archive_concerns_all_its_exports(runtime):
    cache = replace(a_service().cache, url="s3://exporttiles-tiles/caches/World/3/5/2.jpg.pmtiles")
    asked = json.loads(json.dumps(event("receive_imagery")).replace("2.jpg", "2.jpg.pmtiles"))
    runtime.services.put(a_service(cache=cache))
    subscribe(runtime, levels="5")

    receive_imagery.handler(asked, Context(), runtime=runtime)

    assert runtime.timers.timers.keys() == {"district"}


def test_a_message_without_an_object_stays_in_the_queue(runtime):
    with pytest.raises(KeyError), pytest.warns(UserWarning, match="No application metrics"):
        receive_imagery.handler({"Records": [{"body": "{}"}]}, Context(), runtime=runtime)


def test_a_stored_subscription_matches_its_schema(runtime, tiles):
    subscribe(runtime)
    document = json.loads(tiles.read("subscriptions/district.json"))
    requested = schema("export_tiles_requested").schema
    registry = Registry().with_resource("export_tiles_requested.json", Resource.from_contents(requested))

    jsonschema.Draft202012Validator(schema("subscription").schema, registry=registry).validate(document)
    kept = runtime.subscriptions.get("district")
    assert (kept.quiet, json.loads(kept.request)["levels"]) == (QUIET, "0-5")


@pytest.mark.parametrize(
    ("name", "minutes"), [("", 15), ("a/b", 15), ("x" * 65, 15), ("ä", 15), ("a", 0.5), ("a", 1441), ("a", -1)]
)
def test_an_invalid_name_or_time_is_refused(name, minutes):
    with pytest.raises(InvalidParameterError, match="It must"):
        Subscription(name, timedelta(minutes=minutes), "{}")


def test_a_subscription_that_is_removed_is_gone(runtime):
    subscribe(runtime)
    runtime.subscriptions.delete("district")

    assert receive(runtime) == {}
    with pytest.raises(KeyError):
        runtime.subscriptions.delete("district")
