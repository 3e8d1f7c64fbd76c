"""Packages that a cold start does not import, each checked in a new interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
GEO_STACK = {"numpy", "pyproj", "PIL"}
CLIENTS = {"boto3", "obstore"}
TRACERS = {"aws_xray_sdk", "opentelemetry"}

ANSWER = """
from datetime import UTC, datetime
from types import SimpleNamespace
from exporttiles.domain.job import Job, JobStatus
from exporttiles.rest.http import Request
from exporttiles.rest.routes import find_route, respond

now = datetime(2026, 11, 23, tzinfo=UTC)
job = Job("j" + 32 * "0", "World", JobStatus.EXECUTING, now, now, tile_count=9)
runtime = SimpleNamespace(
    settings=SimpleNamespace(public_base_url="https://maps.example", token_security=False),
    clock=SimpleNamespace(now=lambda: now),
    jobs=SimpleNamespace(get=lambda _: job),
    services=SimpleNamespace(names=lambda: ["World"]),
)
response = respond(find_route(Request("GET", "/arcgis/rest" + {path!r}, "f={name}")), runtime)
assert response.status == 200, response
"""
JOB = f"/services/World/ImageServer/jobs/j{32 * '0'}"


def loaded(code):
    """Run a program and return the packages that it has loaded."""
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_imported_without_arrays_projections_codecs_and_tracers(function):
    assert not loaded(f"import functions.{function}.app") & (GEO_STACK | TRACERS)


@pytest.mark.parametrize("function", sorted({*FUNCTIONS} - {"announce_job"}))  # it reads items of DynamoDB, always
def test_a_handler_creates_no_client_before_it_needs_one(function):
    packages = loaded(f"from functions.{function}.app import from_environment; from_environment()")

    assert not packages & CLIENTS


@pytest.mark.parametrize("name", ["json", "html"])
@pytest.mark.parametrize("path", ["/info", "/services", JOB])
def test_the_api_answers_without_the_geo_stack_where_no_geometry_is_asked_for(path, name):
    assert not loaded(ANSWER.format(path=path, name=name)) & (GEO_STACK | CLIENTS)


def test_a_worker_loads_neither_projections_nor_codecs():
    settings = "{'TILE_BUCKET': 't', 'PACKAGE_BUCKET': 'p', 'JOB_TABLE': 'j', 'AWS_DEFAULT_REGION': 'us-east-1'}"
    packages = loaded(
        f"import os; os.environ |= {settings}\n"
        "from functions.export_tile_range.app import from_environment; from_environment().export_tile_range"
    )

    assert "numpy" in packages
    assert not packages & {"pyproj", "PIL"}


ASK = """
from exporttiles.rest.parameters import read_export_request
from tests.builders_rest import a_service

area = {"areaOfInterest": '{"rings":[[[0,0],[0,9],[9,9]]]}'} | %s
assert read_export_request(area, a_service()).areas
"""


@pytest.mark.parametrize(("parameters", "expected"), [({}, False), ({"bufferDistance": "9"}, True)])
def test_only_a_request_with_a_buffer_loads_shapely(parameters, expected):
    assert ("shapely" in loaded(ASK % parameters)) is expected


def test_polling_a_job_loads_the_client_of_the_table_only():
    settings = "{'TILE_BUCKET': 't', 'PACKAGE_BUCKET': 'p', 'JOB_TABLE': 'j', 'AWS_DEFAULT_REGION': 'us-east-1'}"
    packages = loaded(
        f"import os; os.environ |= {settings}\nfrom functions.api.app import from_environment; from_environment().jobs"
    )

    assert "boto3" in packages
    assert not packages & (GEO_STACK | {"obstore"})
