"""Join the fragments of an export into one file: a package, or a dataset in an archive.

Tiles of a joined output are not read here: large fragments become parts of the package
by a copy in the store; only small ones, and what stands around them, pass through
memory. A written output is made on a disk from all fragments, then uploaded.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from zlib_ng.zlib_ng import crc32, crc32_combine

from exporttiles.domain.cost import Usage
from exporttiles.domain.errors import EmptyExportError, ExportCancelledError, PackageError, SourceError
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Job, JobStatus, Package
from exporttiles.domain.parts import WRITTEN_PART_BYTES, StoredPiece, WrittenPart, parts_of
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.zip_writer import ZipMember
from exporttiles.formats.packages.output import Contents, FragmentPlace, Layout, Output, Workshop
from exporttiles.formats.packages.outputs import output_of
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
from exporttiles.usecases.completion_messages import left_out_text, no_tile_exists
from exporttiles.usecases.read_overview import read_overview
from exporttiles.usecases.verify_package import VerifyPackage

_CHUNK_BYTES = 8 * 2**20

FINISHING_SECONDS = 300
"""Time of an invocation that is kept for what it has begun: parts on their way (5 GiB take 107 s at
`COPY_BYTES_PER_SECOND`), or completing the upload, which may take minutes by the reference of S3, and verifying."""


@dataclass(frozen=True, slots=True)
class PackTilePackage:
    """Builds the package of a job from the reports of its workers.

    Attributes:
        objects: the package bucket, with fragments and reports.
        packages: joins parts in the same bucket.
        verify: checks the finished package.
        max_database_bytes: limit of a file that is written here, and not joined by the store.
        scratch: folder for such a file; None for that of the system.
    """

    jobs: JobTable
    objects: ObjectStore
    packages: PackageJoiner
    sources: TileSources
    verify: VerifyPackage
    meter: UsageMeter
    max_database_bytes: int = sys.maxsize
    scratch: str | None = None

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

        output = output_of(export.service, export.request)
        contents = self._contents(job_id, export, items, reports)
        file_name = _file_name(export, output)
        key, record_key = keys.delivered(file_name), keys.upload(job.attempt)
        upload = self._upload(key, record_key, partial(output.documents, contents))
        documents = upload.documents
        is_complete = False
        try:
            with TemporaryDirectory(dir=self.scratch) as folder:
                workshop = Workshop(Path(folder), self.max_database_bytes, partial(self._fragment, keys, reports))
                places = [_place(report) for report in reports if report.fragment_bytes]
                layout = output.layout(contents, documents, places, workshop)
                size_bytes, checksum = _sum(layout, reports)
                parts = list(parts_of(self._pieces(keys, layout, reports)))
                packed = _packed(job, export, reports, Package(key, file_name, size_bytes), checksum)
                is_complete = self.packages.join(
                    key, upload.upload_id, parts, checksum, lambda: remaining_seconds() > FINISHING_SECONDS
                )
                if is_complete:
                    if output.is_folder:  # beside the bundles that the workers wrote
                        for name, body in documents.items():
                            self.objects.write(keys.delivered(name), body)
                    if export.request.since:
                        self.objects.write(keys.delivered(CHANGES_NAME), _changes(export, reports))
                    self.verify(job_id, packed, output, layout, reports)
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
        extent = ExportSelection(export.service, export.request).extent(levels)
        return Contents(
            job_id, levels, extent, partial(read_overview, self.objects, self.sources, export, items, levels)
        )

    def _pieces(
        self, keys: JobKeys, layout: Layout, reports: Sequence[FragmentReport]
    ) -> Iterator[WrittenPart | StoredPiece]:
        """Yield the pieces of the package; fragments are read when their turn comes, if at all."""
        for piece in layout.pieces:
            if isinstance(piece, bytes):
                yield WrittenPart.of(piece)
            elif isinstance(piece, Path):
                end = piece.stat().st_size
                for start in range(0, end, WRITTEN_PART_BYTES):
                    stop = min(start + WRITTEN_PART_BYTES, end)
                    yield WrittenPart(stop - start, partial(_read_file, piece, start, stop))
            else:
                report = reports[piece]
                key = keys.fragment(report.number, report.crc32)
                yield StoredPiece(key, report.fragment_bytes, partial(self._read_fragment, key, report))

    def _fragment(self, keys: JobKeys, reports: Sequence[FragmentReport], number: int) -> bytes:
        """Return a fragment, compared with its report."""
        report = reports[number]
        return self._read_fragment(keys.fragment(number, report.crc32), report, 0, report.fragment_bytes)

    def _read_fragment(self, key: str, report: FragmentReport, start: int, stop: int) -> bytes:
        """Return bytes of a fragment; a whole one is compared with its report."""
        if (start, stop) != (0, report.fragment_bytes):
            return bytes(next(self.objects.read_ranges(key, [(start, stop)])))
        fragment = self.objects.read(key)
        report.check(fragment)
        return fragment


def _check_counts(job: Job, export: Export, reports: Sequence[FragmentReport]) -> None:
    selected_count = sum(report.selected_count for report in reports)
    if selected_count != job.tile_count:
        looked_for = counted(selected_count, "tile was", "tiles were")
        raise PackageError(f"{looked_for} looked for, but {counted(job.tile_count, 'is', 'are')} selected.")
    if not any(report.tile_count or report.up_to_date_count for report in reports):
        if (skipped := export.request.skipped) and (count := sum(report.skipped_count for report in reports)):
            raise EmptyExportError(f"{skipped}: {left_out_text(skipped, count)} No other selected tile exists.")
        service = export.service
        raise EmptyExportError(no_tile_exists(service, selected_count))


def _packed(
    job: Job, export: Export, reports: Sequence[FragmentReport], package: Package, checksum: int
) -> PackedPackage:
    tile_count = sum(report.tile_count for report in reports)
    left_out = FlawedTiles.joined([report.left_out for report in reports])
    up_to_date_count = sum(report.up_to_date_count for report in reports)
    skipped_count = sum(report.skipped_count for report in reports)
    found_levels = {level for report in reports for level in report.levels}
    empty_levels = tuple(level for level in export.request.levels if level not in found_levels)
    return PackedPackage(
        key=package.key,
        name=package.name,
        size_bytes=package.size_bytes,
        crc32=checksum,
        tile_count=tile_count,
        missing_count=job.tile_count - tile_count - left_out.count - up_to_date_count - skipped_count,
        left_out=left_out,
        not_recompressed=FlawedTiles.joined([report.not_recompressed for report in reports]),
        source_bytes=sum(report.source_bytes for report in reports),
        used=sum((report.used for report in reports), Usage()),
        work_items=len(reports),
        up_to_date_count=up_to_date_count,
        skipped_count=skipped_count,
        empty_levels=empty_levels,
        empty_tile_count=ExportSelection(export.service, export.request).count(empty_levels),
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


def _place(report: FragmentReport) -> FragmentPlace:
    members = [(ZipMember(m.name, m.size_bytes, m.crc32), m.header_offset) for m in report.members]
    return FragmentPlace(report.number, report.fragment_bytes, members, report.directory)


def _read_file(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


def _sum(layout: Layout, reports: Sequence[FragmentReport]) -> tuple[int, int]:
    """Return the length of a package and its CRC-32, from those of its fragments: no byte of them is needed."""
    size_bytes = checksum = 0
    for piece in layout.pieces:
        if isinstance(piece, bytes):
            size_bytes, checksum = size_bytes + len(piece), crc32(piece, checksum)
        elif isinstance(piece, Path):
            end = piece.stat().st_size
            for start in range(0, end, _CHUNK_BYTES):
                checksum = crc32(_read_file(piece, start, start + _CHUNK_BYTES), checksum)
            size_bytes += end
        else:
            report = reports[piece]
            size_bytes += report.fragment_bytes
            checksum = crc32_combine(checksum, report.crc32, report.fragment_bytes)
    return size_bytes, checksum
