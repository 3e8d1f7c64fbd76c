"""Survey a GeoTIFF of a mosaic: its place, its resolution, the kind of its pixels, and doubts about it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from exporttiles.domain.errors import AreaError, DamagedCacheError, SourceDeniedError, SourceError
from exporttiles.domain.extent import Extent
from exporttiles.domain.mosaic import OpenedFile, RasterFile, Sides, ValueRange
from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference, transformer
from exporttiles.domain.tiling import TilingScheme
from exporttiles.domain.world import period
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.rasters.aligned import aligned_blocks
from exporttiles.formats.rasters.raster import Raster
from exporttiles.ports.objects import ObjectReader, ranged_file
from exporttiles.usecases.inspection.cache_claims import reference_name

_KNOWN_BYTES = 64 * 2**10
"""Limit of the bytes of a raster that the index of a mosaic holds, so that it need not be opened again."""

AUTO: Final = "auto"

_PERCENTILES = (2, 98)
"""Values below and above them are few, such as clouds and their shadows."""

_METADATA = ".aux.xml"
_BESIDE = (".msk", ".ovr", _METADATA)
_METADATA_BYTES = 2**22
_STATED_BESIDE = ("SRS", "GeoTransform", "GCPList", "NoDataValue", "ColorTable")


@dataclass(frozen=True, slots=True)
class Rendering:
    """How tiles are drawn from rasters.

    Attributes:
        tile_format: JPEG, PNG, or MIXED: JPEG, but PNG where pixels are transparent.
        quality: of JPEG tiles, 1-95; None for the default, and for JPEG blocks as they are if they are tiles already.
        source_wkid: coordinate system of the rasters; None if the files state theirs.
        rescale: values of pixels that become 0 and 255, for all bands or for each; `AUTO` for those between which most
            values are; () for pixels of 8 bits as they are.
        bands: numbers, from 1, of the bands that are drawn, see `Mosaic`.
    """

    tile_format: TileFormat = TileFormat.MIXED
    quality: int | None = None
    source_wkid: int | None = None
    rescale: tuple[ValueRange, ...] | Literal["auto"] = ()
    bands: tuple[int, ...] = ()

    @property
    def stated_rescale(self) -> tuple[ValueRange, ...]:
        """Return the values that the user stated."""
        return () if self.rescale == AUTO else self.rescale


@dataclass(frozen=True, slots=True)
class RasterSurvey:
    """A raster, as its mosaic needs to know it.

    Attributes:
        file: its key, and the boxes around it.
        resolution: map units of the scheme per pixel.
        coarsest: the same, of its coarsest level.
        pixels: of its coarsest level.
        reference: name of its coordinate system.
        aligned_levels: of the scheme, whose tiles are blocks of the raster.
        kind: of its pixels.
        doubts: sentences about it that its owner should read.
        opened: the file, and the bytes of it that opening took.
    """

    file: RasterFile
    resolution: float
    coarsest: float
    pixels: int
    reference: str
    aligned_levels: tuple[int, ...]
    kind: str
    doubts: tuple[str, ...]
    opened: OpenedFile


@dataclass(frozen=True, slots=True)
class SurveyRaster:
    """Opens a raster and surveys it for its mosaic.

    Attributes:
        objects: the store of the file.
        scheme: of the tiles.
        rendering: as the user asked for it.
    """

    objects: ObjectReader
    scheme: TilingScheme
    rendering: Rendering

    def __call__(self, key: str) -> RasterSurvey:
        """Return the survey of a raster.

        Raises:
            DamagedCacheError: it is damaged or of a kind that is not supported; the message names it.
            SourceError: there is no such file, or the store failed or did not answer.
        """
        try:
            version = self.objects.version(key) or ""
            raster = self.open(key)
            if self.rendering.rescale != AUTO:
                _require_rescale(raster)
            boxes = self._boxes(raster)
            raster.read_all()
        except KeyError as error:
            raise _missing(key) from error
        except AreaError as error:
            text = (
                f"{key}: It lies outside of the tiling scheme, or of what its coordinate system can express. {error} "
                f"A map of the whole world can be reprojected first: gdalwarp -t_srs EPSG:4326 {key} NEW.tif."
            )
            raise DamagedCacheError(text) from error
        except DamagedCacheError as error:
            raise DamagedCacheError(f"{key}: {error}") from error
        rows, columns = raster.level_shape(len(raster.levels) - 1)
        area = sum((xmax - xmin) * (ymax - ymin) for xmin, ymin, xmax, ymax in boxes)
        resolution = self._resolution(raster) or math.sqrt(area / math.prod(raster.shape))
        return RasterSurvey(
            RasterFile(key, boxes),
            resolution,
            resolution * raster.scales(len(raster.levels) - 1)[0],
            rows * columns,
            reference_name(raster.georeference.spatial_reference),
            tuple(lod.level for lod in self.scheme.lods if aligned_blocks(raster, self.scheme, lod.level)),
            raster.pixels.kind,
            (*_doubts(raster, are_chosen=bool(self.rendering.bands)), *self._files_beside(key)),
            OpenedFile(version, raster.file.size_bytes, _first_known(raster.file)),
        )

    def open(self, key: str) -> Raster:
        """Return an open raster.

        Raises:
            DamagedCacheError: it cannot be read.
            SourceError: there is no such file, or the store failed or did not answer.
        """
        wkid = self.rendering.source_wkid
        stated = SpatialReference(wkid, wkid) if wkid else None
        try:
            return Raster(ranged_file(self.objects, key), stated, self.rendering.stated_rescale, self.rendering.bands)
        except KeyError as error:
            raise _missing(key) from error

    def _files_beside(self, key: str) -> Iterator[str]:
        """Yield sentences about what GDAL would read from files beside a raster, and is not read here.

        Raises:
            DamagedCacheError: there is a mask, without which the picture would be wrong.
            SourceError: the store failed or did not answer.
        """
        try:
            mask, overviews, metadata = self.objects.sizes_bytes([f"{key}{suffix}" for suffix in _BESIDE])
            text = self.objects.read(f"{key}{_METADATA}") if (metadata or 0) in range(1, _METADATA_BYTES) else b""
        except SourceDeniedError:  # S3 denies what does not exist to those who may not list
            return
        if mask is not None:
            raise DamagedCacheError(
                f"{key}.msk: A mask beside the file is not read. Put it in: gdal_translate -of COG {key} NEW.tif."
            )
        if overviews is not None:
            yield "Overviews beside the file (.ovr) are not used. Put them in: gdal_translate -of COG FILE NEW.tif."
        if stated := [name for name in _STATED_BESIDE if f"<{name}".encode() in text]:
            yield (
                f"The file beside it (.aux.xml) states {', '.join(stated)}, which is not read. Put it in: "
                "gdal_translate -of COG FILE NEW.tif."
            )

    def _boxes(self, raster: Raster) -> tuple[Sides, ...]:
        """Return the boxes around a raster, within the world of the scheme.

        Raises:
            AreaError: it lies outside.
        """
        reference, (rows, columns) = raster.georeference.spatial_reference, raster.shape
        x, y = raster.georeference.to_map(np.array([0.0, columns, columns, 0.0]), np.array([0.0, 0.0, rows, rows]))
        ymin, ymax = float(y.min()), float(y.max())
        if reference.is_geographic and (world := period(reference)):
            ymin, ymax = max(ymin, -world.width / 4), min(ymax, world.width / 4)
        found = Extent(float(x.min()), ymin, float(x.max()), ymax, reference).boxes(self.scheme.spatial_reference)
        limit = _world_of(self.scheme)
        inside = [box.intersection(limit) for box in found]
        boxes = tuple(box.sides for box in inside if not box.is_empty)
        if not boxes:
            raise AreaError("Its box lies beyond the world.")
        return boxes

    def _resolution(self, raster: Raster) -> float | None:
        """Return the size of the pixel in the middle, in map units of the scheme; None if it has none there."""
        rows, columns = raster.shape
        x, y = raster.georeference.to_map(
            columns / 2 + np.array([-0.5, 0.5, 0.0, 0.0]), rows / 2 + np.array([0.0, 0.0, -0.5, 0.5])
        )
        found = transformer(raster.georeference.spatial_reference, self.scheme.spatial_reference).transform(x, y)
        (across_x, down_x), (across_y, down_y) = (np.diff(values)[[0, 2]].tolist() for values in found)
        if world := period(self.scheme.spatial_reference):  # it may lie across the edge of the world
            across_x, down_x = (math.remainder(value, world.width) for value in (across_x, down_x))
        area = abs(across_x * down_y - down_x * across_y)
        return math.sqrt(area) if math.isfinite(area) and area > 0 else None


def usual_range(values: NDArray[np.float64]) -> ValueRange | None:
    """Return the values between which most are, with six digits; None if there is no such range."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = (float(f"{value:.6g}") for value in np.percentile(values, _PERCENTILES).tolist())
    return (low, high) if low < high and math.isfinite(high - low) else None


