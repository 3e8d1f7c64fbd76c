"""Packages: made of parts, delivered by links."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from exporttiles.domain.job import Package
from exporttiles.domain.parts import Part


class PackageJoiner(Protocol):
    """Makes packages of parts, visible only when whole."""

    def join(self, key: str, parts: Iterable[Part], crc32: int) -> None:
        """Make one object of parts, in order; nothing is visible until all is there.

        When parts are refused, nothing is left behind.

        Args:
            key: of the object.
            parts: at least one.
            crc32: of the whole object; the store compares it with the bytes that it has.

        Raises:
            DamagedPackageError: the bytes are others; an object may be left.
            PackageError: the parts break the store's rules, or one is gone.
            SourceError: the store did not answer as it should; trying again may help.
        """
        ...


class PackageStore(PackageJoiner, Protocol):
    """Finished packages, and those that are being made."""

    def owners(self, beginning: str) -> Iterator[str]:
        """Yield the ids of the jobs that own an object, of those that begin so; some come twice."""
        ...

    def abort_uploads(self, prefix: str, is_unwanted: Callable[[str], bool] = ...) -> int:
        """End uploads that are not complete; return how many.

        Args:
            prefix: of their keys; '' for all.
            is_unwanted: tells by its key whether an upload is to end; by default each is.
        """
        ...

    def download_url(self, package: Package) -> str:
        """Return a link that works without credentials for a short time."""
        ...
