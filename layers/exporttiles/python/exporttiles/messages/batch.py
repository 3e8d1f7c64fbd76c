"""The packages of a batch, as the API hands them to the workflow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exporttiles.domain.job import job_id_of
from exporttiles.messages.export import Export


def package_job_id(batch_id: str, name: str) -> str:
    """Return the id of the job that makes a package of a batch."""
    return job_id_of("package", batch_id, name)


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """A request for one package of a batch.

    Attributes:
        export: its title is the value that the batch is divided by.
        parameters: those of an export of this package alone.
    """

    export: Export
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """A package of a batch; its export is stored under the keys of its job.

    Attributes:
        batch_id: job id of the batch.
        name: of the package, without its suffix.
        value: of the attribute that the batch is divided by.
        tile_count: tiles that the package selects.
        expected_bytes: estimated size.
        notes, warnings: as in `ExportRequest`.
        refusal: why the package cannot be exported; '' if it can.
    """

    batch_id: str
    name: str
    value: str
    tile_count: int
    expected_bytes: int
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def job_id(self) -> str:
        """Return the id of the job that makes the package."""
        return package_job_id(self.batch_id, self.name)

    def to_json(self) -> dict[str, Any]:
        """Return the item as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "BatchItem":
        """Return the item of a JSON document."""
        texts = {name: tuple(document[name]) for name in ("notes", "warnings")}
        return cls(**(document | texts))
