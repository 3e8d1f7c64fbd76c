"""The steps of an export in one process, with folders instead of S3; and workers that are simulated."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from benchmarks.stores import CountedStore, FolderPackages, SimulatedStore
from exporttiles.adapters.tile_sources.bundles import CompactV2Tiles
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.area import Area
from exporttiles.domain.cost import Usage
from exporttiles.domain.export import ExportArea, ExportRequest, StorageFormat
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.plan import PlannedBundle
from exporttiles.domain.service import ImageService, TileCache
from exporttiles.domain.tiling import TileRange
from exporttiles.formats.archives.zip_writer import archive_crc32, local_header
from exporttiles.messages.export import Export
from exporttiles.messages.flawed_tiles import FlawedTiles
from exporttiles.messages.fragment_report import FragmentReport, MemberReport
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.tiles import TileSource
from tests.builders import a_service
from tests.fakes import a_runtime


class _FullTiles(CompactV2Tiles):
    """A tile source that claims to have every bundle."""

    def find_bundles(self, _block: TileRange, _tile_count: int, _limit: int) -> None:
        """Return None: each bundle has to be read."""


class FullSources:
    """Opens caches that claim to have every bundle."""

    def __init__(self, objects: CountedStore) -> None:
        self._objects = objects

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        return _FullTiles(self._objects, cache)


@dataclass(frozen=True, slots=True)
class Engine:
    """The use cases with local adapters, for one job at a time."""

    runtime: Runtime
    service: ImageService
    tiles: CountedStore
    objects: CountedStore
    packages: FolderPackages

    @classmethod
    def of(cls, cache: str, objects: CountedStore) -> "Engine":
        """Return an engine for the cache in a folder, and jobs in a store."""
        tiles, packages = CountedStore(Path(cache)), FolderPackages(objects)
        service = replace(a_service(tiles), max_export_tiles_count=10**10)
        tiles.forget()
        return cls(replace(a_runtime(tiles), objects=objects, packages=packages), service, tiles, objects, packages)

    def submit(self, area: Area, levels: Sequence[int]) -> str:
        """Submit an export. Return the id of its job."""
        request = ExportRequest(
            service_name=self.service.name,
            areas=(ExportArea(area, tuple(levels)),),
            tile_package=True,
            storage_format=StorageFormat.COMPACT_V2,
            compression_quality=None,
        )
        return self.runtime.submit_export(self.service, request, {}).job_id

    def plan(self, job_id: str) -> list[WorkItem]:
        """Plan a job."""
        return [
            WorkItem.from_json(item)
            for item in json.loads(self.objects.read(self.runtime.plan_export(job_id).work_items_key))
        ]

    def selection(self, job_id: str) -> ExportSelection:
        """Return the tiles of a job."""
        return ExportSelection(self.service, self.export(job_id).request)

    def export(self, job_id: str) -> Export:
        """Return the export of a job."""
        return Export.from_json(self.objects.read(JobKeys(job_id).export))


def pretend(engine: Engine, store: SimulatedStore, job_id: str, items: Sequence[WorkItem]) -> None:
    """Store the reports and fragments that the workers of a planned job would store."""
    levels, keys = engine.export(job_id).request.levels, JobKeys(job_id)
    store.selection = selection = engine.selection(job_id)
    counted = (PlannedBundle(*found) for level in levels for found in selection.at(level).bundles(level))
    for item in items:
        members, tile_counts, end = [], Counter[int](), 0
        for bundle in islice(counted, len(item.bundles)):
            member = store.member(bundle)
            members.append((member, end))
            tile_counts[bundle.index.level] += bundle.tile_count
            end += len(local_header(member)) + member.size_bytes
        report = FragmentReport(
            number=item.number,
            fragment_bytes=end,
            crc32=archive_crc32(members, b""),
            members=tuple(MemberReport(each.name, at, each.size_bytes, each.crc32) for each, at in members),
            tile_counts=tile_counts,
            selected_count=tile_counts.total(),
            missing=FlawedTiles(0, ()),
            left_out=FlawedTiles(0, ()),
            not_recompressed=FlawedTiles(0, ()),
            source_bytes=end,
            used=Usage(),
        )
        engine.export(job_id)  # as a worker reads it
        store.hold(keys.fragment(item.number, report.crc32), keys.report(item.number), end)
        store.create(keys.report(item.number), report.to_json())
        engine.runtime.jobs.count_work_item(job_id, report.selected_count, end)
