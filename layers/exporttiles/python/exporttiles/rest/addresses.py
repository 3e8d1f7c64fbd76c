"""Where things are, for whoever is told an address."""

from enum import StrEnum

from exporttiles.domain.job import Job
from exporttiles.messages.keys import VERIFICATION_NAME

ROOT = "/arcgis/rest"
"""Where all of it lies, below the host."""


class ServiceType(StrEnum):
    """Types under which every service is found: clients of map services export there as well."""

    IMAGE = "ImageServer"
    MAP = "MapServer"


def service_url(rest_url: str, service_name: str, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the address of a service.

    Args:
        rest_url: of `ROOT`, with scheme and host.
        service_name: ``Name`` or ``Folder/Name``.
        service_type: which the client asked for.
    """
    return f"{rest_url}/services/{service_name}/{service_type}"


def job_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the address at which the true state of a job is told."""
    return f"{service_url(rest_url, job.service_name, service_type)}/jobs/{job.job_id}"


def listing_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the address of the folder of a job's package, without a final slash."""
    return f"{rest_url}/directories/arcgisoutput/{job.service_name}_{service_type}/{job.job_id}"


def verification_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the address that sends a client to the report on the package."""
    return f"{listing_url(rest_url, job, service_type)}/{VERIFICATION_NAME}"


def package_url(rest_url: str, job: Job, service_type: ServiceType = ServiceType.IMAGE) -> str | None:
    """Return the address that sends a client to a fresh link to the package; None where there is none."""
    return f"{listing_url(rest_url, job, service_type)}/{job.package.name}" if job.package else None
