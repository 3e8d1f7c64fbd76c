"""Documents of jobs."""

import pytest

from exporttiles.domain.job import JobStatus, Message, MessageKind, Operation, Progress
from exporttiles.rest.job_documents import INPUT_NAMES, input_document, job_document, submit_document
from tests.builders_rest import a_job

FILE_URL = "https://host/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/j0/World_Imagery.tpkx"
ESRI_STATES = {
    "esriJobSubmitted",
    "esriJobExecuting",
    "esriJobCancelling",
    "esriJobCancelled",
    "esriJobFailed",
    "esriJobTimedOut",
    "esriJobSucceeded",
    "esriJobDeleted",
}


def document_of(job, *, nested=False):
    return job_document(job, FILE_URL if job.package else None, report_unhappy_ends_as_failed=nested)


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_has_a_name_that_clients_know(status):
    document = document_of(a_job(status))

    assert document["jobStatus"] in ESRI_STATES
    assert document["jobId"] == a_job().job_id


@pytest.mark.parametrize("status", [status for status in JobStatus if status.is_final])
def test_a_client_that_polls_until_success_or_failure_sees_every_job_end(status):
    assert document_of(a_job(status), nested=True)["jobStatus"] in ("esriJobSucceeded", "esriJobFailed")


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("nested", [True, False])
def test_no_job_has_a_member_called_error(status, nested):
    assert "error" not in document_of(a_job(status), nested=nested)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (JobStatus.FAILED, "The export failed."),
        (JobStatus.CANCELLED, "The job was cancelled."),
        (JobStatus.TIMED_OUT, "The job took longer than allowed and was stopped."),
    ],
)
def test_an_unhappy_end_has_a_message_of_the_type_error(status, reason):
    assert document_of(a_job(status))["messages"][-1] == {"type": "esriJobMessageTypeError", "description": reason}


def test_an_end_with_an_error_message_gets_no_second_one():
    messages = (Message(MessageKind.ERROR, "ERROR 001564: Requested tile count"), Message(MessageKind.WARNING, "w"))

    told = document_of(a_job(JobStatus.FAILED, messages=messages))["messages"]

    assert [message["type"] for message in told] == ["esriJobMessageTypeError", "esriJobMessageTypeWarning"]


def test_progress_is_reported_while_the_job_executes():
    planning = document_of(a_job(JobStatus.EXECUTING, progress=Progress()))["progress"]
    assert planning == {"type": "default", "message": "Planning the export."}

    working = document_of(a_job(JobStatus.EXECUTING))["progress"]
    assert working == {"type": "step", "message": "102 of 341 tiles are done, 45,000 bytes.", "percent": 29}

    assert "progress" not in document_of(a_job(JobStatus.SUCCEEDED))


def test_results_inputs_and_output_come_with_success():
    document = document_of(a_job(JobStatus.SUCCEEDED))

    assert document["results"] == {
        "out_service_url": {"paramUrl": "results/out_service_url"},
        "verification": {"paramUrl": "results/verification"},
    }
    assert document["inputs"]["levels"] == {"paramUrl": "inputs/levels"}
    assert document["output"] == {"outputUrl": [FILE_URL], "itemId": None}
    for status in set(JobStatus) - {JobStatus.SUCCEEDED}:
        assert not {"results", "inputs", "output"} & document_of(a_job(status)).keys()


def test_an_estimate_has_results_and_no_output():
    job = a_job(JobStatus.SUCCEEDED, operation=Operation.ESTIMATE_EXPORT_TILES_SIZE, package=None)

    assert document_of(job)["results"].keys() == {"out_service_url"}
    assert "output" not in document_of(job)


@pytest.mark.parametrize("status", JobStatus)
def test_the_reply_to_a_submission_is_always_submitted(status):
    # On Succeeded or Failed clients take the reply for the document of the job.
    assert submit_document(a_job(status)) == {"jobId": a_job().job_id, "jobStatus": "esriJobSubmitted"}


def test_an_input_is_what_the_client_sent():
    sent = {"levels": "0-4", "areaOfInterest": '{"rings":[]}'}

    assert input_document("levels", sent) == {"paramName": "levels", "dataType": "GPString", "value": "0-4"}
    assert input_document("export_extent", sent)["value"] == ""
    assert set(INPUT_NAMES) == {"storage_format_type", "tile_package", "export_extent", "levels", "area_of_interest"}
