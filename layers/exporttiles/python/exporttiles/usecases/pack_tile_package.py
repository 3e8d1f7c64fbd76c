"""Join the fragments of an export into one file: a tile package, or a dataset in an archive.

Tiles are not read here: large fragments become parts of the package by a copy in the
store; only small ones, the documents and the directory are read into memory.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any
from zlib import crc32

from exporttiles.domain.cost import Usage
from exporttiles.domain.errors import EmptyExportError, ExportCancelledError, PackageError, SourceError
from exporttiles.domain.job import Job, JobStatus, Package
from exporttiles.domain.parts import MIN_PART_BYTES, CopiedPart, Part, WrittenPart
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.zip_writer import ZipMember, archive_crc32, central_directory, local_header
from exporttiles.formats.packages.outputs import Contents, Output, output_of
from exporttiles.messages.documents import read_document
from exporttiles.messages.export import Export
from exporttiles.messages.flawed_tiles import FlawedTiles
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.keys import CHANGES_NAME, JobKeys
from exporttiles.messages.package_upload import PackageUpload
from exporttiles.messages.packed_package import PackedPackage, PartlyPacked
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageJoiner, UploadEndedError
from exporttiles.ports.process import UsageMeter
from exporttiles.ports.tiles import TileSources
from exporttiles.usecases.planned_bundles import no_tile_exists
from exporttiles.usecases.read_overview import read_overview
from exporttiles.usecases.verify_package import VerifyPackage

_WRITTEN_PART_BYTES = 8 * MIN_PART_BYTES

_FINISHING_SECONDS = 300
"""Time of an invocation that is kept for what it has begun: parts on their way (5 GiB take 107 s at
`COPY_BYTES_PER_SECOND`), or completing the upload, which may take minutes by the reference of S3, and verifying."""


@dataclass(frozen=True, slots=True)
class PackTilePackage:
    """Builds the package of a job from the reports of its workers.

    Attributes:
        objects: the package bucket, with fragments and reports.
        packages: joins parts in the same bucket.
        verify: checks the finished package.
    """

    jobs: JobTable
    objects: ObjectStore
    packages: PackageJoiner
    sources: TileSources
    verify: VerifyPackage
    meter: UsageMeter

    def __call__(self, job_id: str) -> PackedPackage:
        """Write the package and verify it, without a limit of time.

        Returns:
            The package; one without a file if no tile of a delta has changed.

        Raises:
            ExportTilesError: as `go_on`.
        """
        packed = self.go_on(job_id, PartlyPacked(), lambda: math.inf)
        while isinstance(packed, PartlyPacked):
            packed = self.go_on(job_id, packed, lambda: math.inf)
        return packed

    def go_on(
        self, job_id: str, before: PartlyPacked, remaining_seconds: Callable[[], float]
    ) -> PackedPackage | PartlyPacked:
        """Write as much of the package as there is time for; verify it when it is complete.

        Args:
            job_id: the job.
            before: of the invocation before this one, if it succeeded; parts are not lost if it did not.
            remaining_seconds: returns how long this invocation may still run.

        Raises:
            ExportCancelledError: the job was cancelled or has ended.
            EmptyExportError: none of the selected tiles exists.
            PackageError: a report is missing, or the counts do not add up.
            DamagedPackageError: the finished package differs from its parts.
            SourceError: the store failed; a retry goes on from there.
        """
        job = self.jobs.get(job_id)
        if job.status is not JobStatus.EXECUTING:
            raise ExportCancelledError(job_id)
        meter, keys = self.meter.snapshot(), JobKeys(job_id)
        export = Export.from_json(self.objects.read(keys.export))
        items = read_document(self.objects.read(keys.work_items))
        reports = self._reports(keys, len(items))
        _check_counts(job, export, reports)
        if not any(report.tile_count for report in reports):
            return _packed(job, export, reports, Package("", "", 0), 0)

        # Parts that the store can copy come first; small fragments follow in the last part.
        copied = [report for report in reports if report.fragment_bytes >= MIN_PART_BYTES]
        small = [report for report in reports if 0 < report.fragment_bytes < MIN_PART_BYTES]
        output = output_of(export.service, export.request)
        contents = self._contents(job_id, export, items, reports)
        file_name = _file_name(export, output)
        key, record_key = keys.delivered(file_name), keys.upload(job.attempt)
        upload = self._upload(key, record_key, partial(output.documents, contents))
        documents = upload.documents
        members, end = _members(copied, documents, small)
        directory = central_directory(members)
        checksum = archive_crc32(members, directory)

        parts = list(self._parts(keys, copied, documents, small, directory))
        packed = _packed(job, export, reports, Package(key, file_name, end + len(directory)), checksum)
        is_complete = False
        try:
            is_complete = self.packages.join(
                key, upload.upload_id, parts, checksum, lambda: remaining_seconds() > _FINISHING_SECONDS
            )
            if is_complete:
                if output.is_folder:  # beside the bundles that the workers wrote
                    for name, body in documents.items():
                        self.objects.write(keys.delivered(name), body)
                if export.request.since:
                    self.objects.write(keys.delivered(CHANGES_NAME), _changes(export, reports))
                self.verify(job_id, packed, output, [member for member, _ in members], reports)
        except UploadEndedError as error:
            self.objects.delete([record_key])  # a retry begins another upload
            raise SourceError("The upload of the package was ended by the store or by another process.") from error
        except PackageError:
            self.objects.delete([record_key])
            raise
        finally:
            self._delete_if_late(job_id, key, upload)
        so_far = PartlyPacked(before.used + (self.meter.snapshot() - meter), before.packers + 1)
        if not is_complete:
            return so_far
        warnings = tuple(output.warnings(contents))
        return replace(packed, used=packed.used + so_far.used, packers=so_far.packers, warnings=warnings)

    def _upload(self, key: str, record_key: str, documents: Callable[[], Mapping[str, bytes]]) -> PackageUpload:
        """Return the upload that an earlier invocation began, or begin it."""
        try:
            return PackageUpload.from_json(self.objects.read(record_key))
        except KeyError:
            upload = PackageUpload(self.packages.begin(key), documents())
        if self.objects.create(record_key, upload.to_json()):
            return upload
        first = PackageUpload.from_json(self.objects.read(record_key))
        if first.upload_id != upload.upload_id:  # another packer was quicker
            self.packages.abort(key, upload.upload_id)
        return first

    def _delete_if_late(self, job_id: str, key: str, upload: PackageUpload) -> None:
        """Delete what was written after the job had ended, and perhaps after CloseJob had cleaned up."""
        job = self.jobs.get(job_id)
        if job.status.is_final and job.status is not JobStatus.SUCCEEDED:
            self.packages.abort(key, upload.upload_id)
            keys = JobKeys(job_id)
            self.objects.delete(
                stored.key
                for stored in self.objects.list(keys.packages)
                if not (job.resumable_until and keys.is_finished_work(stored.key))
            )
            raise ExportCancelledError(job_id)

    def _reports(self, keys: JobKeys, count: int) -> list[FragmentReport]:
        """Return the report of every work item, in order."""
        bodies = self.objects.read_many([keys.report(number) for number in range(count)])
        reports = []
        for number, body in enumerate(bodies):
            if body is None:
                raise PackageError(f"Work item {number} of {count} left no report.")
            reports.append(FragmentReport.from_json(bytes(body)))
        return reports

    def _contents(
        self, job_id: str, export: Export, items: Sequence[dict[str, Any]], reports: Sequence[FragmentReport]
    ) -> Contents:
        levels = sorted({level for report in reports for level in report.tile_counts})
        service = export.service
        extent = export.request.area.extent.intersection(service.full_extent).intersection(service.tiling_scheme.extent)
        return Contents(
            job_id, levels, extent, partial(read_overview, self.objects, self.sources, export, items, levels)
        )

    def _parts(
        self,
        keys: JobKeys,
        copied: Sequence[FragmentReport],
        documents: Mapping[str, bytes],
        small: Sequence[FragmentReport],
        directory: bytes,
    ) -> Iterator[Part]:
        """Yield the parts of the package; those that are not copied are read when their turn comes."""
        for report in copied:
            yield CopiedPart(keys.fragment(report.number, report.members), report.fragment_bytes)
        tail = [WrittenPart.of(local_header(_document(name, body)) + body) for name, body in documents.items()]
        tail_bytes = sum(piece.size_bytes for piece in tail)
        for report in small:
            tail.append(WrittenPart(report.fragment_bytes, partial(self._fragment, keys, report)))
            tail_bytes += report.fragment_bytes
            if tail_bytes >= _WRITTEN_PART_BYTES:
                yield _joined(tail)
                tail, tail_bytes = [], 0
        yield _joined([*tail, WrittenPart.of(directory)])

    def _fragment(self, keys: JobKeys, report: FragmentReport) -> bytes:
        fragment = self.objects.read(keys.fragment(report.number, report.members))
        report.check(fragment)
        return fragment


def _joined(pieces: Sequence[WrittenPart]) -> WrittenPart:
    """Return one part of several."""
    return WrittenPart(sum(piece.size_bytes for piece in pieces), lambda: b"".join(piece.read() for piece in pieces))


def _check_counts(job: Job, export: Export, reports: Sequence[FragmentReport]) -> None:
    selected_count = sum(report.selected_count for report in reports)
    if selected_count != job.tile_count:
        looked_for = counted(selected_count, "tile was", "tiles were")
        raise PackageError(f"{looked_for} looked for, but {counted(job.tile_count, 'is', 'are')} selected.")
    if not any(report.tile_count or report.up_to_date_count for report in reports):
        service = export.service
        raise EmptyExportError(no_tile_exists(service, selected_count))


def _packed(
    job: Job, export: Export, reports: Sequence[FragmentReport], package: Package, checksum: int
) -> PackedPackage:
    tile_count = sum(report.tile_count for report in reports)
    left_out = FlawedTiles.joined([report.left_out for report in reports])
    up_to_date_count = sum(report.up_to_date_count for report in reports)
    found_levels = {level for report in reports for level in report.levels}
    empty_levels = tuple(level for level in export.request.levels if level not in found_levels)
    selection = TileSelection.of_service(export.service, export.request.area)
    return PackedPackage(
        key=package.key,
        name=package.name,
        size_bytes=package.size_bytes,
        crc32=checksum,
        tile_count=tile_count,
        missing_count=job.tile_count - tile_count - left_out.count - up_to_date_count,
        left_out=left_out,
        not_recompressed=FlawedTiles.joined([report.not_recompressed for report in reports]),
        source_bytes=sum(report.source_bytes for report in reports),
        used=sum((report.used for report in reports), Usage()),
        work_items=len(reports),
        up_to_date_count=up_to_date_count,
        empty_levels=empty_levels,
        empty_tile_count=sum(map(selection.count, empty_levels)),
    )


def _changes(export: Export, reports: Sequence[FragmentReport]) -> bytes:
    """Return the JSON document on the tiles of a delta; its schema is `events/schemas/changes.json`."""
    blocks = [
        {
            "level": block.tiles.level,
            "rows": [block.tiles.row_start, block.tiles.row_stop],
            "columns": [block.tiles.column_start, block.tiles.column_stop],
            "tiles": block.tile_count,
        }
        for report in reports
        for block in report.changes
    ]
    since = f"{export.request.since:%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"service": export.service.name, "since": since, "changed": blocks}).encode()


def _file_name(export: Export, output: Output) -> str:
    """Return the name of the package: as requested, or that of the service."""
    name = export.request.package_name
    return f"{name}{PurePosixPath(output.file_name).suffix}" if name else output.file_name


def _document(name: str, body: bytes) -> ZipMember:
    return ZipMember(name, len(body), crc32(body))


def _members(
    copied: Sequence[FragmentReport],
    documents: Mapping[str, bytes],
    small: Sequence[FragmentReport],
) -> tuple[list[tuple[ZipMember, int]], int]:
    """Return every member with the offset of its header, and the end of the last one.

    They are in the order of ArcGIS, which is not that of their offsets: the
    documents first, then the bundles in the order of the plan, by level.
    """
    offsets, end = {}, 0
    for report in copied:
        offsets[report.number] = end
        end += report.fragment_bytes
    members: list[tuple[ZipMember, int]] = []
    for name, body in documents.items():
        member = _document(name, body)
        members.append((member, end))
        end += len(local_header(member)) + member.size_bytes
    for report in small:
        offsets[report.number] = end
        end += report.fragment_bytes
    for report in sorted((*copied, *small), key=attrgetter("number")):
        start = offsets[report.number]
        members.extend((ZipMember(m.name, m.size_bytes, m.crc32), start + m.header_offset) for m in report.members)
    return members, end
