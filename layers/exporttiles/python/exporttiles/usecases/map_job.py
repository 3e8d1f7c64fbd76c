"""Map a job: its area, and the part of it that is finished."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from exporttiles.domain.area import Area
from exporttiles.domain.errors import JobNotFoundError
from exporttiles.domain.job import Job, JobStatus
from exporttiles.domain.rings import simplified
from exporttiles.domain.service import ImageService
from exporttiles.domain.tiling import PACKET_SIZE, TileRange
from exporttiles.messages.documents import read_document
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.objects import ObjectReader
from exporttiles.usecases.list_packages import ListPackages

_MOST_VERTICES = 50_000
"""Of all areas together: 10,000 closed rectangles. They make up to 1.4 MB of JSON, about 300 kB compressed."""

_MOST_PLAN_BYTES = 4_000_000
"""Larger plans, of about 200,000 bundles, take seconds to read."""

_MOST_BLOCKS = 2_000
"""Limit of the blocks of a level."""


Bundle = list[int]
"""Level, row and column of the top-left tile, as plans hold them: a plan has too many for objects."""


@dataclass(frozen=True, slots=True)
class MappedArea:
    """An area of a job, simplified for a map.

    Attributes:
        name: value of a package of a batch; '' for other areas.
        levels: ascending.
        area: in the reference of the tiling scheme.
        status: of the job that exports it; None for a package of a batch that has not begun.
    """

    name: str
    levels: tuple[int, ...]
    area: Area
    status: JobStatus | None


@dataclass(frozen=True, slots=True)
class LevelProgress:
    """How many bundles of a level a job exports, and how many are finished."""

    level: int
    bundle_count: int
    done_count: int


@dataclass(frozen=True, slots=True)
class JobMap:
    """A job on a map.

    Attributes:
        service: as it was when the job was accepted.
        areas: at least one.
        levels: progress of each level; empty if the job has no plan, or only one work item.
        done: tiles of the finished bundles of one level, the finest that has few enough; empty if there are none.
    """

    service: ImageService
    areas: Sequence[MappedArea]
    levels: Sequence[LevelProgress] = ()
    done: Sequence[TileRange] = ()


@dataclass(frozen=True, slots=True)
class MapJob:
    """Finds the area of a job and the work that is finished, in what its steps have stored.

    Attributes:
        objects: the package bucket.
    """

    objects: ObjectReader
    list_packages: ListPackages

    def __call__(self, job: Job) -> JobMap:
        """Return the map of a job.

        Raises:
            JobNotFoundError: its area is no longer stored.
            SourceError: the store failed or did not answer.
        """
        if job.package_count:
            return self._map_batch(job)
        export = self._export(JobKeys(job.job_id).export)
        areas = [MappedArea("", each.levels, each.area, job.status) for each in export.request.areas]
        levels, done = self._progress(job)
        return JobMap(export.service, _simplified(areas), levels, done)

    def _map_batch(self, batch: Job) -> JobMap:
        """Return the areas of the packages of a batch, each with the state of its package."""
        packages = self.list_packages(batch.job_id)
        bodies = self.objects.read_many([JobKeys(each.item.job_id).export for each in packages])
        exports = [(package, Export.from_json(body)) for package, body in zip(packages, bodies, strict=True) if body]
        if not exports:
            raise JobNotFoundError(f"The area of job {batch.job_id} is no longer stored.")
        areas = [
            MappedArea(package.item.value, each.levels, each.area, package.job.status if package.job else None)
            for package, export in exports
            for each in export.request.areas
        ]
        return JobMap(exports[0][1].service, _simplified(areas))

    def _export(self, key: str) -> Export:
        try:
            return Export.from_json(self.objects.read(key))
        except KeyError as error:
            raise JobNotFoundError("The area of the job is no longer stored.") from error

    def _progress(self, job: Job) -> tuple[Sequence[LevelProgress], Sequence[TileRange]]:
        """Return the progress of each level, and the finished tiles of one; nothing of a job without parts."""
        keys = JobKeys(job.job_id)
        if job.status is JobStatus.SUCCEEDED or job.progress.work_items < 2:
            return (), ()
        (size_bytes,) = self.objects.sizes_bytes([keys.work_items])
        if size_bytes is None or size_bytes > _MOST_PLAN_BYTES:
            return (), ()
        finished = {keys.number_of_report(stored.key) for stored in self.objects.list(keys.reports)}
        planned: Counter[int] = Counter()
        done: list[Bundle] = []
        for item in read_document(self.objects.read(keys.work_items)):
            bundles: list[Bundle] = item["bundles"]
            planned.update(level for level, _, _ in bundles)
            done += bundles if item["number"] in finished else []
        done_counts = Counter(level for level, _, _ in done)
        levels = [LevelProgress(level, planned[level], done_counts[level]) for level in sorted(planned)]
        return levels, _finest(done)


def _finest(bundles: Iterable[Bundle]) -> Sequence[TileRange]:
    """Return the blocks of the finest level that has few enough of them."""
    for _, of_level in groupby(sorted(bundles, reverse=True), key=lambda bundle: bundle[0]):
        blocks = list(_joined(sorted(of_level)))
        if len(blocks) <= _MOST_BLOCKS:
            return blocks
    return ()


def _joined(bundles: Iterable[Bundle]) -> Iterator[TileRange]:
    """Yield the tiles of bundles in ascending order; neighbours in a row become one block."""
    block: TileRange | None = None
    for level, row, column in bundles:
        bundle = TileRange(level, row, row + PACKET_SIZE, column, column + PACKET_SIZE)
        if block and (block.row_start, block.column_stop) == (row, column):
            block = block.union(bundle)
            continue
        if block:
            yield block
        block = bundle
    if block:
        yield block


def _simplified(areas: Sequence[MappedArea]) -> Sequence[MappedArea]:
    """Simplify areas, all to the same grid, so that neighbours still fit together."""
    polygons = simplified([each.area.polygons for each in areas], _MOST_VERTICES)
    return [
        replace(each, area=replace(each.area, polygons=simple)) for each, simple in zip(areas, polygons, strict=True)
    ]
