"""Describe GeoTIFFs as a service: their tiles are drawn when they are asked for."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.mosaic import Sides, ValueRange, coarsest_level, finest_level
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.domain.service import CacheLayout, ImageService, Mosaic, TileCache, TileFormat
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex, TileRange, TilingScheme
from exporttiles.domain.wording import counted, level_names
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import TileSource
from exporttiles.usecases.inspection.cache_claims import reference_name
from exporttiles.usecases.inspection.survey_raster import AUTO, RasterSurvey, Rendering, SurveyRaster, usual_range

MAX_FILES = 10_000
"""Limit of the rasters of a mosaic: each is opened at publishing, and every step reads where all of them lie."""

MAX_TILE_PIXELS = 2**24
"""Limit of the pixels that are read for one tile: about a second of work."""

_FILE_PIXELS = 2**13
"""Pixels that a file counts as, besides its own: a tile of 2,000 files takes some 10 s, and a request may take 30 s."""

_OPENERS = 32
"""Rasters that are opened at a time."""

_SAMPLED_FILES = 16
_SAMPLED_TILES = 16
_DEFAULT_QUALITY = 80


@dataclass(frozen=True, slots=True)
class InspectRasters:
    """Describes rasters.

    Attributes:
        objects: the store of the files.
        reader: opens the mosaic, to draw a sample.
        scheme: of the tiles.
        scheme_source: where `scheme` comes from.
    """

    objects: ObjectReader
    reader: Callable[[ObjectReader, TileCache], TileSource]
    scheme: TilingScheme
    scheme_source: str
    rendering: Rendering

    def __call__(self, name: str, url: str, keys: Sequence[str]) -> tuple[ImageService, list[Message]]:
        """Return the service, and messages for its owner.

        Args:
            name: of the service.
            url: where the files lie.
            keys: of the files; those at the end cover those before.

        Raises:
            DamagedCacheError: a file is damaged or of a kind that is not supported; the message names it.
            SourceError: the store failed or did not answer.
        """
        if len(keys) > MAX_FILES:
            raise DamagedCacheError(
                f"There are {len(keys):,} GeoTIFFs; a mosaic may have {MAX_FILES:,}. Join them first: gdalbuildvrt and "
                "gdal_translate -of COG."
            )
        survey = SurveyRaster(self.objects, self.scheme, self.rendering)
        with ThreadPoolExecutor(_OPENERS, thread_name_prefix="open") as openers:
            surveyed = list(openers.map(survey, keys))
        rescale = (
            self.rendering.stated_rescale if self.rendering.rescale != AUTO else self._usual_range(survey, surveyed)
        )
        extent = _around([box for each in surveyed for box in each.file.boxes], self.scheme)
        finest = finest_level(self.scheme, min(each.resolution for each in surveyed))
        least = coarsest_level(self.scheme, max(extent.xmax - extent.xmin, extent.ymax - extent.ymin), finest)
        coarsest, costly = self._affordable(surveyed, least, finest)
        mosaic = Mosaic(
            self.scheme,
            self.rendering.tile_format,
            self.rendering.quality or _DEFAULT_QUALITY,
            self.rendering.source_wkid,
            copies_blocks=self._copies_blocks,
            rescale=rescale,
            bands=self.rendering.bands,
            file_count=len(surveyed),
            files=MosaicFiles.of([each.file for each in surveyed], [each.opened for each in surveyed]),
        )
        cache = TileCache(url, CacheLayout.RASTERS, "", 1, mosaic=mosaic)
        service = ImageService(
            name=name,
            cache=replace(cache, average_tile_bytes=self._average_tile_bytes(cache, finest)),
            tiling_scheme=self.scheme,
            min_level=coarsest,
            max_level=finest,
            tile_format=mosaic.tile_format,
            compression_quality=0 if mosaic.tile_format is TileFormat.PNG else mosaic.quality,
            full_extent=extent,
        )
        warnings = [*_doubtful(surveyed), *_kinds_rescaled(surveyed, rescale), *_warnings(least, coarsest, costly)]
        return service, [*self._statement(service, surveyed), *warnings]

    def _usual_range(self, survey: SurveyRaster, surveyed: Sequence[RasterSurvey]) -> tuple[ValueRange, ...]:
        """Return the range of most values, from a sample of the coarsest pixels of all rasters: one for all bands.

        Raises:
            DamagedCacheError: they are of several kinds, or all values are equal.
        """
        first = surveyed[0]
        for each in surveyed:
            if each.kind != first.kind:
                raise DamagedCacheError(
                    f"{each.file.key}: Its pixels are {each.kind}, and those of {first.file.key} {first.kind}. "
                    f"--rescale={AUTO} takes files of one kind; state the range of all: --rescale=MIN,MAX."
                )
        sampled = [survey.open(each.file.key) for each in surveyed[:: -(-len(surveyed) // _SAMPLED_FILES)]]
        found = usual_range(np.concatenate([raster.sample_values() for raster in sampled]))
        if found is None:
            raise DamagedCacheError(
                f"{first.file.key}: --rescale={AUTO} finds no range, for all values are equal, or none is valid. State "
                "it: --rescale=MIN,MAX."
            )
        return (found,)

    @property
    def _copies_blocks(self) -> bool:
        is_unchanged = self.rendering.quality is None and not self.rendering.rescale and not self.rendering.bands
        return is_unchanged and self.rendering.tile_format is not TileFormat.PNG

    def _affordable(self, surveyed: Sequence[RasterSurvey], least: int, finest: int) -> tuple[int, str]:
        """Return the coarsest level whose tiles read few enough pixels, and the file that reads too many before."""
        costly = ""
        for level in [lod.level for lod in self.scheme.lods if least <= lod.level <= finest]:
            found = self._costly(surveyed, level)
            if not found:
                return level, costly
            costly = costly or found
        raise DamagedCacheError(f"{costly}: {_advice(costly)}")

    def _costly(self, surveyed: Sequence[RasterSurvey], level: int) -> str:
        """Return the file with which a tile of a level reads too many pixels; '' if there is none."""
        pixels = Counter[tuple[int, int]]()
        side = self.scheme.tile_span(level)
        for each in surveyed:
            read = _FILE_PIXELS + min(each.pixels, round((side / each.coarsest) ** 2))
            for box in each.file.boxes:
                tiles = self.scheme.tile_range(Extent(*box, self.scheme.spatial_reference), level)
                rows, columns = (range(tiles.row_start, tiles.row_stop), range(tiles.column_start, tiles.column_stop))
                for place in [(row, column) for row in rows[:4] for column in columns[:4]]:
                    pixels[place] += read
                    if pixels[place] > MAX_TILE_PIXELS:
                        return each.file.key
        return ""

    def _average_tile_bytes(self, cache: TileCache, level: int) -> int:
        """Return the mean size of some tiles in the middle of the rasters.

        Raises:
            DamagedCacheError: none of them can be drawn.
        """
        source, sizes = self.reader(self.objects, cache), []
        files = (cache.mosaic and cache.mosaic.files) or ()
        for file in files[:: max(1, len(files) // _SAMPLED_TILES)]:
            xmin, ymin, xmax, ymax = file.boxes[0]
            found = self.scheme.tile_range(Extent(xmin, ymin, xmax, ymax, self.scheme.spatial_reference), level)
            row, column = (found.row_start + found.row_stop) // 2, (found.column_start + found.column_stop) // 2
            bundle = BundleIndex.of_tile(level, row, column)
            some = TileRange(level, row - 1, row + 2, column - 1, column + 2).intersection(bundle.tile_range)
            selected = np.zeros((PACKET_SIZE, PACKET_SIZE), np.bool_)
            selected[bundle.slices(some)] = True
            drawn = [len(tile) for _, tile in source.read_bundle(bundle, selected)]
            if drawn and not all(drawn):
                raise DamagedCacheError(f"{file.key}: Its pixels cannot be decoded. The file is damaged or incomplete.")
            sizes += drawn
        return max(1, sum(sizes) // len(sizes)) if sizes else 4 * 2**10

    def _statement(self, service: ImageService, surveyed: Sequence[RasterSurvey]) -> list[Message]:
        reference = self.scheme.spatial_reference
        sources = sorted({each.reference for each in surveyed})
        shown = ", ".join(sources[:3]) + (", and others" if len(sources) > 3 else "")
        pixel = min(each.resolution for each in surveyed)
        levels = level_names(list(range(service.min_level, service.max_level + 1)))
        quality = f", JPEG of quality {service.compression_quality}" if service.compression_quality else ""
        extent = ", ".join(f"{side:.10g}" for side in service.full_extent.sides)
        scheme = f"Tiling scheme {self.scheme_source}: {reference_name(reference)}, {self.scheme.tile_size} px."
        rasters = (
            f"Rasters: {counted(len(surveyed), 'GeoTIFF')} in {shown}; the finest pixels are {pixel:.3g} map units "
            f"wide. Tiles of {levels} are drawn: from about one tile to pixels of the nearest size."
        )
        if service.cache.mosaic:
            rasters += self._values_shown(service.cache.mosaic, len(surveyed))
        tiles = f"Tiles: format {service.tile_format}{quality}; extent {extent}."
        copied = sorted({level for each in surveyed for level in each.aligned_levels})
        if copied and service.cache.mosaic and service.cache.mosaic.copies_blocks:
            tiles += f" JPEG blocks that are tiles of {level_names(copied)} already are copied as they are."
        return [Message(MessageKind.INFORMATIVE, text) for text in (scheme, rasters, tiles)]

    def _values_shown(self, mosaic: Mosaic, file_count: int) -> str:
        """Return sentences on the bands and values that are drawn, where these were chosen."""
        text = ""
        if len(mosaic.bands) == 1:
            text += f" Band {mosaic.bands[0]} is drawn, as gray."
        elif mosaic.bands:
            text += f" Bands {', '.join(map(str, mosaic.bands))} are drawn, as red, green and blue."
        if mosaic.rescale:
            ranges = "; ".join(f"{low:.10g} becomes black, {high:.10g} white" for low, high in mosaic.rescale)
            text += f" Pixel values: {ranges}"
            if self.rendering.rescale == AUTO:
                sampled = counted(min(file_count, _SAMPLED_FILES), "file")
                option = ",".join(f"{value:.10g}" for value in mosaic.rescale[0])
                text += f"; 96 % of a sample of {sampled} lie between them (--rescale={option})"
            text += "."
        return text


def _doubtful(surveyed: Sequence[RasterSurvey]) -> Iterator[Message]:
    """Yield a warning for each doubt, which names the first file that it is about."""
    files: defaultdict[str, list[str]] = defaultdict(list)
    for each in surveyed:
        for doubt in each.doubts:
            files[doubt].append(each.file.key)
    for doubt, (first, *others) in files.items():
        more = f" So it is in {counted(len(others), 'other file')}." if others else ""
        yield Message(MessageKind.WARNING, f"{first}: {doubt}{more}")


def _kinds_rescaled(surveyed: Sequence[RasterSurvey], rescale: Sequence[ValueRange]) -> Iterator[Message]:
    """Yield a warning if the same values are stated for pixels of several kinds."""
    first_of = {each.kind: each.file.key for each in reversed(surveyed)}
    if rescale and len(first_of) > 1:
        kinds = "; ".join(f"those of {key} are {kind}" for kind, key in first_of.items())
        text = f"--rescale: The same values become black and white in all files, though pixels differ: {kinds}."
        yield Message(MessageKind.WARNING, text)


def _warnings(least: int, coarsest: int, costly: str) -> list[Message]:
    if coarsest == least:
        return []
    left_out = level_names(list(range(least, coarsest)))
    return [Message(MessageKind.WARNING, f"{left_out[0].upper()}{left_out[1:]}: left out. {costly}: {_advice(costly)}")]


def _advice(key: str) -> str:
    return (
        f"A tile would read more than {MAX_TILE_PIXELS:,} pixels, each file counting {_FILE_PIXELS:,}. There are "
        f"no overviews, too few, or too many files. Add overviews: gdaladdo -r average {key} 2 4 8 16 32 64; or join "
        "them: gdalbuildvrt, then gdal_translate -of COG."
    )


def _around(boxes: Sequence[Sides], scheme: TilingScheme) -> Extent:
    lower_x, lower_y, upper_x, upper_y = zip(*boxes, strict=True)
    return Extent(min(lower_x), min(lower_y), max(upper_x), max(upper_y), scheme.spatial_reference)
