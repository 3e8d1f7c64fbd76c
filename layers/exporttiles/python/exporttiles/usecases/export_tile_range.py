"""Export one work item: tiles in, one fragment of the final package out.

A worker may be run twice, even at once, and may go on after its job has ended:
the first report is the one that counts, and what comes too late is taken back.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TypeAlias

import numpy as np
from zlib_ng.zlib_ng import crc32

from exporttiles.domain.changes import ChangedBlock, changed_blocks
from exporttiles.domain.cost import Usage
from exporttiles.domain.errors import ExportCancelledError
from exporttiles.domain.job import JobStatus
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.archives.zip_archive import ZipMember, local_header
from exporttiles.formats.packages.outputs import output_of
from exporttiles.formats.tiles.image import image_size, sniff, start_to_size
from exporttiles.messages.export import Export
from exporttiles.messages.flawed_tiles import EXAMPLES, FlawedTiles
from exporttiles.messages.fragment_report import FragmentReport, MemberReport
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock, UsageMeter
from exporttiles.ports.tiles import Mask, PlacedTile, Tile, TileSources
from exporttiles.usecases.planned_bundles import mask_of, read_places
from exporttiles.usecases.recompress_tile import RecompressedTile, recompress_tile

RunAll: TypeAlias = Callable[
    [Callable[[PlacedTile], RecompressedTile], Iterable[PlacedTile]], Iterable[RecompressedTile]
]
"""Calls a function with each tile; what comes back is in the same order."""

_IMAGES = {
    TileFormat.JPEG: {"jpeg"},
    TileFormat.MIXED: {"jpeg", "png"},
    TileFormat.LERC: {"lerc"},
}
_PNG = {"png"}
_MAX_STARTS = 256
_LOOK_AGAIN = timedelta(seconds=5)
"""How long a worker builds bundles before it asks whether they are still wanted."""


@dataclass(frozen=True, slots=True)
class ExportTileRange:
    """Builds the bundles of a work item.

    Attributes:
        objects: the package bucket.
        run_all: recompresses tiles, in their order: ``map``, or that of a pool of
            processes. Threads are no help: the codec holds the interpreter.
    """

    jobs: JobTable
    objects: ObjectStore
    sources: TileSources
    clock: Clock
    meter: UsageMeter
    run_all: RunAll = map

    def __call__(self, item: WorkItem) -> FragmentReport:
        """Write the fragment and the report of a work item; return the report.

        Raises:
            ExportCancelledError: the job is no longer wanted.
            SourceError: the tile cache cannot be read; trying again may help.
            DamagedCacheError: the tile cache is not what it claims to be.
        """
        self._require_wanted(item.job_id)
        keys = JobKeys(item.job_id)
        export = Export.from_json(self.objects.read(keys.export))
        report = self._write_fragment(item, export)
        written = [keys.fragment(item.number, report.members)]
        # Only the first report counts: a retry must not push progress past 100 %.
        is_first = self.objects.create(keys.report(item.number), report.to_json())
        if output_of(export.service, export.request).is_folder:
            written += self._deliver(keys, item.number)
        if is_first:
            self.jobs.count_work_item(item.job_id, report.selected_count, report.fragment_bytes)
        self._take_back_if_late(item.job_id, written)
        return report

    def _require_wanted(self, job_id: str) -> None:
        if self.jobs.get(job_id).status is not JobStatus.EXECUTING:
            raise ExportCancelledError(job_id)

    def _deliver(self, keys: JobKeys, number: int) -> list[str]:
        """Write the files of a dataset in place; return their keys.

        They are cut from the fragment that counts, whoever wrote it: the files
        and the archive are the same even if a tile changes between two attempts.
        """
        report = FragmentReport.from_json(self.objects.read(keys.report(number)))
        if not report.members:
            return []
        fragment = self.objects.read(keys.fragment(number, report.members))
        delivered = []
        for name, content in report.contents(fragment):
            delivered.append(keys.delivered(name))
            self.objects.write(delivered[-1], bytes(content))
        return delivered

    def _take_back_if_late(self, job_id: str, written: list[str]) -> None:
        """Remove what was written after the job had ended: CloseJob may have looked before it was there.

        What a job that can be resumed has is finished work, late or not.
        """
        job = self.jobs.get(job_id)
        if not job.status.is_final or job.resumable_until:
            return
        if job.status is JobStatus.SUCCEEDED:  # what was delivered is what counts
            del written[1:]
        self.objects.delete(written)
        raise ExportCancelledError(job_id)

    def _write_fragment(self, item: WorkItem, export: Export) -> FragmentReport:
        before, looked = self.meter.snapshot(), self.clock.now()
        keys = JobKeys(item.job_id)
        scheme, full_extent = export.service.tiling_scheme, export.service.full_extent
        selection = TileSelection(scheme, export.request.area, full_extent)
        source = self.sources.open(export.service.cache)
        output = output_of(export.service, export.request)

        fragment: list[Tile] = []
        fragment_bytes, selected_count = 0, item.absent_count
        members: list[MemberReport] = []
        tile_counts, tally = Counter[int](), _Tally(missing_count=item.absent_count)
        levels = set[int]()
        since, up_to_date_count = export.request.since, 0
        changes: list[ChangedBlock] = []
        for bundle, places in zip(item.bundles, read_places(self.objects, item), strict=True):
            if self.clock.now() - looked > _LOOK_AGAIN:
                self._require_wanted(item.job_id)
                looked = self.clock.now()
            selected = selection.mask(bundle)
            selected_count += int(selected.sum())
            wanted = selected if places is None else selected & mask_of(places)
            if since:
                unchanged = source.unchanged(bundle, wanted, since)
                up_to_date_count += int(unchanged.sum())
                selected, wanted = selected & ~unchanged, wanted & ~unchanged
                levels |= {bundle.level} if unchanged.any() else set()
            tiles = dict(self._tiles(export, bundle.level, source.read_bundle(bundle, wanted), tally))
            levels |= {bundle.level} if tiles or tally.unusable else set()
            tally.note_missing(bundle, selected, tiles)
            if not tiles:
                continue
            tile_counts[bundle.level] += len(tiles)
            if since:
                changes += changed_blocks(bundle, tiles)
            for name, pieces in output.bundle_members(bundle, tiles):
                member = _member(name, pieces)
                header = local_header(member)
                members.append(MemberReport(name, fragment_bytes, member.size_bytes, member.crc32))
                fragment += [header, *pieces]
                fragment_bytes += len(header) + member.size_bytes

        if fragment:
            self.objects.write(keys.fragment(item.number, members), fragment)
        # What is read before and written after: the export, this report, and the files of a dataset.
        around = Usage(gets=3, puts=1 + len(members)) if output.is_folder else Usage(gets=1, puts=1)
        return FragmentReport(
            number=item.number,
            fragment_bytes=fragment_bytes,
            members=tuple(members),
            tile_counts=tile_counts,
            levels=tuple(sorted(levels)),
            selected_count=selected_count,
            missing=FlawedTiles(tally.missing_count, tuple(tally.missing[:EXAMPLES])),
            left_out=FlawedTiles.of(tally.left_out),
            unchanged=FlawedTiles.of(tally.unchanged),
            source_bytes=tally.source_bytes,
            used=self.meter.snapshot() - before + around + item.used,
            up_to_date_count=up_to_date_count,
            changes=tuple(changes),
        )

    def _tiles(self, export: Export, level: int, found: Iterator[PlacedTile], tally: "_Tally") -> Iterator[PlacedTile]:
        """Return the tiles to pack, recompressed if the export asks for it."""
        usable = _usable(export.service, level, found, tally)
        quality = export.request.compression_quality
        return usable if quality is None else self._recompressed(quality, level, usable, tally)

    def _recompressed(
        self, quality: int, level: int, tiles: Iterator[PlacedTile], tally: "_Tally"
    ) -> Iterator[PlacedTile]:
        bodies = ((place, bytes(tile)) for place, tile in tiles)
        for place, tile, flaw in self.run_all(partial(recompress_tile, quality), bodies):
            if flaw:
                tally.unchanged.append(_told(level, place, flaw))
            yield place, tile


@dataclass(slots=True)
class _Tally:
    """What was noticed while the tiles of a work item went by."""

    source_bytes: int = 0
    missing_count: int = 0
    missing: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    unusable: list[tuple[int, int]] = field(default_factory=list)
    """Places of the tiles of one bundle that came and are left out."""

    def note_missing(self, bundle: BundleIndex, selected: Mask, tiles: Mapping[tuple[int, int], Tile]) -> None:
        """Count the tiles of one bundle that were wanted and did not come, and keep the places of a few."""
        came = len(tiles) + len(self.unusable)
        is_missing = selected.copy()
        places = np.fromiter(chain(chain.from_iterable(tiles), chain.from_iterable(self.unusable)), np.int64, 2 * came)
        is_missing[places[0::2] % PACKET_SIZE, places[1::2] % PACKET_SIZE] = False
        self.missing_count += int(is_missing.sum())
        self.missing += [
            f"level {bundle.level}, row {bundle.row + row}, column {bundle.column + column}"
            for row, column in np.argwhere(is_missing)[:EXAMPLES].tolist()
        ]
        self.unusable.clear()


def _usable(service: ImageService, level: int, found: Iterator[PlacedTile], tally: _Tally) -> Iterator[PlacedTile]:
    """Yield the tiles that are images of the cache's format and size, and count all."""
    # An encoder writes few beginnings up to the size: a tile with one of them needs no closer look.
    usable_starts: set[bytes] = set()
    start_bytes = 0
    for place, tile in found:
        tally.source_bytes += len(tile)
        if start_bytes and bytes(tile[:start_bytes]) in usable_starts:
            yield place, tile
        elif flaw := _flaw(service, tile):
            tally.left_out.append(_told(level, place, flaw))
            tally.unusable.append(place)
        else:
            if len(usable_starts) < _MAX_STARTS:
                usable_starts.add(start := start_to_size(tile))
                start_bytes = len(start)
            yield place, tile


def _flaw(service: ImageService, tile: Tile) -> str:
    """Return why a tile cannot be packed; '' if it can."""
    image, side = sniff(tile), service.tiling_scheme.tile_size
    if image not in _IMAGES.get(service.tile_format, _PNG):
        return _what_it_is(tile, image, service.tile_format)
    size = image_size(tile)
    if size is None or size == (side, side):
        return ""
    return f"{size[1]} x {size[0]} pixels instead of {side} x {side}"


def _told(level: int, place: tuple[int, int], flaw: str) -> str:
    row, column = place
    return f"level {level}, row {row}, column {column}: {flaw}"


def _what_it_is(tile: Tile, image: str | None, tile_format: TileFormat) -> str:
    if not tile:
        return "empty, or outside its bundle"
    if bytes(tile[:64]).lstrip().startswith(b"<"):
        return "a page in HTML or XML"  # what a tile server left in place of an image
    return f"{image.upper() if image else 'not an image'}, in a cache of {tile_format}"


def _member(name: str, pieces: list[Tile]) -> ZipMember:
    size_bytes = checksum = 0
    for piece in pieces:
        size_bytes += len(piece)
        checksum = crc32(piece, checksum)
    return ZipMember(name, size_bytes, checksum)
