"""Packages: joined from parts, delivered by download links."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from exporttiles.domain.job import Package
from exporttiles.domain.parts import Part

BINARY = "application/octet-stream"
"""Media type of packages, and of other files without one of their own."""


class UploadEndedError(Exception):
    """An upload was aborted, or completed to something else than the package."""


class PackageJoiner(Protocol):
    """Joins parts to packages; a package is visible only when complete."""

    def begin(self, key: str) -> str:
        """Begin the upload of an object; return the id of the upload."""
        ...

    def join(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        crc32: int,
        has_time: Callable[[], bool] = ...,
    ) -> bool:
        """Upload the parts that an upload lacks, in any order, then join all of them to one object.

        A call goes on from where an earlier one stopped or was killed. An upload that cannot become the object
        is aborted.

        Args:
            key: of the object.
            upload_id: of `begin`.
            parts: of the whole object, in order, at least one; the same in every call.
            crc32: of the whole object; the store compares it with its bytes.
            has_time: returns False when no further part may be begun. By default there is time for all of them.

        Returns:
            True if the object is complete; False if there was no time for that. Every call uploads a part or
            completes the object.

        Raises:
            UploadEndedError: the upload is not open, and is not the object either.
            DamagedPackageError: the bytes differ; an object may be left.
            PackageError: the parts break the store's rules, or a part is missing.
            SourceError: the store failed or did not answer; a retry may help.
        """
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Abort an upload with all of its parts, if it is open."""
        ...


class PackageStore(PackageJoiner, Protocol):
    """Finished packages and incomplete uploads."""

    def owners(self, beginning: str) -> Iterator[str]:
        """Yield the ids of jobs that own objects, if they begin with a text; an id may be repeated."""
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
