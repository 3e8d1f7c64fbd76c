"""What one step of an export leaves for the next.

Only a work item travels in the state of the workflow; everything else lies in
the package bucket under the job's prefix.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from zlib import crc32

from exporttiles.domain.changes import ChangedBlock
from exporttiles.domain.cost import Use
from exporttiles.domain.errors import SourceError
from exporttiles.domain.export import ExportRequest, StorageFormat
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.service_descriptor import read_service, write_service
from exporttiles.formats.zip_archive import ZipMember, local_header

CHANGES_NAME = "changes.json"
"""Name of the file beside a delta that lists its tiles."""

VERIFICATION_NAME = "verification.json"
"""Name of the report on the finished package; no listing shows it, or clients would take it for one."""

EXAMPLES = 3
"""Flawed tiles that a job names; the others are only counted."""


def read_document(body: bytes) -> Any:
    """Return what a JSON document of a job holds.

    Raises:
        SourceError: it is none; reading it again may help.
    """
    try:
        return json.loads(body)
    except ValueError as error:
        raise SourceError("A document of the job is not what was written.") from error


@dataclass(frozen=True, slots=True)
class MemberReport:
    """One file of a fragment.

    Attributes:
        name: in the package.
        header_offset: where its local header begins in the fragment.
        size_bytes, crc32: of the file itself.
    """

    name: str
    header_offset: int
    size_bytes: int
    crc32: int


FOLDERS = ("jobs/", "packages/")
"""What the package bucket holds: what only the steps need, and what is delivered."""


def owner_of(key: str) -> str:
    """Return the id of the job that an object of the package bucket belongs to."""
    return key.split("/", 2)[1]


def execution_name(job_id: str, attempt: int) -> str:
    """Return the name of the execution of an attempt: AWS keeps a name taken for 90 days."""
    return job_id if attempt == 1 else f"{job_id}-{attempt}"


def read_execution_name(name: str) -> tuple[str, int]:
    """Return the id of the job and the attempt that an execution is about."""
    job_id, _, attempt = name.partition("-")
    return job_id, int(attempt or 1)


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

    def rest_of_work_items(self, attempt: int) -> str:
        """Return the key of the work items that a later attempt still has to do."""
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


@dataclass(frozen=True, slots=True)
class Export:
    """A service as it was when the export was accepted, and what was asked of it."""

    service: ImageService
    request: ExportRequest

    def to_json(self) -> bytes:
        """Return the export as a JSON document."""
        from exporttiles.formats.area_json import write_area

        request = self.request
        document = {
            "service": write_service(self.service),
            "levels": request.levels,
            "area": write_area(request.area),
            "tilePackage": request.tile_package,
            "storageFormat": str(request.storage_format),
            "compressionQuality": request.compression_quality,
            "packageName": request.package_name,
            "since": request.since.isoformat() if request.since else None,
        }
        return json.dumps(document).encode()

    @property
    def reuse_key(self) -> str:
        """Return the key at which an equal export of a cache that was not published anew finds this one.

        Who asks and what they may is no part of it.
        """
        document = json.loads(self.to_json())
        del document["service"]["maxExportTilesCount"], document["service"]["exportTilesAllowed"]
        return f"reuse/{sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()}.json"

    @classmethod
    def from_json(cls, body: bytes) -> "Export":
        """Return the export of a JSON document."""
        from exporttiles.formats.area_json import read_area

        document = read_document(body)
        service, since = read_service(document["service"]), document.get("since")
        request = ExportRequest(
            service_name=service.name,
            levels=tuple(document["levels"]),
            area=read_area(document["area"]),
            tile_package=document["tilePackage"],
            storage_format=StorageFormat(document["storageFormat"]),
            compression_quality=document["compressionQuality"],
            package_name=document.get("packageName", ""),
            since=datetime.fromisoformat(since) if since else None,
        )
        return cls(service, request)


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


@dataclass(frozen=True, slots=True)
class FlawedTiles:
    """Tiles that are not as they should be: how many, and the first few with their places and reasons."""

    count: int
    examples: tuple[str, ...]

    @classmethod
    def of(cls, flaws: Sequence[str]) -> "FlawedTiles":
        """Return flaws, each told as a place and a reason."""
        return cls(len(flaws), tuple(flaws[:EXAMPLES]))

    @classmethod
    def joined(cls, several: Sequence["FlawedTiles"]) -> "FlawedTiles":
        """Return the flaws of several reports as those of one."""
        examples = [example for each in several for example in each.examples]
        return cls(sum(each.count for each in several), tuple(examples[:EXAMPLES]))

    def to_json(self) -> list[Any]:
        """Return count and examples."""
        return [self.count, *self.examples]

    @classmethod
    def from_json(cls, document: list[Any]) -> "FlawedTiles":
        """Return what `to_json` wrote."""
        count, *examples = document
        return cls(count, tuple(examples))


@dataclass(frozen=True, slots=True)
class FragmentReport:
    """What a worker did: the packer needs nothing else to build the package.

    Attributes:
        members: the files in the fragment, in their order.
        tile_counts: level -> tiles in the fragment; levels without any do not appear.
        selected_count: tiles that the request selects in these bundles.
        missing: selected tiles that the cache does not have.
        left_out: tiles that are no image of the cache's format; to the client
            they are as good as missing.
        unchanged: tiles that could not be recompressed and were left as they are.
        source_bytes: tiles as they lie in the cache, before recompression.
        used: what it took, for the cost of the job.
        up_to_date_count: of a delta, tiles that exist and have not changed.
        changes: of a delta, where the tiles in the fragment lie.
    """

    number: int
    fragment_bytes: int
    members: tuple[MemberReport, ...]
    tile_counts: Mapping[int, int]
    selected_count: int
    missing: FlawedTiles
    left_out: FlawedTiles
    unchanged: FlawedTiles
    source_bytes: int
    used: Use
    up_to_date_count: int = 0
    changes: tuple[ChangedBlock, ...] = ()

    @property
    def tile_count(self) -> int:
        """Return the number of tiles in the fragment."""
        return sum(self.tile_counts.values())

    def contents(self, fragment: bytes) -> Iterator[tuple[str, memoryview]]:
        """Yield names and bytes of the files in the fragment, checked.

        Raises:
            SourceError: it is not the fragment that was written; reading it again may help.
        """
        view = memoryview(fragment)
        for member in self.members:
            header = local_header(ZipMember(member.name, member.size_bytes, member.crc32))
            start = member.header_offset + len(header)
            content = view[start : start + member.size_bytes]
            if view[member.header_offset : start] != header or crc32(content) != member.crc32:
                raise SourceError(f"{member.name} in fragment {self.number} is not what was written.")
            yield member.name, content

    def to_json(self) -> bytes:
        """Return the report as a JSON document."""
        document = {
            "number": self.number,
            "fragment_bytes": self.fragment_bytes,
            "members": [[m.name, m.header_offset, m.size_bytes, m.crc32] for m in self.members],
            "tile_counts": list(self.tile_counts.items()),
            "selected_count": self.selected_count,
            "missing": self.missing.to_json(),
            "left_out": self.left_out.to_json(),
            "unchanged": self.unchanged.to_json(),
            "source_bytes": self.source_bytes,
            "used": astuple(self.used),
            "up_to_date_count": self.up_to_date_count,
            "changes": [[*astuple(block.tiles), block.tile_count] for block in self.changes],
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "FragmentReport":
        """Return the report of a JSON document."""
        document = read_document(body)
        document["members"] = tuple(MemberReport(*member) for member in document["members"])
        document["tile_counts"] = dict(document["tile_counts"])
        document["changes"] = tuple(
            ChangedBlock(TileRange(*places), tile_count) for *places, tile_count in document["changes"]
        )
        document["used"] = Use(*document["used"])
        document |= {name: FlawedTiles.from_json(document[name]) for name in ("missing", "left_out", "unchanged")}
        return cls(**document)


@dataclass(frozen=True, slots=True)
class PackedPackage:
    """What the packer hands to CloseJob through the state of the workflow.

    A delta of no tiles is no file: its key is empty and so is its size.
    """

    key: str
    name: str
    size_bytes: int
    crc32: int
    tile_count: int
    missing_count: int
    left_out: FlawedTiles
    unchanged: FlawedTiles
    source_bytes: int
    used: Use
    work_items: int
    up_to_date_count: int = 0
    at_once: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the members as JSON."""
        members = {name: getattr(self, name) for name in self.__slots__}
        flawed = {"left_out": self.left_out.to_json(), "unchanged": self.unchanged.to_json()}
        return members | flawed | {"used": astuple(self.used)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "PackedPackage":
        """Return what the packer handed over."""
        flawed = {name: FlawedTiles.from_json(document[name]) for name in ("left_out", "unchanged")}
        return cls(**document | flawed | {"used": Use(*document["used"])})


_TIMEOUTS = {"Sandbox.Timedout", "States.Timeout"}
_STOPPED = {"Lambda.Unknown", "Runtime.ExitError", "States.TaskFailed"}
"""How the workflow calls a function that could not say what became of it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step failed: the name of the error and its text."""

    error: str
    cause: str

    @property
    def reason(self) -> str:
        """Return the reason in words for the person who waits.

        Of a function that was stopped the workflow knows little: Lambda names
        the signal, and Step Functions calls all of it unknown.
        """
        if "signal: killed" in self.cause:
            return "a function ran out of memory. Deploy with a larger WorkerMemory."
        if self.error in _TIMEOUTS or "Task timed out after" in self.cause:
            return "a function took longer than allowed. Export a smaller area."
        if self.error in _STOPPED:
            return "a function was stopped before its end: it took too long, or more memory than its WorkerMemory."
        return self.cause or self.error

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Failure":
        """Return the failure that a ``Catch`` or a status event tells of.

        The cause of a failed Lambda function is the JSON that Lambda made of
        the exception; its message is what people can use.
        """
        error = document.get("Error") or document.get("error") or ""
        cause = document.get("Cause") or document.get("cause") or ""
        with suppress(ValueError, KeyError, TypeError):
            cause = json.loads(cause)["errorMessage"]
        return cls(str(error), str(cause))
