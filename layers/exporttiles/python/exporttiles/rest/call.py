"""One call of a resource: the request, the runtime, and the service and job in the path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, is_job_id
from exporttiles.domain.service import ImageService, ServiceType
from exporttiles.rest import addresses
from exporttiles.rest.access import Caller
from exporttiles.rest.addresses import JobUrls
from exporttiles.rest.http import Request


@dataclass(frozen=True, slots=True)
class Document:
    """The reply of a resource: a JSON document, with the parts that its HTML page adds.

    Attributes:
        content: the JSON document.
        title: heading of the page.
        sections: HTML above the data.
        refresh_seconds: interval at which the page reloads; 0 for never.
        job_id: of the job that the request started or changed, for the log.
    """

    content: Mapping[str, Any]
    title: str
    sections: tuple[str, ...] = ()
    refresh_seconds: int = 0
    job_id: str | None = None


def trail_of(rest_url: str, arguments: Mapping[str, str], path: str = "") -> Mapping[str, str]:
    """Return the breadcrumbs from the root to the folder, the service and the job in a path: URL by text.

    Args:
        rest_url: URL, or path, of the root.
        arguments: the variable parts of the path, by name.
        path: percent-encoded, of the page itself, which needs no link to its job.
    """
    trail = {"services": f"{rest_url}/services?f=html"}
    if "service" in arguments:
        name, service_type = arguments["service"], ServiceType(arguments["service_type"])
        folder, _, short_name = name.rpartition("/")
        if folder:
            trail[folder] = f"{rest_url}/services/{quote(folder)}?f=html"
        service_url = addresses.service_url(rest_url, quote(name), service_type)
        trail[short_name] = f"{service_url}?f=html"
        if "job_id" in arguments and not path.rstrip("/").endswith(f"/jobs/{quote(arguments['job_id'])}"):
            trail["job"] = f"{service_url}/jobs/{quote(arguments['job_id'])}?f=html"
    return trail


@dataclass(frozen=True)
class Call:
    """A request that was routed to a resource.

    Attributes:
        format: html, json or pjson.
        arguments: the variable parts of the path, by name.
        caller: the sender of the request.
    """

    request: Request
    runtime: Runtime
    format: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    caller: Caller = field(default_factory=Caller)

    @cached_property
    def rest_url(self) -> str:
        """Return the URL of ``/arcgis/rest`` under which the client reaches it."""
        return addresses.rest_url(self.request.base_url(self.runtime.settings.public_base_url))

    @cached_property
    def service(self) -> ImageService:
        """Return the service in the path, with the tile limit of the caller.

        Raises:
            ServiceNotFoundError: no service has this name.
        """
        return self.caller.limited(self.runtime.services.get(self.arguments["service"]))

    @property
    def service_type(self) -> ServiceType:
        """Return the service type in the path."""
        return ServiceType(self.arguments["service_type"])

    @property
    def service_url(self) -> str:
        """Return the URL of the service."""
        return addresses.service_url(self.rest_url, self.arguments["service"], self.service_type)

    @cached_property
    def job(self) -> Job:
        """Return the job in the path. Ignore the suffix ``_et``, which ids of some servers have.

        Clients poll every two seconds, so this reads the job and not the service.

        Raises:
            JobNotFoundError: no such job exists, or it belongs to another service or key.
        """
        job_id = self.arguments["job_id"].removesuffix("_et")
        if is_job_id(job_id):
            job = self.runtime.jobs.get(job_id)
            if job.service_name == self.arguments["service"] and self.caller.owns(job):
                return job
        raise JobNotFoundError("No job has this id, or it has expired.")

    @property
    def job_urls(self) -> JobUrls:
        """Return the URLs of the job in the path."""
        return JobUrls(self.rest_url, self.job, self.service_type)

    @property
    def trail(self) -> Mapping[str, str]:
        """Return the breadcrumbs from the root to the folder, the service and the job: URL by text."""
        return trail_of(self.rest_url, self.arguments, quote(self.request.path))
