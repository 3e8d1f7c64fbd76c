"""Documents between the steps read back as they were written."""

import json

import numpy as np
import pytest

from exporttiles.domain.cost import Usage
from exporttiles.messages.execution import Failure, execution_name, read_execution_name
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.package_upload import PackageUpload
from exporttiles.messages.packed_package import PartlyPacked
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, an_extent, put_files
from tests.fakes import memory


def test_an_export_comes_back_with_the_very_same_numbers():
    tiles = memory()
    put_files(tiles, 1)
    service = a_service(tiles)
    export = Export(service, a_request(service, (0, 1), extent=an_extent(0.1, 0.2, 45.3, 40.4), quality=60))

    found = Export.from_json(export.to_json())

    assert found.service == service
    (ring,), (expected,) = found.request.area_at(1).polygons[0], export.request.area_at(1).polygons[0]
    np.testing.assert_array_equal(ring, expected)
    assert (found.request.levels, found.request.compression_quality) == ((0, 1), 60)


def test_a_work_item_is_small_enough_for_the_state_of_a_workflow():
    item = json.loads(
        json.dumps(
            {"job_id": "j" * 33, "attempt": 17, "number": 7999, "bundles": [[23, 2**23 - 128, 2**23 - 128]] * 250}
        )
    )

    found = WorkItem.from_json(item)

    assert found.to_json() == item
    assert len(json.dumps(item)) < 256 * 1024 / 16


def test_everything_that_the_steps_need_lies_below_one_prefix():
    keys = JobKeys("j1")

    for key in (keys.parameters, keys.export, keys.work_items, keys.fragment(7, 0), keys.report(7)):
        assert key.startswith("jobs/j1/")
    assert keys.packages == "packages/j1/"


def test_another_content_makes_another_fragment():
    keys = JobKeys("j1")

    assert keys.fragment(7, 0x12345678) != keys.fragment(7, 0x12345679)
    assert keys.fragment(7, 0x12345678) != keys.fragment(8, 0x12345678)


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ({"Error": "SourceError", "Cause": '{"errorMessage": "no answer"}'}, Failure("SourceError", "no answer")),
        ({"Error": "States.Timeout", "Cause": ""}, Failure("States.Timeout", "")),
        ({"error": "E", "cause": "plain text"}, Failure("E", "plain text")),
        ({"error": None, "cause": None}, Failure("", "")),
        ({"Error": "E", "Cause": "[1]"}, Failure("E", "[1]")),
    ],
)
def test_the_cause_of_a_failure_is_the_message_of_the_exception(document, failure):
    assert Failure.from_json(document) == failure


@pytest.mark.parametrize("attempt", [1, 2, 17])
def test_the_name_of_an_execution_has_job_and_attempt(attempt):
    job_id = f"j{'0f' * 16}"

    assert read_execution_name(execution_name(job_id, attempt)) == (job_id, attempt)
    assert execution_name(job_id, 1) == job_id


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed", "larger WorkerMemory"),
        ("Lambda.Unknown", "2026-11-23T18:00:00Z 1 Task timed out after 900.00 seconds", "took longer than allowed"),
        ("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 900.00 seconds", "took longer than allowed"),
        ("States.Timeout", "", "took longer than allowed"),
        ("Lambda.Unknown", "The cause could not be determined because Lambda did not return an error", "WorkerMemory"),
        ("SourceError", "The store did not answer for 'a'", "The store did not answer for 'a'"),
        ("SomeError", "", "SomeError"),
    ],
)
def test_a_killed_function_fails_with_a_helpful_message(error, cause, words):
    assert words in Failure(error, cause).reason


def test_the_upload_of_a_package_comes_back_with_its_documents():
    upload = PackageUpload("an id", {"root.json": b"{}", "thumbnail.png": bytes(range(256))})

    assert PackageUpload.from_json(upload.to_json()) == upload


def test_a_package_that_is_packed_in_part_says_so():
    partly = PartlyPacked(Usage(3, 4, 5.5), 2)

    assert PartlyPacked.from_json(json.loads(json.dumps(partly.to_json()))) == partly
    assert partly.to_json()["finished"] is False
