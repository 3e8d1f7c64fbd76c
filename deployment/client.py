"""A client of the services of a stack, over HTTP, as a client of ArcGIS is one."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from deployment.stack import DeploymentError

ENDS = {"esriJobSucceeded", "esriJobFailed", "esriJobCancelled", "esriJobTimedOut"}
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 180
_ANSWER_SECONDS = 60  # twice as long as API Gateway waits for a function

_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Statuses of API Gateway for requests beyond its limits, and while the account has no function left for them."""
_BUSY_SECONDS = 120
_BUSY_POLL_SECONDS = 1.0


class _Served(Protocol):
    """Whatever has a services directory."""

    @property
    def services_url(self) -> str:
        """Return its address."""


@dataclass(frozen=True)
class Client:
    """Requests exports, and downloads packages.

    Attributes:
        cloud: the stack.
        token: sent with each request; '' where none is required.
        timeout_seconds: how long the end of a job is waited for.
    """

    cloud: _Served
    token: str = ""
    timeout_seconds: float = _TIMEOUT_SECONDS

    @property
    def sent(self) -> dict[str, str]:
        """Return the parameters of every request."""
        return {"f": "json"} | ({"token": self.token} if self.token else {})

    def get(self, path: str, **parameters: str) -> Any:
        """GET a resource below the services directory, or at an address."""
        url = path if path.startswith("http") else f"{self.cloud.services_url}/{path}"
        with _answer(Request(f"{url}?{urlencode(self.sent | parameters)}")) as response:
            return json.load(response)

    def post(self, path: str, **parameters: str) -> Any:
        """POST a form to a resource below the services directory."""
        body = urlencode(self.sent | parameters).encode()
        with _answer(Request(f"{self.cloud.services_url}/{path}", data=body)) as response:
            return json.load(response)

    def submit(self, service: str, **parameters: str) -> str:
        """Request an export and return the id of its job.

        Raises:
            DeploymentError: it was refused.
        """
        submitted = self.post(f"{service}/ImageServer/exportTiles", **{"tilePackage": "true"} | parameters)
        if "jobId" not in submitted:
            raise DeploymentError(f"{service}: the export was refused: {submitted}")
        return str(submitted["jobId"])

    def export(self, service: str, **parameters: str) -> dict[str, Any]:
        """Run an export to its end and return the job."""
        return self.wait(service, self.submit(service, **parameters))

    def wait(self, service: str, job_id: str) -> dict[str, Any]:
        """Poll a job until it has ended.

        Raises:
            DeploymentError: it does not end in time.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            job: dict[str, Any] = self.get(f"{service}/ImageServer/jobs/{job_id}")
            if job["jobStatus"] in ENDS:
                return job
            if time.monotonic() > deadline:
                raise DeploymentError(f"{job_id}: the job has not ended after {self.timeout_seconds:.0f} s: {job}")
            time.sleep(_POLL_SECONDS)

    def package_url(self, service: str, job: Mapping[str, Any]) -> str:
        """Return the address of the package of a job.

        Raises:
            DeploymentError: the job has not succeeded.
        """
        if job["jobStatus"] != "esriJobSucceeded":
            raise DeploymentError(f"{service}: the job has not succeeded: {job}")
        job_url = f"{service}/ImageServer/exportTiles/jobs/{job['jobId']}"
        folder = self.get(f"{job_url}/{job['results']['out_service_url']['paramUrl']}")["value"]
        (file,) = self.get(folder)["files"]
        return str(file["url"])

    def package(self, service: str, job: Mapping[str, Any]) -> bytes:
        """Download the package of a job."""
        with self.open(self.package_url(service, job)) as response:
            body: bytes = response.read()
        return body

    def open(self, url: str, method: str = "GET", **headers: str) -> Any:
        """Open the address of a file, as one downloads it."""
        return _answer(Request(self.with_token(url), method=method, headers=headers))

    def with_token(self, url: str) -> str:
        """Return an address with the token behind it."""
        return f"{url}?{urlencode({'token': self.token})}" if self.token else url


def _answer(request: Request) -> Any:
    """Send a request, for up to two minutes if the API is busy, and return the response.

    Raises:
        HTTPError: the status is an error.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return urlopen(request, timeout=_ANSWER_SECONDS)
        except HTTPError as error:
            if error.code not in _BUSY or time.monotonic() > deadline:
                raise
            error.close()
            time.sleep(_BUSY_POLL_SECONDS)
