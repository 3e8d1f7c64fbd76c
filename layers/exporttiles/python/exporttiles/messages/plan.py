"""The plan of an export, for the distributed Map and its workers."""

from dataclasses import astuple, dataclass, field
from typing import Any

from exporttiles.domain.cost import Usage
from exporttiles.domain.tiling import BundleIndex


@dataclass(frozen=True, slots=True)
class Plan:
    """The key of the work items, and how many may run at a time."""

    work_items_key: str
    max_concurrency: int

    def to_json(self) -> dict[str, Any]:
        """Return the plan as part of the workflow's state."""
        return {"work_items_key": self.work_items_key, "max_concurrency": self.max_concurrency}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Bundles that one worker writes as one fragment.

    Attributes:
        number: counts from 0.
        absent_count: this item's share of the selected tiles in bundles that do not
            exist; all items together count all selected tiles.
        has_places: the places of the existing tiles are known, and stored at `JobKeys.places`.
        used: usage of the planner; only in the first item.
    """

    job_id: str
    number: int
    bundles: tuple[BundleIndex, ...]
    attempt: int = 1
    absent_count: int = 0
    has_places: bool = False
    used: Usage = field(default_factory=Usage)

    def to_json(self) -> dict[str, Any]:
        """Return the input of a worker."""
        bundles = [[bundle.level, bundle.row, bundle.column] for bundle in self.bundles]
        item: dict[str, Any] = {
            "job_id": self.job_id,
            "attempt": self.attempt,
            "number": self.number,
            "bundles": bundles,
        }
        more = {
            "absent_count": self.absent_count,
            "has_places": self.has_places,
            "used": self.used != Usage() and astuple(self.used),
        }
        return item | {name: value for name, value in more.items() if value}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "WorkItem":
        """Return the item in the input of a worker."""
        bundles = tuple(BundleIndex(*bundle) for bundle in document["bundles"])
        more = {name: document[name] for name in ("absent_count", "has_places") if name in document}
        used = Usage(*document.get("used", ()))
        return cls(document["job_id"], document["number"], bundles, document["attempt"], **more, used=used)
