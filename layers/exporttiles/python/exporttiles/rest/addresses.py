"""URLs of services, jobs and packages."""

from dataclasses import dataclass
from urllib.parse import quote

from exporttiles.domain.job import Job
from exporttiles.domain.service import ServiceType
from exporttiles.messages.keys import VERIFICATION_NAME

ROOT = "/arcgis/rest"
"""Path below the host under which every resource lies."""


def rest_url(base_url: str) -> str:
    """Return the URL of `ROOT`.

    Args:
        base_url: scheme and host that clients use.
    """
    return f"{base_url}{ROOT}"


def service_url(rest_url: str, service_name: str, service_type: ServiceType = ServiceType.IMAGE) -> str:
    """Return the URL of a service.

    Args:
        rest_url: scheme, host and `ROOT`.
        service_name: ``Name`` or ``Folder/Name``.
        service_type: the type that the client requested.
    """
    return f"{rest_url}/services/{service_name}/{service_type}"


@dataclass(frozen=True, slots=True)
class JobUrls:
    """URLs of a job and its files.

    Attributes:
        rest_url: scheme, host and `ROOT`.
        service_type: the type that the client requested.
    """

    rest_url: str
    job: Job
    service_type: ServiceType = ServiceType.IMAGE

    @property
    def status(self) -> str:
        """Return the URL of the job, where its true status is reported."""
        return f"{service_url(self.rest_url, self.job.service_name, self.service_type)}/jobs/{self.job.job_id}"

    @property
    def map(self) -> str:
        """Return the URL of the area of the job, and of its progress on a map."""
        return f"{self.status}/map"

    @property
    def files(self) -> str:
        """Return the URL of the folder of the delivered files, without a final slash."""
        folder = f"{self.job.service_name}_{self.service_type}"
        return f"{self.rest_url}/directories/arcgisoutput/{folder}/{self.job.job_id}"

    @property
    def package(self) -> str | None:
        """Return the URL that redirects to a fresh download link; None if the job has no package."""
        return f"{self.files}/{quote(self.job.package.name)}" if self.job.package else None

    @property
    def verification(self) -> str:
        """Return the URL that redirects to the verification report of the package."""
        return f"{self.files}/{VERIFICATION_NAME}"
