"""What the routes need of the rest of the program."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from exporttiles.domain.api_key import ApiKey
from exporttiles.domain.export import ExportRequest
from exporttiles.domain.job import Job, Package, PackageFolder
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import TileRange
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.services import ServiceCatalog


class Settings(Protocol):
    """What the routes need of the settings."""

    @property
    def public_base_url(self) -> str:
        """Return scheme and host that clients use; '' takes those of the request."""
        ...

    @property
    def token_security(self) -> bool:
        """Tell whether a request must bring a token."""
        ...


class Runtime(Protocol):
    """Ports and use cases, put together elsewhere."""

    @property
    def settings(self) -> Settings:
        """Return the settings of the process."""
        ...

    @property
    def services(self) -> ServiceCatalog:
        """Return the published services."""
        ...

    @property
    def jobs(self) -> JobTable:
        """Return the jobs."""
        ...

    @property
    def packages(self) -> PackageStore:
        """Return the finished packages."""
        ...

    def authenticate(self, token: str, /) -> ApiKey:
        """Return the key that a token is."""
        ...

    def submit_export(
        self,
        service: ImageService,
        request: ExportRequest,
        parameters: Mapping[str, str],
        owner: str = "",
        /,
        *,
        client_token: str = "",
    ) -> Job:
        """Start an export and return its job."""
        ...

    def estimate_export(
        self, service: ImageService, request: ExportRequest, parameters: Mapping[str, str], owner: str = "", /
    ) -> Job:
        """Estimate an export and return a job that is done."""
        ...

    def cancel_export(self, job_id: str, /) -> Job:
        """Cancel an export and return its job."""
        ...

    def resume_export(self, job_id: str, /) -> Job:
        """Start an export again where it failed, and return its job."""
        ...

    def browse_package(self, job: Job, path: str = "", /) -> Package | PackageFolder | None:
        """Return a file or a folder of what a job delivered, or None where there is neither."""
        ...

    def read_parameters(self, job_id: str, /) -> Mapping[str, str]:
        """Return what a client sent when it submitted a job."""
        ...

    def read_tile(self, service: ImageService, level: int, row: int, column: int, /) -> bytes | None:
        """Return an encoded tile, or None where there is none."""
        ...

    def read_tilemap(self, service: ImageService, tiles: TileRange, /) -> Sequence[int]:
        """Return, row by row, 1 for each tile that exists and 0 for each that does not."""
        ...
