"""Look at a cache in whichever layout its listing shows: bundles, files or an archive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import TilingScheme
from exporttiles.domain.wording import counted
from exporttiles.formats.cache_listing import CacheListing, ListedBundles, ListedFiles, only_one
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.level_digits import settle_level_base
from exporttiles.usecases.survey_files import FileOrder, survey_files
from exporttiles.usecases.survey_tiles import Survey, survey_bundles, survey_pmtiles
from exporttiles.usecases.tile_grid import documents_of_files, passed_over, settle_grid

Reader = Callable[[ObjectReader, TileCache], TileSource]
"""Opens a cache once its layout is known."""


@dataclass(frozen=True, slots=True)
class SurveyCache:
    """Surveys caches.

    Attributes:
        objects: what lies in the place of the cache.
        reader: opens the cache once its layout is known.
        read: returns the bytes of a document.
        scheme: of the cache, or assumed.
        is_scheme_known: an option or a document of ArcGIS states it.
        stated_extent: as a document of the cache states it, in the scheme's reference.
        order: what is known of the numbers in the names of files.
    """

    objects: ObjectReader
    reader: Reader
    read: Callable[[str], bytes]
    scheme: TilingScheme
    is_scheme_known: bool
    stated_extent: Extent | None
    order: FileOrder

    def __call__(self, url: str, listing: CacheListing) -> tuple[TileCache, Survey]:
        """Return the cache in its layout, and what its tiles show.

        Raises:
            DamagedCacheError: nothing here can be read; it says why.
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
        cache, survey = survey_files(self.objects, url, listed, order, grid.level_rows)
        if grid.scheme_source:
            survey.scheme, survey.scheme_source = grid.scheme, f"from {grid.scheme_source}"
        survey.row_order = grid.row_order
        survey.messages += [*messages, *grid.messages, *doubts]
        return cache, survey
