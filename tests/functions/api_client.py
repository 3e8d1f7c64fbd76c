"""API client without a network: calls the Lambda function with API Gateway events."""

import base64
import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.messages.keys import JobKeys
from functions.api.app import handler
from tests.builders_rest import a_job

EVENT = json.loads(Path("events/api.json").read_text(encoding="utf-8"))
CONTEXT = SimpleNamespace(
    function_name="api", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:api", aws_request_id="1"
)
HOST = "https://tiles.example.org"
SERVICE = "/arcgis/rest/services/World_Imagery/ImageServer"
JOB = a_job().job_id
MAP_SERVICE = "/arcgis/rest/services/World_Imagery/MapServer"
FILES = f"/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/{JOB}"
EXAMPLE_THREE_AREA = (
    '{"features":[{"geometry":{"rings":[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]}}]},'
    '"spatialReference":{"wkid":4326}}}]}'
)
OWN_SCRIPT = re.compile(r'<script type="module" src="/arcgis/rest/static/page-[A-Z0-9]{8}\.js"></script>')
BASES = [SERVICE, f"{SERVICE}/exportTiles", f"{SERVICE}/estimateExportTilesSize"]


@dataclass
class Client:
    """Sends events to the handler."""

    runtime: Runtime

    def send(self, method, path, query="", body=None, headers=None, *, cookies=None):
        event = copy.deepcopy(EVENT)
        event["rawPath"], event["rawQueryString"] = path, query
        event["requestContext"]["http"] |= {"method": method, "path": path}
        event["headers"] |= headers or {}
        if cookies:
            event["cookies"] = cookies
        if body is not None:
            event["headers"] |= {"content-type": "application/x-www-form-urlencoded"} | (headers or {})
            event |= {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
        return handler(event, CONTEXT, runtime=self.runtime)

    def put(self, job):
        self.runtime.jobs.jobs[job.job_id] = job
        sent = json.dumps({"levels": "0-4", "exportExtent": ""})
        self.runtime.objects.write(JobKeys(job.job_id).parameters, sent.encode())

    @property
    def started(self):
        return self.runtime.submit_export.workflow.started

    def get(self, path, query="f=json", **more):
        return self.send("GET", path, query, **more)

    def json(self, path, query="f=json", **more):
        return json.loads(self.get(path, query, **more)["body"])

    def error(self, path, query="f=json", **more):
        response = self.get(path, query, **more)
        assert response["statusCode"] == 200
        return json.loads(response["body"])["error"]


def foreign_scripts(page):
    """Return the script elements of a page besides the one that it may have."""
    return [each for each in re.findall(r"<script.*", page, re.IGNORECASE) if not OWN_SCRIPT.fullmatch(each)]
