"""Look at what a job delivered: one package, or a dataset in its folders."""

from dataclasses import dataclass

from exporttiles.domain.job import Job, Package, PackageFolder
from exporttiles.messages.keys import VERIFICATION_NAME
from exporttiles.ports.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class BrowsePackage:
    """Finds the files that a finished job delivered.

    Attributes:
        objects: the package bucket.
    """

    objects: ObjectStore

    def __call__(self, job: Job, path: str = "") -> Package | PackageFolder | None:
        """Return a file or a folder; None where there is neither.

        The package itself is known without asking the store.

        Args:
            job: nothing is shown of one that has no package.
            path: below the folder of the job, as in ``World/Layers/conf.xml``; '' for that folder itself.

        Raises:
            SourceError: the store did not answer as it should.
        """
        if job.package is None:
            return None
        if path == job.package.name:
            return job.package
        folder = job.package.key.removesuffix(job.package.name)  # of another job, if its package is reused
        if not path:
            found = self._look(folder)
            others = (name for name in found.files if name not in {job.package.name, VERIFICATION_NAME})
            return PackageFolder((job.package.name, *others), found.folders)  # clients take the first
        if not path.isprintable() or any(part in {"", ".", ".."} for part in path.split("/")):
            return None  # no store has keys of the first kind; a folder on disk would be left through the others
        key = f"{folder}{path}"
        (size_bytes,) = self.objects.sizes_bytes([key])
        if size_bytes is not None:
            return Package(key, path.rpartition("/")[2], size_bytes)
        found = self._look(f"{key}/")
        return found if found.files or found.folders else None

    def _look(self, prefix: str) -> PackageFolder:
        found = self.objects.list_folder(prefix)
        return PackageFolder(
            tuple(stored.key.removeprefix(prefix) for stored in found.objects),
            tuple(folder.removeprefix(prefix).rstrip("/") for folder in found.folders),
        )
