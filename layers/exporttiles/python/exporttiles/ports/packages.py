"""Packages: joined from parts, delivered by download links."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from exporttiles.domain.job import Package
from exporttiles.domain.parts import Part


class PackageJoiner(Protocol):
    """Joins parts to packages; a package is visible only when complete."""

    def join(self, key: str, parts: Iterable[Part], crc32: int) -> None:
        """Join parts to one object, in order; nothing is visible until it is complete.

        Nothing is left behind when parts are refused.

        Args:
            key: of the object.
            parts: at least one.
            crc32: of the whole object; the store compares it with its bytes.

        Raises:
            DamagedPackageError: the bytes differ; an object may be left.
            PackageError: the parts break the store's rules, or a part is missing.
            SourceError: the store failed or did not answer; a retry may help.
        """
        ...


class PackageStore(PackageJoiner, Protocol):
    """Finished packages and incomplete uploads."""

    def owners(self, beginning: str) -> Iterator[str]:
        """Yield the ids with a prefix of all jobs that own objects; an id may be repeated."""
        ...

    def abort_uploads(self, prefix: str, is_unwanted: Callable[[str], bool] = ...) -> int:
        """Abort incomplete uploads; return how many.

        Args:
            prefix: of their keys; '' for all.
            is_unwanted: takes the key of an upload; returns True to abort it. By default all are.
        """
        ...

    def download_url(self, package: Package) -> str:
        """Return a presigned link, which works for a short time without credentials."""
        ...
