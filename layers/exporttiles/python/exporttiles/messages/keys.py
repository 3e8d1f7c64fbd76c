"""The keys of all that belongs to a job, in the package bucket."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from exporttiles.messages.fragment_report import MemberReport

CHANGES_NAME = "changes.json"
"""Name of the file beside a delta that lists its tiles."""

VERIFICATION_NAME = "verification.json"
"""Name of the report on the finished package; no listing shows it, or clients would take it for one."""

FOLDERS = ("jobs/", "packages/")
"""What the package bucket holds: what only the steps need, and what is delivered."""


def owner_of(key: str) -> str:
    """Return the id of the job that an object of the package bucket belongs to."""
    return key.split("/", 2)[1]


@dataclass(frozen=True, slots=True)
class JobKeys:
    """The keys of everything that belongs to a job."""

    job_id: str

    @property
    def prefix(self) -> str:
        """Return the folder of what only the steps need."""
        return f"jobs/{self.job_id}/"

    @property
    def parameters(self) -> str:
        """Return the key of the parameters as the client sent them."""
        return f"{self.prefix}request.json"

    @property
    def export(self) -> str:
        """Return the key of the export as it was understood."""
        return f"{self.prefix}export.json"

    @property
    def work_items(self) -> str:
        """Return the key of the work items, a JSON array."""
        return f"{self.prefix}work_items.json"

    def places(self, number: int) -> str:
        """Return the key of the places of one work item's tiles: for each bundle a JSON array, or null."""
        return f"{self.prefix}places/{number:05d}.json"

    def remaining_work_items(self, attempt: int) -> str:
        """Return the key of the work items that are left for a later attempt."""
        return f"{self.prefix}work_items-{attempt}.json"

    @property
    def fragments(self) -> str:
        """Return the folder of the fragments."""
        return f"{self.prefix}fragments/"

    def fragment(self, number: int, members: Sequence[MemberReport]) -> str:
        """Return the key of a fragment of the package, by its work item and what it holds.

        A tile that changes between two attempts makes another fragment, not
        another content of the same: a report always speaks of its own.
        """
        content = json.dumps([(member.name, member.crc32) for member in members])
        return f"{self.fragments}{number:05d}-{crc32(content.encode()):08x}"

    def report(self, number: int) -> str:
        """Return the key of one work item's report."""
        return f"{self.prefix}reports/{number:05d}.json"

    @property
    def packages(self) -> str:
        """Return the folder of what is delivered: the package, and the files of a dataset."""
        return f"packages/{self.job_id}/"

    def delivered(self, name: str) -> str:
        """Return the key of a file that is delivered."""
        return f"{self.packages}{name}"

    def is_finished_work(self, key: str) -> bool:
        """Tell whether a delivered file is one that the workers of a dataset write: those lie in folders."""
        return "/" in key.removeprefix(self.packages)
