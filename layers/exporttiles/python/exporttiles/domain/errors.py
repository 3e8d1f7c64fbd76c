"""Every error that is raised on purpose, and what its class decides: HTTP status, retry and resume.

Step Functions knows errors by their class names: the lists of names in the state
machine's ``Retry`` must agree with `is_retryable`, which a test holds.
"""

from collections.abc import Iterator
from typing import ClassVar


class ExportTilesError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        http_status: of a page or file that is refused, and the code in an error document (498, 499: ArcGIS).
        is_retryable: the workflow may repeat the step that failed.
        is_resumable: a client may resume the job that failed.
    """

    http_status: ClassVar[int] = 500
    is_retryable: ClassVar[bool] = True
    is_resumable: ClassVar[bool] = True


class RequestError(ExportTilesError):
    """The request is at fault; the message is shown to the caller unchanged.

    Attributes:
        parameter: name of the unusable parameter, as the caller spells it; it
            begins the message. '' where no single parameter is at fault.
    """

    http_status = 400

    def __init__(self, text: str, parameter: str = "") -> None:
        super().__init__(text)
        self.parameter = parameter

    def __str__(self) -> str:
        """Return the message, after the parameter's name."""
        text = super().__str__()
        return f"{self.parameter}: {text}" if self.parameter else text


class InvalidParameterError(RequestError):
    """A request parameter cannot be used.

    Args:
        name: the parameter as the caller spells it.
        value: of the parameter; cut short if it is long.
        legal: description of the accepted values.
    """

    def __init__(self, name: str, value: object, legal: str) -> None:
        shown = str(value)
        if len(shown) > 80:  # an area of interest can be megabytes long
            shown = f"{shown[:80]}... ({len(shown)} characters)"
        super().__init__(f"'{shown}' cannot be used. {legal}", name)


class AreaError(RequestError):
    """An area cannot be used: empty, not finite, or too complex."""

    is_retryable = False
    is_resumable = False


class UnknownSpatialReferenceError(RequestError):
    """No coordinate system is known under this id or text."""


class ServiceNotFoundError(RequestError):
    """No image service has this name."""

    http_status = 404


class JobNotFoundError(RequestError):
    """No job has this id, or it has expired."""


class JobStateError(RequestError):
    """The state of the job does not allow the operation."""


class InvalidTokenError(RequestError):
    """The token is not an API key, or was revoked, or has expired."""

    http_status = 498


class QuotaExceededError(RequestError):
    """The caller has too many open jobs, or has selected too many tiles today."""

    http_status = 429


class ExportCancelledError(ExportTilesError):
    """The job was cancelled; work on it stops here."""

    is_retryable = False


class SourceError(ExportTilesError):
    """The tile cache cannot be read; trying again may help."""


class ReplacedError(SourceError):
    """An object of the tile cache was replaced since it was opened; opening it again helps."""

    def __init__(self, key: str) -> None:
        super().__init__(f"'{key}' was replaced while it was read.")
        self.key = key


class SourceDeniedError(SourceError):
    """The tile cache may not be read; trying again may help, as rights take some seconds to come into force."""


class DamagedCacheError(ExportTilesError):
    """The tile cache holds damaged or invalid data."""

    is_retryable = False


class EmptyExportError(ExportTilesError):
    """None of the selected tiles exists in the cache."""

    is_retryable = False
    is_resumable = False


class AnnouncementError(ExportTilesError):
    """An event could not be sent; trying again may help."""


class PackageError(ExportTilesError):
    """The package cannot be built, or its contents are wrong."""

    is_retryable = False


class DamagedPackageError(PackageError):
    """The package differs from its parts. A retry may help; a resume does not, as the parts may be damaged."""

    is_retryable = True
    is_resumable = False


def error_classes(base: type[ExportTilesError] = ExportTilesError) -> Iterator[type[ExportTilesError]]:
    """Yield an error class and all its subclasses."""
    yield base
    for error_class in base.__subclasses__():
        yield from error_classes(error_class)
