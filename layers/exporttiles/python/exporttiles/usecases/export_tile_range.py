"""Export one work item: tiles in, one fragment of the final package out."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from exporttiles.domain.errors import DamagedCacheError, ExportCancelledError, ExportTilesError
from exporttiles.domain.job import JobStatus
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.service import TileFormat
from exporttiles.formats.outputs import output_of
from exporttiles.formats.tile_image import recompress_jpeg, sniff
from exporttiles.formats.zip_archive import ZipMember, local_header
from exporttiles.messages import Export, FragmentReport, JobKeys, MemberReport, WorkItem
from exporttiles.ports import Clock, JobTable, ObjectStore, PlacedTile, Tile, TileSources

_IMAGES = {
    TileFormat.JPEG: {"jpeg"},
    TileFormat.MIXED: {"jpeg", "png"},
    TileFormat.LERC: {"lerc"},
}
_PNG = {"png"}


@dataclass(frozen=True, slots=True)
class ExportTileRange:
    """Builds the bundles of a work item.

    Running it twice writes the same bytes under the same key, so a retry
    does no harm.

    Attributes:
        objects: the package bucket.
        codecs: threads for recompression, which goes on while tiles are read.
    """

    jobs: JobTable
    objects: ObjectStore
    sources: TileSources
    clock: Clock
    codecs: Executor

    def __call__(self, item: WorkItem) -> None:
        """Write the fragment and the report of a work item.

        Raises:
            ExportCancelledError: the job is no longer wanted.
            SourceError: the tile cache cannot be read; trying again may help.
            DamagedCacheError: the tile cache is not what it claims to be.
        """
        if self.jobs.get(item.job_id).status is not JobStatus.EXECUTING:
            raise ExportCancelledError(item.job_id)
        try:
            report = self._write_fragment(item)
        except ExportTilesError as error:
            # The workflow can tell that an item failed, but not why.
            self.jobs.note_failure(item.job_id, str(error))
            raise
        # Only the first report counts: a retry must not push progress past 100 %.
        if self.objects.create(JobKeys(item.job_id).report(item.number), report.to_json()):
            self.jobs.count_work_item(item.job_id, report.selected_count, report.fragment_bytes)

    def _write_fragment(self, item: WorkItem) -> FragmentReport:
        began = self.clock.now()
        keys = JobKeys(item.job_id)
        export = Export.from_json(self.objects.read(keys.export))
        scheme, full_extent = export.service.tiling_scheme, export.service.full_extent
        selection = TileSelection(scheme, export.request.area, full_extent)
        source = self.sources.open(export.service.cache)
        output = output_of(export.service, export.request)

        fragment: list[Tile] = []
        fragment_bytes = selected_count = 0
        members: list[MemberReport] = []
        tile_counts, tally = Counter[int](), Counter[str]()
        for bundle in item.bundles:
            selected = selection.mask(bundle)
            selected_count += int(selected.sum())
            tiles = dict(self._tiles(export, source.read_bundle(bundle, selected), tally))
            if not tiles:
                continue
            tile_counts[bundle.level] += len(tiles)
            for name, pieces in output.bundle_members(bundle, tiles):
                member = _member(name, pieces)
                header = local_header(member)
                members.append(MemberReport(name, fragment_bytes, member.size_bytes, member.crc32))
                fragment += [header, *pieces]
                fragment_bytes += len(header) + member.size_bytes
                if output.is_folder:
                    self.objects.write(keys.delivered(name), b"".join(pieces))

        if fragment:
            self.objects.write(keys.fragment(item.number, members), b"".join(fragment))
        return FragmentReport(
            number=item.number,
            fragment_bytes=fragment_bytes,
            members=tuple(members),
            tile_counts=tile_counts,
            selected_count=selected_count,
            alien_count=tally["alien"],
            damaged_count=tally["damaged"],
            source_bytes=tally["bytes"],
            seconds=(self.clock.now() - began).total_seconds(),
        )

    def _tiles(self, export: Export, found: Iterator[PlacedTile], tally: Counter[str]) -> Iterator[PlacedTile]:
        """Yield the tiles to pack, recompressed if the export asks for it."""
        prepare = partial(_prepare, export)
        is_heavy = export.request.compression_quality is not None
        # The pool recompresses tiles while the next ones are being read.
        prepared = self.codecs.map(prepare, found) if is_heavy else map(prepare, found)
        for place, tile, source_bytes, flaw in prepared:
            tally["bytes"] += source_bytes
            tally[flaw] += 1
            if flaw != "alien":
                yield place, tile


def _prepare(export: Export, found: PlacedTile) -> tuple[tuple[int, int], Tile, int, str]:
    """Return a tile as it is to be packed, the bytes it had, and what is wrong with it.

    An alien is no image of the cache's format, such as an error page that a
    tile server left. A damaged JPEG cannot be recompressed and stays as it is.
    """
    place, tile = found
    image = sniff(tile)
    if image not in _IMAGES.get(export.service.tile_format, _PNG):
        return place, tile, len(tile), "alien"
    quality = export.request.compression_quality
    if quality is None or image != "jpeg":
        return place, tile, len(tile), "none"
    try:
        return place, recompress_jpeg(bytes(tile), quality), len(tile), "none"
    except DamagedCacheError:
        return place, tile, len(tile), "damaged"


def _member(name: str, pieces: list[Tile]) -> ZipMember:
    size_bytes = checksum = 0
    for piece in pieces:
        size_bytes += len(piece)
        checksum = crc32(piece, checksum)
    return ZipMember(name, size_bytes, checksum)
