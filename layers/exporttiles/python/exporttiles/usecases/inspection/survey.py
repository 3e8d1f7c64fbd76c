"""Survey a cache: its levels, and a sample of its bundles and tiles that is large enough to describe it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange, TilingScheme
from exporttiles.formats.caches.listed_tiles import ListedFiles
from exporttiles.formats.caches.pmtiles import MAX_LEVEL, START_BYTES, PmtilesHeader, read_header
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.tiles.image import kind_of_compression, sniff
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.inspection.tile_grid import TileGrid

_READ_BUNDLES = 64
"""Bundles of a level whose index is read; more add little."""

_READ_EDGE_BUNDLES = 256
"""Bundles at the edges of a level whose index is read, to find where its tiles end."""

_LISTED_BUNDLES = 100_000
"""Maximum number of bundles listed of one level of an archive."""

_SAMPLED_BUNDLES = 4
"""Bundles of a level from which the first, middle and last tile are read."""

_SAMPLED_FILES = 64
"""Files that are read of a cache of files."""

_Item = TypeVar("_Item")

_MERCATOR_LATITUDE = 85.0511287798066  # edge of the square of Web Mercator


@dataclass(slots=True)
class Survey:
    """The contents of a cache, from a sample.

    Attributes:
        levels: the block around the tiles of each level.
        tiles: a sample.
        full_extent: None if the cache does not state it.
        extent_source: where `full_extent` is stated, as in `cache_claims.Sources`.
        grid: of tiles in files; None for other layouts.
        description, attribution: of the map; '' if the cache does not state it.
        messages: warnings about the tiles, their names and the documents of their layout.
    """

    levels: dict[int, TileRange] = field(default_factory=dict)
    tiles: list[bytes] = field(default_factory=list)
    count: int = 0
    total_bytes: int = 0
    full_extent: Extent | None = None
    extent_source: str = ""
    grid: TileGrid | None = None
    description: str = ""
    attribution: str = ""
    messages: list[Message] = field(default_factory=list)

    @property
    def average_tile_bytes(self) -> int:
        """Return the mean size of a tile.

        Raises:
            DamagedCacheError: no tile was found.
        """
        if not self.tiles:
            raise DamagedCacheError("The cache holds no tiles that can be read.")
        return max(1, self.total_bytes // self.count)


def survey_bundles(source: TileSource, bundles: Mapping[int, Sequence[BundleIndex]]) -> Survey:
    """Survey a cache of bundles.

    Reads bundles that are evenly spread, and those of the first and last row and
    column, to compare the extent in a document with their tiles. Other bundles
    are assumed to be full.

    Raises:
        DamagedCacheError: a bundle cannot be used.
    """
    survey = Survey()
    for _, all_of_level in sorted(bundles.items()):
        survey_level(survey, source, all_of_level)
    return survey


def survey_level(survey: Survey, source: TileSource, bundles: Sequence[BundleIndex]) -> None:
    """Add a level to a survey.

    Args:
        survey: of the cache.
        source: reads the cache.
        bundles: of the level, at least one.
    """
    chosen = _spread(bundles, _READ_BUNDLES)
    edge = _spread(sorted(_edge(bundles) - set(chosen)), _READ_EDGE_BUNDLES)
    ranges = [bundle.tile_range for bundle in set(bundles) - {*chosen, *edge}]
    ranges += _look_at(survey, source, chosen)
    ranges += _look_at(Survey(), source, edge)  # not counted: bundles at the edge would bias the mean size
    if ranges:
        survey.levels[bundles[0].level] = reduce(TileRange.union, ranges)


def survey_files(
    objects: ObjectReader, url: str, files: ListedFiles, grid: TileGrid, level_base: int
) -> tuple[TileCache, Survey]:
    """Survey a cache of files; return the cache and the survey.

    Args:
        objects: the store.
        url: of the cache.
        files: the listing.
        grid: of the tiles.
        level_base: 10 or 16, of the digits of the levels.

    Raises:
        DamagedCacheError: the paths have nothing in common, or do not fit the grid.
    """
    reading, level_rows = grid.reading, grid.reading.level_rows
    spans = files.spans(level_base)
    if level_rows and max(spans) >= len(level_rows):
        raise DamagedCacheError(f"There are tiles of level {max(spans)}; the tiling scheme does not have it.")
    cache = TileCache(
        url,
        CacheLayout.FILES,
        files.template("row_from_bottom" if level_rows else "row", level_base),
        average_tile_bytes=1,
        extensions=files.file_extensions,
        level_rows=level_rows,
    )
    for level, (rows, _) in spans.items():
        if level_rows and rows[1] > level_rows[level]:
            raise DamagedCacheError(
                f"There is a tile in row {rows[1] - 1} of level {level}, which has {level_rows[level]} rows. "
                "If rows count from the top, add --rows-from-top."
            )
    keys = [key for key, _ in files.places(level_base)]
    keys = keys[:: -(-len(keys) // _SAMPLED_FILES)]
    survey = Survey(
        levels={level: reading.tiles(level, rows, columns) for level, (rows, columns) in spans.items()},
        tiles=[tile for tile in objects.read_many(keys) if tile is not None],
        count=files.count,
        total_bytes=sum(level.size_bytes for level in files.levels.values()),
        grid=grid,
    )
    return cache, survey


def survey_pmtiles(objects: ObjectReader, cache: TileCache, source: TileSource, scheme: TilingScheme) -> Survey:
    """Survey a PMTiles archive.

    The directories decide which levels and tiles exist; zooms, bounds, type and
    compression in the header are compared with them.

    Raises:
        DamagedCacheError: the archive cannot be used, or its tiles are not images.
    """
    name = cache.path_template
    if not scheme.spatial_reference.is_same_as(WEB_MERCATOR_256.spatial_reference):
        raise DamagedCacheError(f"{name}: A PMTiles archive is always in Web Mercator.")
    try:
        header = read_header(*objects.read_start(name, START_BYTES))
        survey = Survey(extent_source=f"{name}, bounds of the header")
        survey.full_extent, remarks = _stated_extent(header, scheme)
        for level in range(MAX_LEVEL + 1):
            bundles = _bundles_of(source, level)
            if bundles is None:
                survey.levels[level] = _dense_level(survey, scheme, level)
                _look_at(survey, source, _bundles_across(survey.levels[level]))
            elif bundles:
                survey_level(survey, source, bundles)
    except DamagedCacheError as error:
        raise error if str(error).startswith(name) else DamagedCacheError(f"{name}: {error}") from error
    if not survey.levels:
        raise DamagedCacheError(f"{name}: Its directories hold no tiles.")
    warnings = [*_require_pictures(name, header, survey.tiles), *_zooms(header, survey.levels)]
    survey.messages += [Message(MessageKind.WARNING, f"{name}: {text}") for text in warnings]
    survey.messages += [Message(MessageKind.INFORMATIVE, f"{name}: {text}") for text in remarks]
    return survey


def _bundles_of(source: TileSource, level: int) -> Sequence[BundleIndex] | None:
    """Return the bundles of a level that may hold tiles; None if they are too many to list."""
    world = TileRange(level, 0, 1 << level, 0, 1 << level)
    found = source.find_bundles(world, world.count, _LISTED_BUNDLES)
    if found is not None:
        return sorted(found)
    if world.bundle_count > _READ_BUNDLES:
        return None
    starts = range(0, 1 << level, PACKET_SIZE)
    return [BundleIndex(level, row, column) for row in starts for column in starts]


def _stated_extent(header: PmtilesHeader, scheme: TilingScheme) -> tuple[Extent | None, list[str]]:
    """Return the bounds of a header, or why they are not used."""
    west, south, east, north = header.bounds
    south, north = max(south, -_MERCATOR_LATITUDE), min(north, _MERCATOR_LATITUDE)
    if not (-180 <= west <= 180 and -180 <= east <= 180 and west != east and south < north):
        shown = ", ".join(f"{side:g}" for side in header.bounds)
        return None, [f"The bounds of its header, {shown}, are empty or not in degrees, and are ignored."]
    return Extent(west, south, east, north, WGS84).to(scheme.spatial_reference), []


def _dense_level(survey: Survey, scheme: TilingScheme, level: int) -> TileRange:
    """Return the tiles of a level that has too many bundles to list.

    As the header states them, as long as its bounds hold the tiles of the level before.
    """
    coarser = survey.levels.get(level - 1)
    below = coarser and TileRange(
        level, 2 * coarser.row_start, 2 * coarser.row_stop, 2 * coarser.column_start, 2 * coarser.column_stop
    )
    stated = survey.full_extent and scheme.tile_range(survey.full_extent, level)
    if coarser and survey.full_extent:
        held = scheme.tile_range(survey.full_extent, coarser.level)
        stated = stated if held.intersection(coarser) == coarser else None
    return stated or below or TileRange(level, 0, 1 << level, 0, 1 << level)


def _zooms(header: PmtilesHeader, levels: Mapping[int, TileRange]) -> list[str]:
    """Return a warning if the directories have zooms beyond those of the header."""
    left_out = [str(level) for level in sorted(levels) if not header.min_level <= level <= header.max_level]
    if not left_out:
        return []
    zooms = f"{header.min_level}-{header.max_level}"
    return [f"Tiles of the levels {', '.join(left_out)} lie beyond the zooms of its header, {zooms}; all are read."]


def _look_at(survey: Survey, source: TileSource, bundles: Sequence[BundleIndex]) -> list[TileRange]:
    """Add some bundles of a level to a survey; return the ranges of their tiles."""
    everything = np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)
    ranges, holding = [], []
    for bundle in bundles:
        sizes = source.tile_sizes(bundle, everything)
        found = np.argwhere(sizes)
        if not len(found):
            continue
        (first_row, first_column), (last_row, last_column) = found.min(0).tolist(), found.max(0).tolist()
        ranges.append(
            TileRange(
                bundle.level,
                bundle.row + first_row,
                bundle.row + last_row + 1,
                bundle.column + first_column,
                bundle.column + last_column + 1,
            )
        )
        survey.count += len(found)
        survey.total_bytes += int(sizes.sum(dtype=np.int64))
        holding.append((bundle, found[[0, len(found) // 2, -1]]))
    for bundle, places in _spread(holding, _SAMPLED_BUNDLES):
        wanted = np.zeros_like(everything)
        wanted[tuple(places.T)] = True
        survey.tiles += [bytes(tile) for _, tile in source.read_bundle(bundle, wanted)]
    return ranges


def _require_pictures(name: str, header: PmtilesHeader, tiles: Sequence[bytes]) -> list[str]:
    """Compare the header with the tiles; return warnings where it is wrong.

    Raises:
        DamagedCacheError: the tiles are not images, and the header states what they are.
    """
    encodings = {sniff(tile) for tile in tiles} - {None}
    is_packed = header.tile_compression not in {"none", "unknown"}
    if not encodings:
        packed = header.tile_compression if is_packed else kind_of_compression(tiles[0] if tiles else b"")
        if packed:
            raise DamagedCacheError(f"{name}: Its tiles are compressed with {packed}; only plain tiles are read.")
        if header.tile_type not in {"png", "jpeg", "webp", "unknown"}:
            raise DamagedCacheError(
                f"{name}: Its tiles are {header.tile_type.upper()}; exports hold JPEG, PNG, LERC or WebP. Convert "
                "them first."
            )
    warnings = []
    if encodings and is_packed:
        warnings.append(f"Its header says that tiles are compressed with {header.tile_compression}; they are plain.")
    if encodings and header.tile_type != "unknown" and header.tile_type not in encodings:
        found = " and ".join(sorted(str(encoding).upper() for encoding in encodings))
        warnings.append(f"Its header says that tiles are {header.tile_type.upper()}; they are {found}.")
    return warnings


def _bundles_across(tiles: TileRange) -> Sequence[BundleIndex]:
    """Return a few bundles of a range: along its diagonal, from the first to the last."""
    steps = np.linspace(0, 1, 2 * _SAMPLED_BUNDLES + 1)
    rows = tiles.row_start + steps * max(0, tiles.row_stop - tiles.row_start - 1)
    columns = tiles.column_start + steps * max(0, tiles.column_stop - tiles.column_start - 1)
    places = zip(rows.astype(int).tolist(), columns.astype(int).tolist(), strict=True)
    return sorted({BundleIndex.of_tile(tiles.level, row, column) for row, column in places})


def _edge(bundles: Sequence[BundleIndex]) -> set[BundleIndex]:
    """Return the bundles of the first and last row and column."""
    rows, columns = ({getattr(bundle, name) for bundle in bundles} for name in ("row", "column"))
    ends = {min(rows), max(rows)}, {min(columns), max(columns)}
    return {bundle for bundle in bundles if bundle.row in ends[0] or bundle.column in ends[1]}


def _spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Return some items of a sequence, evenly spread, the first and the last included."""
    if len(items) <= count:
        return items
    return [items[at] for at in np.linspace(0, len(items) - 1, count).round().astype(int).tolist()]
