"""Every error that is raised on purpose.

A class name that appears in the state machine's ``Retry`` or ``Catch`` is the
contract between a function and the workflow.
"""


class ExportTilesError(Exception):
    """Base of every error raised on purpose."""


class RequestError(ExportTilesError):
    """The caller can mend it; the message is shown to them as it is.

    Attributes:
        parameter: the one that cannot be used, as the caller spells it; it
            begins the message. '' where no single parameter is at fault.
    """

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
        value: what was sent; cut short when it is long.
        legal: what would have been accepted, in words.
    """

    def __init__(self, name: str, value: object, legal: str) -> None:
        shown = str(value)
        if len(shown) > 80:  # an area of interest can be megabytes long
            shown = f"{shown[:80]}... ({len(shown)} characters)"
        super().__init__(f"'{shown}' cannot be used. {legal}", name)


class AreaError(RequestError):
    """An area cannot be used: empty, not finite, or too complex."""


class UnknownSpatialReferenceError(RequestError):
    """No coordinate system is known under this id or text."""


class ServiceNotFoundError(RequestError):
    """No image service has this name."""


class JobNotFoundError(RequestError):
    """No job has this id, or it has expired."""


class JobStateError(RequestError):
    """The job is in a state that does not allow what was asked."""


class InvalidTokenError(RequestError):
    """The token is no key, or one that was revoked or has expired."""


class ExportCancelledError(ExportTilesError):
    """The job was cancelled; work on it stops here."""


class SourceError(ExportTilesError):
    """The tile cache cannot be read; trying again may help."""


class DamagedCacheError(ExportTilesError):
    """The tile cache holds bytes that are not what they claim to be."""


class EmptyExportError(ExportTilesError):
    """None of the selected tiles exists in the cache."""


class AnnouncementError(ExportTilesError):
    """An event could not be sent; trying again may help."""


class PackageError(ExportTilesError):
    """The package cannot be built or does not hold what it should."""


class DamagedPackageError(PackageError):
    """The finished package is not what was put together; joining it again may help."""
