"""Survey a cache in the layout that its listing shows: bundles, files or a PMTiles archive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.listing import CacheListing, ListedBundles, ListedFiles, only_one
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.inspection.level_digits import settle_level_base
from exporttiles.usecases.inspection.survey_tiles import Survey, survey_bundles, survey_pmtiles
from exporttiles.usecases.inspection.tile_grid import documents_of_files, passed_over, settle_grid
from exporttiles.usecases.inspection.tile_readings import FileOrder

_SAMPLED_FILES = 64

Reader = Callable[[ObjectReader, TileCache], TileSource]
"""Opens a cache once its layout is known."""


@dataclass(frozen=True, slots=True)
class SurveyCache:
    """Surveys caches.

    Attributes:
        objects: the store of the cache.
        reader: opens the cache once its layout is known.
        read: returns the bytes of a document.
        scheme: of the cache, or assumed.
        is_scheme_known: an option or a document of ArcGIS states it.
        stated_extent: in a document of the cache, in the scheme's reference.
        order: of the numbers in file names, as far as options state it.
    """

    objects: ObjectReader
    reader: Reader
    read: Callable[[str], bytes]
    scheme: TilingScheme
    is_scheme_known: bool
    stated_extent: Extent | None
    order: FileOrder

    def __call__(self, url: str, listing: CacheListing) -> tuple[TileCache, Survey]:
        """Return the cache with its layout, and the survey of its tiles.

        Raises:
            DamagedCacheError: there is no readable cache; the message says why.
        """
        if listing.bundles.places:
            cache, survey = self._bundles(url, listing.bundles)
        elif files := listing.files:
            cache, survey = self._files(url, files, listing.documents)
        elif listing.archives:
            cache = TileCache(url, CacheLayout.PMTILES, only_one(listing.archives, "archives"), 1)
            survey = survey_pmtiles(self.objects, cache, self.reader(self.objects, cache), self.scheme)
        else:
            raise DamagedCacheError(listing.refusal)
        survey.messages += listing.left_out
        if not self.is_scheme_known and (listing.bundles.places or listing.exploded):
            survey.messages += passed_over(listing.documents)
        return cache, survey

    def _bundles(self, url: str, listed: ListedBundles) -> tuple[TileCache, Survey]:
        base, messages = settle_level_base(listed, self.scheme, self.stated_extent, self.order)
        names = listed.names(base)
        if listed.offset_count not in {0, listed.count}:
            raise DamagedCacheError(
                f"{counted(listed.count, 'bundle')} and {counted(listed.offset_count, 'file')} of offsets (.bundlx) "
                "do not match."
            )
        layout = CacheLayout.COMPACT_V1 if listed.offset_count else CacheLayout.COMPACT_V2
        cache = TileCache(url, layout, names.path_template, 1, () if names.is_usual else names.extensions)
        survey = survey_bundles(self.reader(self.objects, cache), listed.by_level(base))
        survey.messages += messages
        return cache, survey

    def _files(self, url: str, listed: ListedFiles, documents: Sequence[str]) -> tuple[TileCache, Survey]:
        order = replace(self.order, is_row_first=listed.is_exploded or self.order.is_row_first)
        base, messages = settle_level_base(listed, self.scheme, self.stated_extent, order)
        order = replace(order, has_hexadecimal_levels=base == 16)
        near, doubts = ([], []) if listed.is_exploded else documents_of_files(documents, listed.prefixes)
        grid = settle_grid(
            self.read,
            near,
            {int(digits, base): listed.span(digits, is_row_first=order.is_row_first) for digits in listed.level_digits},
            self.scheme,
            is_scheme_known=self.is_scheme_known,
            is_from_bottom=order.is_from_bottom,
        )
        cache, survey = _survey_files(self.objects, url, listed, order, grid.level_rows)
        if grid.scheme_source:
            survey.scheme, survey.scheme_source = grid.scheme, f"from {grid.scheme_source}"
        survey.row_order = grid.row_order
        survey.messages += [*messages, *grid.messages, *doubts]
        return cache, survey


def _survey_files(
    objects: ObjectReader,
    url: str,
    files: ListedFiles,
    order: FileOrder,
    level_rows: tuple[int, ...],
) -> tuple[TileCache, Survey]:
    """Survey a cache of files; return the cache and the survey.

    Args:
        objects: the store.
        url: of the cache.
        files: the listing.
        order: of the numbers in file paths, decided.
        level_rows: number of rows of each level from 0, if rows count from the bottom; else empty.

    Raises:
        DamagedCacheError: the paths have nothing in common.
    """
    is_row_first = order.is_row_first or files.is_exploded
    level_base = 16 if order.has_hexadecimal_levels else 10
    levels = files.by_level(level_base)
    if level_rows and max(levels) >= len(level_rows):
        raise DamagedCacheError(f"There are tiles of level {max(levels)}; the tiling scheme does not have it.")
    row_field = "row_from_bottom" if level_rows else "row"
    cache = TileCache(
        url,
        CacheLayout.FILES,
        files.template(is_row_first=is_row_first, row_field=row_field, level_base=level_base),
        average_tile_bytes=1,
        extensions=files.file_extensions,
        level_rows=level_rows,
    )
    keys = [key for key, _ in files.places(is_row_first=is_row_first, level_base=level_base)]
    keys = keys[:: -(-len(keys) // _SAMPLED_FILES)]
    survey = Survey(tiles=[tile for tile in objects.read_many(keys) if tile is not None])
    for level, found in levels.items():
        rows, columns = (found.first, found.second) if is_row_first else (found.second, found.first)
        if level_rows:
            if rows[1] > level_rows[level]:
                raise DamagedCacheError(
                    f"There is a tile in row {rows[1] - 1} of level {level}, which has {level_rows[level]} rows. "
                    "If they count from the top, --rows-from-top says so."
                )
            rows = level_rows[level] - rows[1], level_rows[level] - rows[0]
        survey.levels[level] = TileRange(level, *rows, *columns)
        survey.count += found.count
        survey.total_bytes += found.size_bytes
    return cache, survey
