"""Build the fragment of one work item, bundle by bundle."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias

import numpy as np

from exporttiles.domain.changes import ChangedBlock, changed_blocks
from exporttiles.domain.cost import Usage
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.pixels import PixelSelection
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.packages.output import Output
from exporttiles.formats.tiles.blank import BlankTiles
from exporttiles.formats.tiles.image import DAMAGED_WEBP, image_size, is_damaged_webp, sniff, start_to_size
from exporttiles.messages.export import Export
from exporttiles.messages.flawed_tiles import EXAMPLES, FlawedTiles
from exporttiles.messages.fragment_report import FragmentReport, MemberReport
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.process import RunAll
from exporttiles.ports.tiles import Mask, PlacedTile, Tile, TileSource
from exporttiles.usecases.planned_bundles import mask_of
from exporttiles.usecases.rewrite_tile import Rewriting, RewrittenTile, rewrite_tile

RewriteAll: TypeAlias = RunAll[Rewriting, RewrittenTile]

_MAX_STARTS = 256


class FragmentBuilder:
    """A fragment as it grows, and the counts for its report.

    Attributes:
        fragment: what the output makes of the tiles.
    """

    def __init__(
        self, item: WorkItem, export: Export, source: TileSource, output: Output, run_all: RewriteAll = map
    ) -> None:
        self.fragment = output.new_fragment()
        self._number = item.number
        self._service, self._request = export.service, export.request
        self._selection = ExportSelection(export.service, export.request)
        skipped = export.request.skipped
        self._skipped = BlankTiles(skipped, export.service.tiling_scheme.tile_size) if skipped else None
        self._source, self._run_all = source, run_all

        self._source_bytes = self._up_to_date_count = self._skipped_count = 0
        self._selected_count = self._missing_count = item.absent_count
        self._tile_counts = Counter[int]()
        self._levels = set[int]()
        self._missing: list[str] = []
        self._left_out: list[str] = []
        self._not_recompressed: list[str] = []
        self._changes: list[ChangedBlock] = []

    def add(self, bundle: BundleIndex, places: Sequence[int] | None) -> None:
        """Select, read and pack the tiles of one bundle.

        Args:
            bundle: the bundle.
            places: of the tiles that exist; None if they are not known.

        Raises:
            SourceError, DamagedCacheError: as `TileSource.read_bundle`.
        """
        selected = self._selection.mask(bundle)
        self._selected_count += int(selected.sum())
        wanted = selected if places is None else selected & mask_of(places)
        if since := self._request.since:
            up_to_date = self._source.unmodified_since(bundle, wanted, since)
            self._up_to_date_count += int(up_to_date.sum())
            if up_to_date.any():
                self._levels.add(bundle.level)
            selected, wanted = selected & ~up_to_date, wanted & ~up_to_date
        if tiles := self._read(bundle, selected, wanted):
            self._pack(bundle, tiles)

    def report(self, used: Usage) -> FragmentReport:
        """Return the report on all that was added."""
        return FragmentReport(
            number=self._number,
            fragment_bytes=self.fragment.size_bytes,
            crc32=self.fragment.crc32,
            members=tuple(
                MemberReport(member.name, offset, member.size_bytes, member.crc32)
                for member, offset in self.fragment.members
            ),
            tile_counts=self._tile_counts,
            levels=tuple(sorted(self._levels)),
            selected_count=self._selected_count,
            missing=FlawedTiles(self._missing_count, tuple(self._missing[:EXAMPLES])),
            left_out=FlawedTiles.of(self._left_out),
            not_recompressed=FlawedTiles.of(self._not_recompressed),
            source_bytes=self._source_bytes,
            used=used,
            up_to_date_count=self._up_to_date_count,
            changes=tuple(self._changes),
            skipped_count=self._skipped_count,
            directory=self.fragment.directory(),
        )

    def _read(self, bundle: BundleIndex, selected: Mask, wanted: Mask) -> Mapping[tuple[int, int], Tile]:
        """Return the tiles to pack, rewritten if the export asks for it; count the others."""
        unusable: list[tuple[int, int]] = []
        tiles = self._usable(bundle.level, self._source.read_bundle(bundle, wanted), unusable)
        if self._request.is_rewritten:
            cut = self._cut(bundle, wanted) if self._request.clip else {}
            tiles = self._rewritten(bundle.level, cut, tiles, unusable)
        packed = dict(tiles)
        if self._skipped:
            skipped = [place for place, tile in packed.items() if self._skipped.hold(tile)]
            self._skipped_count += len(skipped)
            unusable += skipped
            for place in skipped:
                del packed[place]
        if packed or unusable:
            self._levels.add(bundle.level)
        self._count_missing(bundle, selected, [*packed, *unusable])
        return packed

    def _cut(self, bundle: BundleIndex, wanted: Mask) -> Mapping[tuple[int, int], bytes]:
        """Return the tiles to clip: as `PixelSelection.cut`."""
        area = self._request.area_at(bundle.level)
        return PixelSelection(self._service.tiling_scheme, area).cut(bundle, wanted)

    def _pack(self, bundle: BundleIndex, tiles: Mapping[tuple[int, int], Tile]) -> None:
        """Append the tiles of a bundle."""
        self._tile_counts[bundle.level] += len(tiles)
        if self._request.since:
            self._changes += changed_blocks(bundle, tiles)
        self.fragment.add(bundle, tiles)

    def _usable(self, level: int, found: Iterator[PlacedTile], unusable: list[tuple[int, int]]) -> Iterator[PlacedTile]:
        """Yield the tiles that are images of the cache's format and size; add the places of the others to a list."""
        # An encoder writes few beginnings up to the size: a tile with one of them needs no closer look.
        usable_starts: set[bytes] = set()
        start_bytes = 0
        for place, tile in found:
            self._source_bytes += len(tile)
            if start_bytes and bytes(tile[:start_bytes]) in usable_starts:
                yield place, tile
            elif flaw := _flaw(self._service, tile):
                self._left_out.append(_flaw_at(level, place, flaw))
                unusable.append(place)
            else:
                if len(usable_starts) < _MAX_STARTS:
                    usable_starts.add(start := start_to_size(tile))
                    start_bytes = len(start)
                yield place, tile

    def _rewritten(
        self,
        level: int,
        cut: Mapping[tuple[int, int], bytes],
        tiles: Iterator[PlacedTile],
        unusable: list[tuple[int, int]],
    ) -> Iterator[PlacedTile]:
        """Yield the tiles, rewritten where necessary; add the places of those that have to be and cannot to a list.

        Args:
            level: of the tiles.
            cut: the tiles to clip, see `PixelSelection.cut`.
            tiles: of one bundle.
            unusable: places of tiles that are not packed.
        """
        request = self._request
        quality, target = request.compression_quality, request.tile_format
        untouched: list[PlacedTile] = []

        def to_rewrite() -> Iterator[Rewriting]:
            for place, tile in tiles:
                if quality is None and target is None and place not in cut:
                    untouched.append((place, tile))
                else:
                    yield place, bytes(tile), cut.get(place)

        for place, tile, flaw in self._run_all(partial(rewrite_tile, quality, request.clip, target), to_rewrite()):
            if flaw and not tile:
                self._left_out.append(_flaw_at(level, place, flaw))
                unusable.append(place)
                continue
            if flaw:
                self._not_recompressed.append(_flaw_at(level, place, flaw))
            yield place, tile
        yield from untouched

    def _count_missing(self, bundle: BundleIndex, selected: Mask, found: Sequence[tuple[int, int]]) -> None:
        """Count the selected tiles that the cache does not have, and name the first few."""
        is_missing = selected.copy()
        places = np.fromiter(chain.from_iterable(found), np.int64, 2 * len(found))
        is_missing[places[0::2] % PACKET_SIZE, places[1::2] % PACKET_SIZE] = False
        self._missing_count += int(is_missing.sum())
        self._missing += [
            f"level {bundle.level}, row {bundle.row + row}, column {bundle.column + column}"
            for row, column in np.argwhere(is_missing)[:EXAMPLES].tolist()
        ]


def _flaw(service: ImageService, tile: Tile) -> str:
    """Return why a tile cannot be packed; '' if it can."""
    image, side = sniff(tile), service.tiling_scheme.tile_size
    if image not in service.tile_format.encodings:
        return _content_flaw(tile, image, service.tile_format)
    if is_damaged_webp(tile, len(tile)):
        return DAMAGED_WEBP
    size = image_size(tile)
    if size is None or size == (side, side):
        return ""
    return f"{size[1]} x {size[0]} pixels instead of {side} x {side}"


def _content_flaw(tile: Tile, image: str | None, tile_format: TileFormat) -> str:
    if not tile:
        return "empty, or outside its bundle"
    if bytes(tile[:64]).lstrip().startswith(b"<"):
        return "a page in HTML or XML"  # left by a tile server in place of an image
    return f"{image.upper() if image else 'not an image'}, in a cache of {tile_format}"


def _flaw_at(level: int, place: tuple[int, int], flaw: str) -> str:
    row, column = place
    return f"level {level}, row {row}, column {column}: {flaw}"