def _require_rescale(raster: Raster) -> None:
    """Refuse a raster if it is not known which values become 0 and 255.

    Raises:
        DamagedCacheError: the message proposes values from its statistics.
    """
    if not raster.pixels.needs_rescale:
        return
    found = usual_range(raster.sample_values())
    proposed = (
        f"--rescale={found[0]:.10g},{found[1]:.10g}, between which 96 % of them are" if found else "--rescale=0,65535"
    )
    raise DamagedCacheError(
        f"Its pixels are {raster.pixels.kind}; which values become black and white has to be said. For example: "
        f"{proposed}; or --rescale={AUTO}, which takes such values of all files together."
    )


def _missing(key: str) -> SourceError:
    return SourceError(f"There is no file {key}.")


def _first_known(file: RangedFile) -> dict[int, bytes]:
    """Return the bytes of a raster that opening it took, up to a limit."""
    ends = accumulate(len(body) for body in file.known.values())
    return {at: body for (at, body), end in zip(file.known.items(), ends, strict=True) if end <= _KNOWN_BYTES}


def _doubts(raster: Raster, *, are_chosen: bool) -> Iterator[str]:
    """Yield sentences about pages and bands of a raster that may not be drawn as meant."""
    pixels = raster.pixels
    if raster.page_count > 1:
        pages = f"It holds {raster.page_count} pictures; only the first one is drawn"
        yield f"{pages}. Take out another: gdal_translate -of COG GTIFF_DIR:2:FILE NEW.tif."
    if pixels.is_alpha_drawn:
        yield "The file states that one of the bands in --bands is its transparency; it is drawn as a colour."
    if pixels.bands_left_out and not are_chosen:
        numbers = [band + 1 for band in pixels.colours]
        gray, rgb = f"band {numbers[0]} is drawn, as gray", "are drawn, as red, green and blue"
        drawn = gray if len(numbers) == 1 else f"bands {', '.join(map(str, numbers))} {rgb}"
        yield f"Of its {pixels.band_count} bands, only {drawn}; --bands chooses others."


def _world_of(scheme: TilingScheme) -> Extent:
    """Return the extent that the tiles of a scheme can cover."""
    world = period(scheme.spatial_reference)
    if world is None:
        return scheme.extent
    height = world.width / (4 if scheme.spatial_reference.is_geographic else 2)
    return Extent(world.start, -height, world.start + world.width, height, scheme.spatial_reference)
