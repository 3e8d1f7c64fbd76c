"""Browse a job: its delivered files, which are a package or a dataset in its folders, and its parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, Package, PackageFolder
from exporttiles.messages.keys import VERIFICATION_NAME, JobKeys
from exporttiles.ports.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class BrowseJob:
    """Finds the delivered files and the request parameters of a job.

    Attributes:
        objects: the package bucket.
    """

    objects: ObjectStore

    def files(self, job: Job, path: str = "") -> Package | PackageFolder | None:
        """Return a file or a folder; None if there is neither.

        The package itself is found without a request to the store.

        Args:
            job: its files are hidden unless it has a package.
            path: below the folder of the job, as in ``World/Layers/conf.xml``; '' for that folder itself.

        Raises:
            SourceError: the store did not answer as it should.
        """
        if job.package is None:
            return None
        if path == job.package.name:
            return job.package
        folder = job.package.key.removesuffix(job.package.name)  # that of another job if its package is reused
        if not path:
            found = self._look(folder)
            others = (name for name in found.files if name not in {job.package.name, VERIFICATION_NAME})
            return PackageFolder((job.package.name, *others), found.folders)  # clients download the first
        if not path.isprintable() or any(part in {"", ".", ".."} for part in path.split("/")):
            return None  # not printable: no valid key; dots would escape from a local folder
        key = f"{folder}{path}"
        (size_bytes,) = self.objects.sizes_bytes([key])
        if size_bytes is not None:
            return Package(key, path.rpartition("/")[2], size_bytes)
        found = self._look(f"{key}/")
        return found if found.files or found.folders else None

    def parameters(self, job_id: str) -> Mapping[str, str]:
        """Return the parameters as the client sent them.

        Raises:
            JobNotFoundError: they are no longer stored.
        """
        try:
            parameters: dict[str, str] = json.loads(self.objects.read(JobKeys(job_id).parameters))
        except KeyError as error:
            raise JobNotFoundError(f"The parameters of job {job_id} are no longer stored.") from error
        return parameters

    def verification(self, job: Job) -> Mapping[str, Any] | None:
        """Return the verification report of the package of a job; None if there is none."""
        found = self.files(job, VERIFICATION_NAME)
        if not isinstance(found, Package):
            return None
        report: dict[str, Any] = json.loads(self.objects.read(found.key))
        return report

    def _look(self, prefix: str) -> PackageFolder:
        found = self.objects.list_folder(prefix)
        return PackageFolder(
            tuple(stored.key.removeprefix(prefix) for stored in found.objects),
            tuple(folder.removeprefix(prefix).rstrip("/") for folder in found.folders),
        )
