"""URLs of services, jobs and packages."""

from enum import StrEnum

from exporttiles.domain.job import Job
from exporttiles.messages.keys import VERIFICATION_NAME

ROOT = "/arcgis/rest"
"""Path below the host under which every resource lies."""


def rest_url(base_url: str) -> str:
    """Return the URL of `ROOT`.

    Args:
        base_url: scheme and host that clients use.
    """
    return f"{base_url}{ROOT}"


class ServiceType(StrEnum):
    """Types under which every service is served: some clients export only from map services."""

    IMAGE = "ImageServer"
    MAP = "MapServer"


def service_url(rest_url: str, service_name: str, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the URL of a service.

    Args:
        rest_url: scheme, host and `ROOT`.
        service_name: ``Name`` or ``Folder/Name``.
        service_type: the type that the client requested.
    """
    return f"{rest_url}/services/{service_name}/{service_type}"


def job_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the URL of a job, where its true status is reported."""
    return f"{service_url(rest_url, job.service_name, service_type)}/jobs/{job.job_id}"


def listing_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the URL of the folder of a job's package, without a final slash."""
    return f"{rest_url}/directories/arcgisoutput/{job.service_name}_{service_type}/{job.job_id}"


def verification_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the URL that redirects to the verification report of a job's package."""
    return f"{listing_url(rest_url, job, service_type)}/{VERIFICATION_NAME}"


def package_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str | None:
    """Return the URL that redirects to a fresh download link; None if the job has no package."""
    return f"{listing_url(rest_url, job, service_type)}/{job.package.name}" if job.package else None
