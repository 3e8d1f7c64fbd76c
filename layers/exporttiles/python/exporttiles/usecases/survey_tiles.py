"""Look at some of the tiles of a cache that has an index: enough to describe it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message
from exporttiles.domain.service import TileCache
from exporttiles.domain.spatial_reference import WGS84
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange, TilingScheme
from exporttiles.formats.pmtiles import START_BYTES, PmtilesHeader, read_header
from exporttiles.formats.tiling_schemes import WEB_MERCATOR_256
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource

_READ_BUNDLES = 64
"""Bundles of a level whose index is read; more would tell little more."""

_READ_EDGE_BUNDLES = 256
"""Bundles at the edges of a level whose index is read: they decide where its tiles end."""

_SAMPLED_BUNDLES = 4
"""Bundles of a level from which tiles are read, first, middle and last of each."""

_LAST_PARALLEL = 85.0511287798066  # where the square of Web Mercator ends


@dataclass(slots=True)
class Survey:
    """What was seen.

    Attributes:
        levels: the tiles that each level spans.
        tiles: some of them.
        full_extent: None if the cache does not tell.
        extent_source: where `full_extent` is stated, as `cache_claims.Sources` has it.
        row_order: of the files, as `cache_claims.Sources` has it.
        scheme: as a document of the layout states it; None if none does.
        scheme_source: that document, as `cache_claims.Sources` has it.
        messages: warnings about the tiles, their names and the documents of their layout.
    """

    levels: dict[int, TileRange] = field(default_factory=dict)
    tiles: list[bytes] = field(default_factory=list)
    count: int = 0
    total_bytes: int = 0
    full_extent: Extent | None = None
    extent_source: str = ""
    row_order: str = "from the top"
    scheme: TilingScheme | None = None
    scheme_source: str = ""
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
    """Look at a cache of bundles.

    At bundles evenly spread, and at those of the first and last row and column,
    as the extent that a document states is compared with their tiles. Bundles
    that are not read are taken to be full.

    Raises:
        DamagedCacheError: a bundle cannot be used.
    """
    survey = Survey()
    for level, all_of_level in sorted(bundles.items()):
        chosen = _spread(all_of_level, _READ_BUNDLES)
        edge = _spread(sorted(_edge(all_of_level) - set(chosen)), _READ_EDGE_BUNDLES)
        ranges = [bundle.tile_range for bundle in set(all_of_level) - {*chosen, *edge}]
        ranges += _look_at(survey, source, chosen)
        ranges += _look_at(Survey(), source, edge)  # apart: bundles of the edge are no fair sample of sizes
        if ranges:
            survey.levels[level] = _union(ranges)
    return survey


def survey_pmtiles(objects: ObjectReader, cache: TileCache, source: TileSource, scheme: TilingScheme) -> Survey:
    """Look at a PMTiles archive.

    Its levels and bounds are believed; it has no list of what lies where.

    Raises:
        DamagedCacheError: the archive cannot be used, or holds no pictures.
    """
    try:
        header = read_header(*objects.read_start(cache.path_template, START_BYTES))
        _require_pictures(header, scheme)
    except DamagedCacheError as error:
        raise DamagedCacheError(f"{cache.path_template}: {error}") from error
    west, south, east, north = header.bounds
    south, north = max(south, -_LAST_PARALLEL), min(north, _LAST_PARALLEL)
    if not (-180 <= west < east <= 180 and south < north):
        west, south, east, north = -180.0, -_LAST_PARALLEL, 180.0, _LAST_PARALLEL
    extent = Extent(west, south, east, north, WGS84).to(scheme.spatial_reference)
    survey = Survey(full_extent=extent, extent_source=f"the bounds of {cache.path_template}")
    for level in range(header.min_level, header.max_level + 1):
        survey.levels[level] = scheme.tile_range(extent, level)
        _look_at(survey, source, _bundles_across(survey.levels[level]))
    return survey


def _look_at(survey: Survey, source: TileSource, bundles: Sequence[BundleIndex]) -> list[TileRange]:
    """Add what is seen of some bundles of a level; return the ranges of their tiles."""
    ranges = []
    sampled = set(_spread(bundles, _SAMPLED_BUNDLES))
    everything = np.ones((PACKET_SIZE, PACKET_SIZE), np.bool_)
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
        if bundle in sampled:
            wanted = np.zeros_like(everything)
            wanted[tuple(found[[0, len(found) // 2, -1]].T)] = True
            survey.tiles += [bytes(tile) for _, tile in source.read_bundle(bundle, wanted)]
    return ranges


def _require_pictures(header: PmtilesHeader, scheme: TilingScheme) -> None:
    if not scheme.spatial_reference.is_same_as(WEB_MERCATOR_256.spatial_reference):
        raise DamagedCacheError("A PMTiles archive is always in Web Mercator.")
    if header.tile_type not in {"png", "jpeg", "unknown"}:
        raise DamagedCacheError(
            f"Its tiles are {header.tile_type.upper()}; Esri's packages hold JPEG, PNG or LERC. Convert them first."
        )
    if header.tile_compression not in {"none", "unknown"}:
        raise DamagedCacheError(f"Its tiles are compressed with {header.tile_compression}.")


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


def _spread(bundles: Sequence[BundleIndex], count: int) -> Sequence[BundleIndex]:
    if len(bundles) <= count:
        return bundles
    return [bundles[at] for at in np.linspace(0, len(bundles) - 1, count).round().astype(int).tolist()]


def _union(ranges: Iterable[TileRange]) -> TileRange:
    edges: Iterator[tuple[int, ...]] = zip(
        *((found.level, found.row_start, found.row_stop, found.column_start, found.column_stop) for found in ranges),
        strict=True,
    )
    levels, row_starts, row_stops, column_starts, column_stops = edges
    return TileRange(levels[0], min(row_starts), max(row_stops), min(column_starts), max(column_stops))
