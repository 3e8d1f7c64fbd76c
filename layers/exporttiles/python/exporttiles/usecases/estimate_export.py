"""Estimate the size of an export without reading tiles."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate, chain, islice

import numpy as np

from exporttiles.domain.export import ESRI_FORMATS, ExportRequest, StorageFormat
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Estimate, Job, JobStatus, Message, MessageKind, Operation
from exporttiles.domain.plan import PlannedBundle
from exporttiles.domain.service import CacheLayout, ImageService
from exporttiles.domain.wording import counted
from exporttiles.formats.bundles import v1, v2
from exporttiles.formats.bundles.v2 import SIZE_PREFIX_BYTES
from exporttiles.formats.packages.database import overhead_bytes
from exporttiles.messages.batch import PackageRequest
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock
from exporttiles.ports.tiles import Mask, TileSource, TileSources
from exporttiles.usecases.area_messages import area_messages
from exporttiles.usecases.conversion_growth import conversion_growth
from exporttiles.usecases.planned_bundles import mask_of, planned_bundles
from exporttiles.usecases.workload import expected_item_count, workload_of

_MOST_BUNDLES = 100_000
"""Limit of bundles to examine, about a second of work: a client may ask for the world at every level."""

_MOST_LISTED = 5_000
"""Limit of names to list for each level: twenty levels of a cache of files take at most ten seconds."""

_SAMPLED_BUNDLES = 256
_SAMPLED_FILES = 4096
"""Files whose sizes are requested, one HEAD each: some seconds, and a sixth of a cent. Sizes of tiles have a standard
deviation of about their mean, so that the mean of this sample is accurate to 2 per cent."""

_DOCUMENT_BYTES = 6_000
_THUMBNAIL_BYTES = 35_000
"""Typical size; thumbnails of plain tiles are smaller, of imagery up to 55,000 bytes."""


@dataclass(frozen=True, slots=True)
class _Overhead:
    """Bytes of an output besides the tiles: for each bundle, for each tile by its size, and once."""

    bundle_bytes: int
    tile_bytes: Callable[[float], float]
    package_bytes: int = 20_000


def _prefix_bytes(_tile_bytes: float) -> float:
    return SIZE_PREFIX_BYTES


_OVERHEADS = {
    StorageFormat.COMPACT: _Overhead(v1.RECORDS_OFFSET + v1.BUNDLX_BYTES, _prefix_bytes, _DOCUMENT_BYTES),
    StorageFormat.COMPACT_V2: _Overhead(v2.RECORDS_OFFSET, _prefix_bytes, _DOCUMENT_BYTES),
    StorageFormat.PMTILES: _Overhead(0, lambda _: 2),
    StorageFormat.MBTILES: _Overhead(0, overhead_bytes),
    StorageFormat.GEOPACKAGE: _Overhead(0, overhead_bytes),
}
"""Equal tiles, which some formats store once, are not known without reading them."""


@dataclass(frozen=True, slots=True)
class EstimateExport:
    """Counts tiles exactly, and takes sizes from bundle indexes and file lengths.

    Sizes are accurate to 5 per cent, except for packages smaller than 1 MB, whose
    thumbnail matters; for areas of more than `_SAMPLED_BUNDLES` bundles; and for
    caches of files with few of the selected tiles.

    Attributes:
        objects: the package bucket.
        max_concurrency: limit of concurrent workers for one export.
        file_reads_per_second: limit of requests to a cache of single files.
    """

    jobs: JobTable
    objects: ObjectStore
    sources: TileSources
    clock: Clock
    new_job_id: Callable[[], str]
    job_lifetime: timedelta
    max_concurrency: int
    file_reads_per_second: int

    def __call__(
        self,
        service: ImageService,
        request: ExportRequest,
        parameters: Mapping[str, str],
        owner: str = "",
        packages: Sequence[PackageRequest] = (),
    ) -> Job:
        """Return a succeeded job with the estimate. Of a batch, it is that of all packages together.

        Raises:
            AreaError, InvalidParameterError: the area is too complex to count.
            SourceError: the tile cache cannot be read.
            DamagedCacheError: the tile cache is damaged.
        """
        began = self.clock.now()
        selection = ExportSelection(service, request)
        estimate, said = self._estimate(service, request, selection)
        if packages:
            estimate, said = _of_packages(estimate, said, packages)
        job = Job(
            job_id=self.new_job_id(),
            operation=Operation.ESTIMATE_EXPORT_TILES_SIZE,
            service_name=service.name,
            status=JobStatus.SUCCEEDED,
            submitted_at=began,
            finished_at=self.clock.now(),
            expires_at=began + self.job_lifetime,
            tile_count=estimate.tile_count,
            messages=(
                *(Message(MessageKind.INFORMATIVE, text) for text in request.notes),
                *(Message(MessageKind.WARNING, text) for text in request.warnings),
                *area_messages(selection),
                Message(MessageKind.INFORMATIVE, said),
            ),
            estimate=estimate,
            owner=owner,
        )
        keys = JobKeys(job.job_id)
        export = Export(service, request)
        self.objects.write_many({keys.parameters: json.dumps(dict(parameters)).encode(), keys.export: export.to_json()})
        self.jobs.create(job)
        return job

    def _estimate(
        self, service: ImageService, request: ExportRequest, selection: ExportSelection
    ) -> tuple[Estimate, str]:
        tile_count = selection.count()
        # Tiles of levels beyond those of the cache are selected, but not delivered.
        levels = [level for level in request.levels if service.min_level <= level <= service.max_level]
        source = self.sources.open(Export(service, request).as_drawn.service.cache)
        planned = (planned_bundles(source, selection.at(level), level, _MOST_LISTED) for level in levels)
        bundles = list(islice(chain.from_iterable(planned), _MOST_BUNDLES + 1))
        if len(bundles) > _MOST_BUNDLES:
            size_bytes, source_text = tile_count * service.cache.average_tile_bytes, "the cache's mean tile"
        else:
            size_bytes, source_text = self._size_bytes(source, selection, bundles)
        counts = f"{counted(tile_count, 'tile')}, {counted(size_bytes, 'byte')}"
        recompression = "" if service.cache.mosaic else " before any recompression"
        said = f"{counts}{recompression}, measured from {source_text}."
        if selection.why_empty:
            said += f" No tile is selected: {selection.why_empty}."
        if request.tile_format:
            said += f" Their size as {request.tile_format} is estimated from a few of them."
        if request.clip:
            said += " Tiles of the border are counted as they are before they are clipped."
        if request.since or request.since_job:
            said += " Unchanged tiles are counted, too: only an export compares times."
        return Estimate(tile_count, size_bytes, self._duration_seconds(selection, tile_count, size_bytes)), said

    def _duration_seconds(self, selection: ExportSelection, tile_count: int, size_bytes: int) -> int | None:
        """Return how long the export takes; None if that is not known before it is planned."""
        if selection.request.clip or not size_bytes:  # the planner counts the tiles that are clipped
            return None
        export = Export(selection.service, selection.request)
        work = workload_of(
            export,
            tile_count,
            size_bytes,
            item_count=expected_item_count(export, tile_count, size_bytes),
            clipped_count=0,
            max_concurrency=self.max_concurrency,
            file_reads_per_second=self.file_reads_per_second,
        )
        return round(work.duration_seconds)

    def _size_bytes(
        self, source: TileSource, selection: ExportSelection, bundles: Sequence[PlannedBundle]
    ) -> tuple[int, str]:
        """Return the size of some bundles, and the source of that figure in words."""
        service, request = selection.service, selection.request
        drawn = _draw(bundles)
        if not drawn:
            return 0, "the level range of the cache"
        is_whole = len(drawn) == len(bundles)
        # All bundles: weighted by their tiles. Drawn in proportion to their tiles: equal weights.
        weights = [planned.wanted_count if is_whole else 1 for planned in drawn]
        has_indexes = service.cache.layout is not CacheLayout.FILES
        overhead = _OVERHEADS[request.storage_format]
        random = np.random.default_rng(0)
        growth = conversion_growth(Export(service, request), source, bundles)
        bytes_per_tile: list[float] = []
        asked_count = 0
        for planned, weight in zip(drawn, weights, strict=True):
            selected = selection.mask(planned.index) if planned.places is None else mask_of(planned.places)
            share = max(1, round(_SAMPLED_FILES * weight / sum(weights)))
            asked = selected if has_indexes else _thin(selected, share, random)
            sizes = source.tile_sizes(planned.index, asked) * growth
            found = np.count_nonzero(sizes)
            with_overhead = float(sizes.sum()) + (overhead.tile_bytes(sizes.sum() / found) * found if found else 0.0)
            stored = with_overhead / np.count_nonzero(asked)
            bytes_per_tile.append(stored + (overhead.bundle_bytes / planned.wanted_count if found else 0.0))
            asked_count += int(np.count_nonzero(asked))
        existing_count = sum(planned.wanted_count for planned in bundles)
        size_bytes = int(existing_count * np.average(bytes_per_tile, weights=weights))
        if size_bytes:
            has_thumbnail = request.tile_package and request.storage_format in ESRI_FORMATS
            size_bytes += overhead.package_bytes + _THUMBNAIL_BYTES * has_thumbnail
        if service.cache.mosaic:
            return size_bytes, "a sample of its tiles, drawn for it"
        if has_indexes and is_whole:
            return size_bytes, "every bundle's index"
        if asked_count == existing_count:
            return size_bytes, "the length of every file"
        sample = "a sample" if has_indexes else f"a sample of {counted(asked_count, 'file')}"
        return size_bytes, f"{sample} in {len(drawn):,} of {counted(len(bundles), 'bundle')}"


def _of_packages(estimate: Estimate, said: str, packages: Sequence[PackageRequest]) -> tuple[Estimate, str]:
    """Return the estimate of a batch, given that of its whole area: packages share tiles at their borders."""
    tile_count = sum(ExportSelection(each.export.service, each.export.request).count() for each in packages)
    size_bytes = round(estimate.size_bytes * tile_count / max(1, estimate.tile_count))
    together = f"{counted(tile_count, 'tile')}, about {counted(size_bytes, 'byte')}"
    text = f"{counted(len(packages), 'package')}: {together}. Tiles that several packages share count in each of them."
    return Estimate(tile_count, size_bytes), f"{text} Their area: {said}"


def _draw(bundles: Sequence[PlannedBundle]) -> Sequence[PlannedBundle]:
    """Return all bundles if they are few, else a sample that is evenly spread over the tiles."""
    if len(bundles) <= _SAMPLED_BUNDLES:
        return bundles
    ends = np.fromiter(accumulate(bundle.wanted_count for bundle in bundles), np.int64, len(bundles))
    middles = (np.arange(_SAMPLED_BUNDLES) + 0.5) * ends[-1] / _SAMPLED_BUNDLES
    return [bundles[at] for at in np.searchsorted(ends, middles, side="right").tolist()]


def _thin(selected: Mask, count: int, random: np.random.Generator) -> Mask:
    """Return a sample of the selected tiles: a random one of each of `count` runs of equal length."""
    at = np.flatnonzero(selected)
    if len(at) <= count:
        return selected
    chosen = at[((np.arange(count) + random.random(count)) * len(at) / count).astype(np.int64)]
    thinned = np.zeros_like(selected)
    thinned.flat[chosen] = True
    return thinned
