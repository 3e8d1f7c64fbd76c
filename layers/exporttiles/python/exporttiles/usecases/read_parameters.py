"""Read the parameters of a job's request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from exporttiles.domain.errors import JobNotFoundError
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class ReadParameters:
    """Reads the parameters that the client sent."""

    objects: ObjectStore

    def __call__(self, job_id: str) -> Mapping[str, str]:
        """Return the parameters of a job.

        Raises:
            JobNotFoundError: they are no longer stored.
        """
        try:
            parameters: dict[str, str] = json.loads(self.objects.read(JobKeys(job_id).parameters))
        except KeyError as error:
            raise JobNotFoundError(f"What the job {job_id} was asked with is no longer kept.") from error
        return parameters
