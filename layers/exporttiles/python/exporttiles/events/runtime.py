"""What events need of the rest of the program."""

from collections.abc import Mapping
from typing import Protocol

from exporttiles.domain.export import ExportRequest
from exporttiles.domain.job import Job, Series
from exporttiles.domain.service import ImageService
from exporttiles.ports.clock import Clock
from exporttiles.ports.events import Announcer, Inbox, Subscriptions, Timers
from exporttiles.ports.services import ApiKeyStore, ServiceCatalog


class SubmitExport(Protocol):
    """Starts an export."""

    def __call__(
        self,
        service: ImageService,
        request: ExportRequest,
        parameters: Mapping[str, str],
        owner: str,
        /,
        *,
        job_id: str,
        callback_data: str,
        series: Series | None,
    ) -> Job:
        """Start an export, once for a job id, and return its job."""
        ...


class Settings(Protocol):
    """What events need of the settings."""

    @property
    def public_base_url(self) -> str:
        """Return scheme and host that clients use."""
        ...

    @property
    def token_security(self) -> bool:
        """Tell whether a request must be made in the name of an API key."""
        ...


class Runtime(Protocol):
    """Ports and use cases, put together elsewhere."""

    @property
    def settings(self) -> Settings:
        """Return the settings of the process."""
        ...

    @property
    def api_keys(self) -> ApiKeyStore:
        """Return the API keys."""
        ...

    @property
    def services(self) -> ServiceCatalog:
        """Return the published services."""
        ...

    @property
    def inbox(self) -> Inbox:
        """Return where request files are put down."""
        ...

    @property
    def subscriptions(self) -> Subscriptions:
        """Return the exports that are wanted whenever new imagery has come."""
        ...

    @property
    def timers(self) -> Timers:
        """Return what sends events later."""
        ...

    @property
    def announcer(self) -> Announcer:
        """Return what tells the world."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the time."""
        ...

    @property
    def submit_export(self) -> SubmitExport:
        """Return what starts exports."""
        ...
