"""Whatever openapi.json says may be asked, and worse, is answered: no 5xx, no trace, no hang (schemathesis)."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.services import exporttiles

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ANSWER_TIMEOUT_SECONDS = 10
TRACES = (b"Traceback", b'File "', b"site-packages", b"botocore")
SAME_RESOURCE = r"/submitJob$|/(exportTiles|estimateExportTilesSize)/jobs/"  # under another address; one is enough

schema = schemathesis.openapi.from_dict(json.loads(Path("docs/openapi.json").read_text(encoding="utf-8")))
schema = schema.exclude(path_regex=SAME_RESOURCE)


@pytest.fixture(scope="session")
def known(cloud, client, small):
    """Path parameters of things that there are: without them, nothing but the first step of the way is tried.

    The service allows five tiles an export: jobs are made and read, and the machine is not kept busy with them.
    """
    bucket = cloud.outputs["TileBucketName"]
    exporttiles(cloud, "publish", "Strange", f"s3://{bucket}/caches/{small}", "--bucket", bucket, "--max-tiles", "5")
    job = client.export("Strange", levels="0-1")
    return {"service": "Strange", "job_id": job["jobId"], "file": "Strange.tpkx"}


@schema.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_too_strange(case, cloud, known):
    number = len(json.dumps([case.path_parameters, case.query, case.body], default=repr))
    if number % 4:  # most cases get past the first step, every fourth does not
        case.path_parameters |= {name: value for name, value in known.items() if name in case.path_parameters}

    response = case.call(base_url=cloud.url, timeout=ANSWER_TIMEOUT_SECONDS, allow_redirects=False)

    case.validate_response(response, checks=CHECKS)
    assert not [trace for trace in TRACES if trace in response.content]
