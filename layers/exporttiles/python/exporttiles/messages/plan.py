"""What the planner leaves for the distributed Map and its workers."""

from dataclasses import dataclass
from typing import Any

from exporttiles.domain.tiling import BundleIndex


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner hands to the distributed Map: where its items lie, and how many may run at a time."""

    work_items_key: str
    max_concurrency: int

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the state of the workflow carries it."""
        return {"work_items_key": self.work_items_key, "max_concurrency": self.max_concurrency}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Bundles that one worker builds as one fragment; ``number`` counts from 0."""

    job_id: str
    number: int
    bundles: tuple[BundleIndex, ...]
    attempt: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the item as the distributed Map hands it to a worker."""
        bundles = [[bundle.level, bundle.row, bundle.column] for bundle in self.bundles]
        return {"job_id": self.job_id, "attempt": self.attempt, "number": self.number, "bundles": bundles}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "WorkItem":
        """Return the item that the distributed Map handed over."""
        bundles = tuple(BundleIndex(*bundle) for bundle in document["bundles"])
        return cls(document["job_id"], document["number"], bundles, document["attempt"])
