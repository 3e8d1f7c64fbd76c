"""The object keys of a job in the package bucket."""

from dataclasses import dataclass

CHANGES_NAME = "changes.json"
"""Name of the file beside a delta package that lists its tiles."""

VERIFICATION_NAME = "verification.json"
"""Name of the report on the finished package; listings hide it, because clients download every listed file."""

FOLDERS = ("jobs/", "packages/")
"""The folders of the package bucket: intermediate objects, and delivered files."""


def owner_of(key: str) -> str:
    """Return the id of the job that an object of the package bucket belongs to."""
    return key.split("/", 2)[1]


@dataclass(frozen=True, slots=True)
class JobKeys:
    """The object keys of one job."""

    job_id: str

    @property
    def prefix(self) -> str:
        """Return the folder of the intermediate objects."""
        return f"jobs/{self.job_id}/"

    @property
    def parameters(self) -> str:
        """Return the key of the parameters as the client sent them."""
        return f"{self.prefix}request.json"

    @property
    def export(self) -> str:
        """Return the key of the accepted export."""
        return f"{self.prefix}export.json"

    @property
    def batch(self) -> str:
        """Return the key of the packages of a batch, a JSON array of `BatchItem`."""
        return f"{self.prefix}packages.json"

    @property
    def kept_batch(self) -> str:
        """Return the key of the copy of `batch` that lives as long as the packages."""
        return f"{self.packages}packages.json"

    @property
    def work_items(self) -> str:
        """Return the key of the work items, a JSON array."""
        return f"{self.prefix}work_items.json"

    def places(self, number: int) -> str:
        """Return the key of the tile places of one work item: a JSON array or null for each bundle."""
        return f"{self.prefix}places/{number:05d}.json"

    def remaining_work_items(self, attempt: int) -> str:
        """Return the key of the work items that are left for a later attempt."""
        return f"{self.prefix}work_items-{attempt}.json"

    @property
    def fragments(self) -> str:
        """Return the folder of the fragments."""
        return f"{self.prefix}fragments/"

    def fragment(self, number: int, crc32: int) -> str:
        """Return the key of a fragment, which depends on its work item and its content.

        If a tile changes between two attempts, their fragments have different keys:
        a report always belongs to its own fragment.
        """
        return f"{self.fragments}{number:05d}-{crc32:08x}"

    @property
    def reports(self) -> str:
        """Return the folder of the reports on work items."""
        return f"{self.prefix}reports/"

    def report(self, number: int) -> str:
        """Return the key of the report on a work item."""
        return f"{self.reports}{number:05d}.json"

    def number_of_report(self, key: str) -> int:
        """Return the number of the work item of a report; the inverse of `report`."""
        return int(key.removeprefix(self.reports).removesuffix(".json"))

    def upload(self, attempt: int) -> str:
        """Return the key of the record of the package's upload, which outlives the invocation that began it."""
        return f"{self.prefix}upload-{attempt}.json"

    @property
    def packages(self) -> str:
        """Return the folder of the delivered files: the package, and the files of a dataset."""
        return f"packages/{self.job_id}/"

    def delivered(self, name: str) -> str:
        """Return the key of a delivered file."""
        return f"{self.packages}{name}"

    def is_finished_work(self, key: str) -> bool:
        """Return True if a worker wrote the delivered file: those of a dataset lie in folders."""
        return "/" in key.removeprefix(self.packages)
