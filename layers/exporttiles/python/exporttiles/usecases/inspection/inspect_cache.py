"""Describe a tile cache as a service.

The tiling scheme comes from the cache's own documents, or is a well-known one
that fits the listing. The format comes from a sample of the tiles.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.mosaic import MosaicOrder
from exporttiles.domain.service import CacheLayout, ImageService, TileCache, TileFormat
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.domain.wording import counted
from exporttiles.formats.caches.documents import CacheInfo
from exporttiles.formats.caches.listed_tiles import ListedBundles, ListedFiles, only_one
from exporttiles.formats.caches.listing import RASTERS, CacheListing
from exporttiles.formats.caches.stac import STAC_SUFFIX, StacReader
from exporttiles.formats.caches.tile_tables import DATABASES, read_tile_table
from exporttiles.formats.esri.tiling_schemes import snap_to_well_known
from exporttiles.formats.tiles.tile_format import detect_format, tile_side
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.inspection.cache_claims import (
    TILES,
    Sources,
    contradictions,
    settle_extent,
    snapped,
    statement,
)
from exporttiles.usecases.inspection.find_documents import documents_of_files, find_documents, passed_over
from exporttiles.usecases.inspection.find_rasters import FindRasters
from exporttiles.usecases.inspection.inspect_rasters import InspectRasters
from exporttiles.usecases.inspection.readings import XYZ, FileOrder, Reading, settle_level_base
from exporttiles.usecases.inspection.survey import Survey, survey_bundles, survey_files, survey_pmtiles
from exporttiles.usecases.inspection.survey_raster import Rendering
from exporttiles.usecases.inspection.survey_table import info_of, mbtiles_rows, survey_table
from exporttiles.usecases.inspection.tile_grid import TileGrid, settle_grid

MAX_DOCUMENT_BYTES = 16 * 2**20

Reader = Callable[[ObjectReader, TileCache], TileSource]
"""Opens a cache once its layout is known."""


@dataclass(frozen=True, slots=True)
class InspectedCache:
    """A cache as an image service, with messages for its owner.

    Attributes:
        service: with the texts that the cache states.
        messages: the documents and assumptions that the service rests on, and
            warnings about what looks wrong.
    """

    service: ImageService
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class InspectCache:
    """Describes caches.

    Attributes:
        objects: the store of the cache.
        reader: opens the cache once its layout is known.
        scheme: for a cache without a document that states one.
        order: of the numbers in file paths.
        is_scheme_chosen: `scheme` is the user's choice, not assumed.
        layer: of tiles in a database that has several.
        scheme_source: where `scheme` comes from, as `Sources` has it.
        rendering: of tiles that are drawn from rasters.
        asset: of STAC items that have several rasters.
        files: keys of the GeoTIFFs that the user lists; none for all of a folder.
        mosaic_order: of GeoTIFFs; None for that of the list, by name in a folder, and by date in STAC.
    """

    objects: ObjectReader
    reader: Reader
    scheme: TilingScheme
    order: FileOrder = XYZ
    is_scheme_chosen: bool = False
    layer: str = ""
    scheme_source: str = "assumed, as no document states one (--scheme names another)"
    rendering: Rendering = field(default_factory=Rendering)
    asset: str = ""
    files: tuple[str, ...] = ()
    mosaic_order: MosaicOrder | None = None

    def __call__(self, name: str, url: str) -> InspectedCache:
        """Return the service that a cache makes up.

        Args:
            name: of the service.
            url: where the cache lies: a folder, or a .tpkx, .tpk, .pmtiles, .mbtiles, .gpkg or .tif, or a
                .json of STAC.

        Raises:
            DamagedCacheError: there is no readable cache; the message says why.
            SourceError: the store failed or did not answer.
        """
        doubts: list[Message] = []
        if self.files:
            return self._inspect_rasters(name, url, *self._in_order(self.files, MosaicOrder.GIVEN))
        if url.lower().endswith(STAC_SUFFIX):
            return self._inspect_stac(name, url)
        if url.lower().endswith(DATABASES):
            cache, survey, info = self._survey_database(url)
        else:
            listing = self._listing(url)
            if listing.is_rasters:
                keys, stated = self._in_order(sorted(listing.rasters), MosaicOrder.NAME)
                return self._inspect_rasters(name, url, keys, [*stated, *listing.rasters_left_out])
            info, doubts = self._documents(listing)
            cache, survey = self._survey(url, listing, info)
        found = self._inspected(name, cache, survey, info)
        return replace(found, messages=(*found.messages, *doubts, *self._unused_options(cache, info)))

    def _in_order(self, keys: Sequence[str], default: MosaicOrder) -> tuple[Sequence[str], list[Message]]:
        """Return the keys of GeoTIFFs in the order of the mosaic, and a message about it.

        Raises:
            DamagedCacheError: the order of the files is not known.
            SourceError: the store failed or did not answer.
        """
        order = self.mosaic_order or default
        if order is MosaicOrder.GIVEN and default is not MosaicOrder.GIVEN:
            raise DamagedCacheError(
                "--mosaic-order given: a folder states no order. Use name or date, or list the files."
            )
        if order is MosaicOrder.NAME:
            keys = sorted(keys)
        if order is MosaicOrder.DATE:
            written = dict(zip(keys, self.objects.modified_at(keys), strict=True))
            keys = sorted(keys, key=lambda key: written[key] or datetime.min.replace(tzinfo=UTC))
        if len(keys) < 2:
            return keys, []
        rule = {
            MosaicOrder.GIVEN: "as they are listed",
            MosaicOrder.NAME: "by name",
            MosaicOrder.DATE: "by the time at which they were written",
        }[order]
        text = f"Order: {rule}; later files cover earlier ones, and {keys[-1]} lies on top (--mosaic-order)."
        return keys, [Message(MessageKind.INFORMATIVE, text)]

    def _inspect_rasters(
        self, name: str, url: str, keys: Sequence[str], stated: Sequence[Message] = (), *, is_stac: bool = False
    ) -> InspectedCache:
        source = self.scheme_source if self.is_scheme_chosen else "assumed (--scheme names another)"
        inspect = InspectRasters(self.objects, self.reader, self.scheme, source, self.rendering)
        service, messages = inspect(name, url, keys)
        unused = self._unused_options(service.cache, None, is_stac=is_stac)
        return InspectedCache(service, (*messages, *stated, *unused))

    def _inspect_stac(self, name: str, url: str) -> InspectedCache:
        folder, _, document = url.rpartition("/")
        rasters = FindRasters(self.objects, StacReader(folder, self.asset), self.mosaic_order)(document)
        found = self._inspect_rasters(name, folder, rasters.keys, is_stac=True)
        service = replace(
            found.service,
            title=rasters.title,
            description=rasters.description,
            copyright_text=rasters.copyright_text,
        )
        return InspectedCache(service, (*rasters.messages, *found.messages))

    def _survey(self, url: str, listing: CacheListing, info: CacheInfo | None) -> tuple[TileCache, Survey]:
        """Return the cache with its layout, and the survey of its tiles."""
        if listing.bundles.levels:
            cache, survey = self._survey_bundles(url, listing.bundles, info)
        elif files := listing.files:
            cache, survey = self._survey_files(url, files, listing.documents, info)
        elif listing.archives:
            cache = TileCache(url, CacheLayout.PMTILES, only_one(listing.archives, "archives"), 1)
            survey = survey_pmtiles(self.objects, cache, self.reader(self.objects, cache), self._scheme(info))
        else:
            raise DamagedCacheError(listing.refusal)
        survey.messages += listing.left_out
        if not self._is_scheme_known(info) and (listing.bundles.levels or listing.exploded):
            survey.messages += passed_over(listing.documents)
        return cache, survey

    def _survey_database(self, url: str) -> tuple[TileCache, Survey, CacheInfo | None]:
        """Return the cache, the survey of its tiles, and what a GeoPackage says about itself."""
        table = read_tile_table(Path(url.removeprefix("file://")), self.layer)
        cache = TileCache(url, CacheLayout.DATABASE, table.name, 1)
        info = None
        if table.scheme:
            info = info_of(table, table.scheme, url.rpartition("/")[2])
        elif self.order.is_from_bottom is not False:
            cache = replace(cache, level_rows=mbtiles_rows(table))
        survey = survey_table(self.reader(self.objects, cache), cache, table, self._scheme(info), self.order)
        return cache, survey, info

    def _survey_bundles(self, url: str, listed: ListedBundles, info: CacheInfo | None) -> tuple[TileCache, Survey]:
        stated_extent = info.full_extent if info else None
        base, messages = settle_level_base(listed, self._scheme(info), stated_extent, self.order)
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

    def _survey_files(
        self, url: str, listed: ListedFiles, documents: Collection[str], info: CacheInfo | None
    ) -> tuple[TileCache, Survey]:
        scheme, stated_extent = self._scheme(info), info.full_extent if info else None
        base, messages = settle_level_base(listed, scheme, stated_extent, self.order)
        near, doubts = ([], []) if listed.is_exploded else documents_of_files(documents, listed.prefixes)
        grid = settle_grid(
            self._document,
            near,
            listed.spans(base),
            scheme,
            is_scheme_known=self._is_scheme_known(info),
            is_from_bottom=self.order.is_from_bottom,
        )
        cache, survey = survey_files(self.objects, url, listed, grid, base)
        survey.messages += [*messages, *grid.messages, *doubts]
        return cache, survey

    def _scheme(self, info: CacheInfo | None) -> TilingScheme:
        """Return the scheme that a document of ArcGIS states, or else the chosen or assumed one."""
        return info.tiling_scheme if info else self.scheme

    def _is_scheme_known(self, info: CacheInfo | None) -> bool:
        return info is not None or self.is_scheme_chosen

    def _listing(self, url: str) -> CacheListing:
        name = url.rpartition("/")[2]
        if name.lower().endswith((".pmtiles", *(f".{extension}" for extension in RASTERS))):
            (size,) = self.objects.sizes_bytes([name])
            return CacheListing.of([(name, size)] if size is not None else [])
        objects = ((stored.key, stored.size_bytes) for stored in self.objects.list(""))
        return CacheListing.of(objects, is_row_first=self.order.is_row_first)

    def _unused_options(self, cache: TileCache, info: CacheInfo | None, *, is_stac: bool = False) -> list[Message]:
        """Return warnings that choices of the user have no effect on this cache."""
        unused = []
        if info and self.is_scheme_chosen and self.scheme != info.tiling_scheme:
            unused.append(f"--scheme is not used: {info.document} states the tiling scheme.")
        if self.layer and cache.layout is not CacheLayout.DATABASE:
            unused.append("--layer is not used: it names a table of a GeoPackage.")
        has_rows = cache.layout is CacheLayout.FILES or (cache.layout is CacheLayout.DATABASE and info is None)
        if not has_rows and replace(self.order, has_hexadecimal_levels=None) != XYZ:
            unused.append("Options about the rows of files are not used: the tiles are not files of their own.")
        if cache.layout is not CacheLayout.RASTERS and self.rendering.source_wkid:
            unused.append("--source-wkid is not used: there are tiles, which are not reprojected.")
        if cache.layout is not CacheLayout.RASTERS and self.rendering.rescale:
            unused.append("--rescale is not used: there are tiles, whose values are not changed.")
        if cache.layout is not CacheLayout.RASTERS and self.rendering.bands:
            unused.append("--bands is not used: there are tiles, whose bands are not known.")
        if cache.layout is not CacheLayout.RASTERS and self.mosaic_order:
            unused.append("--mosaic-order is not used: there are tiles, which do not overlap.")
        if self.asset and not is_stac:
            unused.append("--asset is not used: it names an asset of STAC items.")
        return [Message(MessageKind.WARNING, text) for text in unused]

    def _inspected(self, name: str, cache: TileCache, survey: Survey, info: CacheInfo | None) -> InspectedCache:
        tile_format, quality = detect_format(survey.tiles, info.tile_format if info else None)
        grid = survey.grid or TileGrid(Reading(self._scheme(info)))
        document = info.document if info else grid.scheme_source
        own = _fitting(
            grid.reading.scheme,
            tile_side(survey.tiles),
            is_own=info is not None,
            source=document or "the tiling scheme",
        )
        scheme = snap_to_well_known(own)
        _require_levels(scheme, survey.levels)
        claim = info or survey
        full_extent, warnings = settle_extent(scheme, survey.levels, claim.full_extent, claim.extent_source)
        service = ImageService(
            name=name,
            cache=replace(cache, average_tile_bytes=survey.average_tile_bytes),
            tiling_scheme=scheme,
            min_level=min(survey.levels),
            max_level=max(survey.levels),
            tile_format=tile_format,
            compression_quality=_quality(info, tile_format, quality),
            lerc_error=info.lerc_error if info else 0.0,
            full_extent=full_extent,
            description=survey.description,
            copyright_text=survey.attribution,
        )
        is_format_stated = info is not None and info.tile_format == tile_format
        sources = Sources(
            scheme=f"from {document}" if document else self.scheme_source,
            tile_format=info.document if info and is_format_stated else TILES,
            extent=claim.extent_source if claim.full_extent else TILES,
            row_order=grid.row_order,
        )
        messages = [*statement(service, sources), *snapped(own, scheme), *contradictions(service, info)]
        return InspectedCache(service, (*messages, *warnings, *survey.messages))

    def _documents(self, listing: CacheListing) -> tuple[CacheInfo | None, list[Message]]:
        folders = listing.bundles.folders or (listing.files.prefixes if listing.files else ())
        return find_documents(self._document, listing.documents, folders)

    def _document(self, key: str) -> bytes:
        body, size = self.objects.read_start(key, MAX_DOCUMENT_BYTES)
        if size > MAX_DOCUMENT_BYTES:
            raise DamagedCacheError(f"{key} has {counted(size, 'byte')}; it is not read.")
        return bytes(body)


def _fitting(scheme: TilingScheme, side: int | None, *, is_own: bool, source: str) -> TilingScheme:
    """Adapt a scheme to the size of the tiles in pixels.

    A well-known scheme has the same tiles, in number and place, whether they
    are drawn with 256 pixels or with 512; a cache's own says what it means.
    """
    if side is None or side == scheme.tile_size:
        return scheme
    finer = next((step for step in range(1, 4) if side == scheme.tile_size << step), None)
    if is_own or finer is None:
        raise DamagedCacheError(
            f"The tiles are {side} x {side} pixels; {source} has {scheme.tile_size} x {scheme.tile_size}."
        )
    lods = zip(scheme.lods, scheme.lods[finer:], strict=False)
    return replace(scheme, tile_size=side, lods=tuple(replace(fine, level=lod.level) for lod, fine in lods))


def _quality(info: CacheInfo | None, tile_format: TileFormat, found: int) -> int:
    """Return the JPEG quality that a document states for its format, or else the estimate from the tiles."""
    is_stated = info is not None and info.tile_format == tile_format and info.compression_quality is not None
    return info.compression_quality or 0 if info and is_stated else found


def _require_levels(scheme: TilingScheme, levels: Mapping[int, TileRange]) -> None:
    known = {lod.level for lod in scheme.lods}
    if strange := sorted(set(levels) - known):
        raise DamagedCacheError(
            f"There are tiles of level {strange[0]}; the tiling scheme has the levels {min(known)}-{max(known)}."
        )
