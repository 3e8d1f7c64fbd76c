"""List the packages of a batch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus, MessageKind
from exporttiles.messages.batch import BatchItem
from exporttiles.messages.documents import read_document
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectReader


@dataclass(frozen=True, slots=True)
class BatchPackage:
    """A package of a batch, and the job that makes it.

    Attributes:
        job: None if its turn has not come.
    """

    item: BatchItem
    job: Job | None

    @property
    def is_finished(self) -> bool:
        """Return True if the package can be downloaded."""
        return self.job is not None and self.job.status is JobStatus.SUCCEEDED

    @property
    def is_open(self) -> bool:
        """Return True if its job has not ended."""
        return self.job is not None and not self.job.status.is_final

    @property
    def failure(self) -> str:
        """Return why there is no package, in words; '' if it is finished or holds no tile that has changed."""
        if self.job is None:
            return "It was not begun."
        if self.is_open:
            return "It was not finished."
        if self.is_finished or self.job.is_up_to_date:
            return ""
        errors = [message.text for message in self.job.messages if message.kind is MessageKind.ERROR]
        return errors[-1] if errors else f"It is {self.job.status}."


@dataclass(frozen=True, slots=True)
class ListPackages:
    """Finds the packages of a batch and their jobs.

    Attributes:
        objects: the package bucket.
    """

    jobs: JobTable
    objects: ObjectReader

    def __call__(self, batch_id: str) -> Sequence[BatchPackage]:
        """Return all packages in the order of the request.

        Raises:
            JobNotFoundError: the list is no longer stored.
        """
        items = [BatchItem.from_json(document) for document in read_document(self._read(batch_id))]
        jobs = self.jobs.find([item.job_id for item in items])
        return [BatchPackage(item, jobs.get(item.job_id)) for item in items]

    def _read(self, batch_id: str) -> bytes:
        keys = JobKeys(batch_id)
        for key in (keys.batch, keys.kept_batch):
            with suppress(KeyError):
                return self.objects.read(key)
        raise JobNotFoundError(f"The packages of job {batch_id} are no longer stored.")
