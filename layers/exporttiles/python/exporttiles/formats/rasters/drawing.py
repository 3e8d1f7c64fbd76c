"""Draw tiles from rasters: reproject, interpolate, lay one raster over another, and encode.

Pixels are interpolated bilinearly. Where the raster is finer than the drawing, it is blurred first, so that the
kernel is as wide as that of GDAL, whose kernel grows with the ratio.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from exporttiles.domain.mosaic import RasterFile
from exporttiles.domain.service import Mosaic, TileFormat
from exporttiles.domain.spatial_reference import transformer
from exporttiles.domain.tiling import TileRange, TilingScheme
from exporttiles.domain.world import period
from exporttiles.formats.rasters.mesh import Floats, Mesh, ToSource, mesh
from exporttiles.formats.rasters.raster import Block, Raster, Window
from exporttiles.formats.tiles.codec import IMAGERY_PNG_OPTIONS

MAX_READ_PIXELS = 2**26
"""Limit of the pixels of a raster that are read for one drawing."""

_MAX_SOURCE_PIXELS = 20 * 2**20
"""Limit of the pixels that are left when these are averaged: three pictures of 80 MiB."""

_MAX_BLOCKS = 2**16
_MARGIN = 2  # pixels around a window: interpolation takes one, the blur another
_EDGE_PIXELS = 0.01  # places that rounding puts outside of the raster by less are on its edge
_SHARP = 1.1  # up to this ratio nothing is blurred
_AVERAGED = 2.45  # from this ratio on, squares of two pixels are averaged: then they need little blur
_MAX_BLUR = 1.2
_ONE_PIXEL = 2 / 3  # variance of a blur of radius 1
_OPAQUE, _HALF = 255, 120  # a little below the middle, so that two rasters that meet leave no gap
_THRESHOLD = [0 if value < _HALF else _OPAQUE for value in range(256)]


@dataclass(frozen=True, slots=True)
class PlacedRaster:
    """A raster, and how it lies in a drawing of tiles.

    Attributes:
        level: of the raster that is read.
        window: in pixels of that level.
        steps: width and height of the rectangles of its pixels that are averaged before they are drawn.
        is_covering: it lies in every pixel of the drawing.
    """

    raster: Raster
    mesh: Mesh
    level: int
    window: Window
    steps: tuple[int, int]
    is_covering: bool

    @property
    def blocks(self) -> Iterator[Block]:
        """Yield the blocks that are read."""
        return self.raster.blocks_in(self.level, self.window)

    @property
    def is_too_large(self) -> bool:
        """Return True if it takes too many pixels at a time."""
        left, top, right, bottom = self.window
        pixels = (right - left) * (bottom - top)
        is_large = pixels > MAX_READ_PIXELS or pixels > _MAX_SOURCE_PIXELS * math.prod(self.steps)
        return is_large or self.raster.block_count(self.level, self.window) > _MAX_BLOCKS

    @property
    def hides_others(self) -> bool:
        """Return True if no raster below it shows.

        Raises:
            DamagedCacheError, SourceError: as `Raster.spans`.
        """
        is_opaque = self.is_covering and not self.raster.may_be_transparent
        return is_opaque and all(self.raster.spans(block) for block in self.blocks)

    @property
    def is_blank(self) -> bool:
        """Return True if none of its blocks is stored, so that all of it is transparent.

        Raises:
            DamagedCacheError, SourceError: as `Raster.spans`.
        """
        return not any(self.raster.spans(block) for block in self.blocks)

    @property
    def box(self) -> Window:
        """Return the part of the drawing that it lies in."""
        (left, top), (right, bottom) = self.mesh.cells[:, :2].min(axis=0), self.mesh.cells[:, 2:].max(axis=0)
        return int(left), int(top), int(right), int(bottom)

    def draw(self, decoded: Callable[[Block], Image.Image | None]) -> Image.Image:
        """Return its part of the drawing: RGB if it is opaque, otherwise RGBA.

        Args:
            decoded: see `Raster.draw`.
        """
        left, top, right, bottom = self.box
        size = right - left, bottom - top
        source = self.raster.draw(self.level, self.window, self.steps, decoded)
        is_opaque = source.mode == "RGB"
        if not is_opaque:
            source = source.convert("RGBa")
        scales = self.raster.scales(self.level)
        radii = [_blur_radius(*axis) for axis in zip(self.mesh.ratios, scales, self.steps, strict=True)]
        if any(radii):
            source = source.filter(ImageFilter.BoxBlur(radii))
        corners = (self.mesh.corners / scales - self.window[:2]) / self.steps
        quads = list(
            zip(
                map(tuple, (self.mesh.cells - (left, top, left, top)).tolist()),
                map(tuple, corners.reshape(-1, 8).tolist()),
                strict=True,
            )
        )
        drawn = source.transform(size, Image.Transform.MESH, quads, Image.Resampling.BILINEAR)
        if is_opaque and not self.is_covering:
            is_inside = np.all((corners >= 0) & (corners <= source.size), axis=(1, 2))
            at_edge = [quads[number] for number in np.flatnonzero(~is_inside)]
            alpha = Image.new("L", source.size, _OPAQUE).transform(size, Image.Transform.MESH, at_edge)
            for number in np.flatnonzero(is_inside):
                alpha.paste(_OPAQUE, quads[number][0])
            drawn.putalpha(alpha)
        if is_opaque:
            return drawn
        drawn = drawn.convert("RGBA")
        if not self.raster.has_alpha:
            drawn.putalpha(drawn.getchannel("A").point(_THRESHOLD))
        return drawn


def place(raster: Raster, file: RasterFile, scheme: TilingScheme, tiles: TileRange) -> PlacedRaster | None:
    """Return how a raster lies in a drawing of a square block of tiles; None if it does not meet them.

    Args:
        raster: the raster.
        file: the boxes around it.
        scheme: of the tiles.
        tiles: the block.
    """
    resolution, side = scheme.lod(tiles.level).resolution, (tiles.row_stop - tiles.row_start) * scheme.tile_size
    left = scheme.origin_x + tiles.column_start * scheme.tile_span(tiles.level)
    top = scheme.origin_y - tiles.row_start * scheme.tile_span(tiles.level)
    extent = (left, top - side * resolution, left + side * resolution, top)
    to_source = _to_source(raster, scheme, left, top, resolution)
    meshes = []
    for xmin, ymin, xmax, ymax in file.overlap(extent):
        window = (
            max(0, math.floor((xmin - left) / resolution) - 1),
            max(0, math.floor((top - ymax) / resolution) - 1),
            min(side, math.ceil((xmax - left) / resolution) + 1),
            min(side, math.ceil((top - ymin) / resolution) + 1),
        )
        meshes.append((window, mesh(to_source, window, scheme.tile_size)))
    rows, columns = raster.shape
    held = [found.within(columns, rows) for _, found in meshes]
    whole = Mesh(
        np.concatenate([np.empty((0, 4), np.int64), *(found.cells for found in held)]),
        np.concatenate([np.empty((0, 4, 2)), *(found.corners for found in held)]),
        is_whole=[window for window, _ in meshes] == [(0, 0, side, side)] and held[0].is_whole,
    )
    return _placed(raster, whole) if len(whole.cells) else None


def _placed(raster: Raster, found: Mesh) -> PlacedRaster:
    level = raster.level_for(math.sqrt(math.prod(found.ratios)))
    scales = raster.scales(level)
    steps = np.array([_step(*axis) for axis in zip(found.ratios, scales, strict=True)])
    places, (rows, columns) = found.corners / scales, raster.level_shape(level)
    low, high = places.min(axis=(0, 1)) / steps - _MARGIN, places.max(axis=(0, 1)) / steps + _MARGIN
    left, top = (np.maximum(0, np.floor(low).astype(np.int64)) * steps).tolist()
    right, bottom = np.minimum((columns, rows), np.ceil(high).astype(np.int64) * steps).tolist()
    inside = (found.corners >= 0).all() and (found.corners <= raster.shape[::-1]).all()
    is_covering = bool(found.is_whole and inside)
    return PlacedRaster(raster, found, level, (left, top, right, bottom), (int(steps[0]), int(steps[1])), is_covering)


def _step(ratio: float, scale: float) -> int:
    """Return how many pixels of a level are averaged along one axis.

    Args:
        ratio: pixels in full resolution that a pixel of the drawing is wide.
        scale: the same, of a pixel of the level.
    """
    return 1 << math.floor(math.log2(max(1.0, 2 * ratio / scale / _AVERAGED)))


def _to_source(raster: Raster, scheme: TilingScheme, left: float, top: float, resolution: float) -> ToSource:
    """Return the mapping from pixels of a drawing to pixels of a raster in full resolution."""
    georeference, rows, columns = raster.georeference, *raster.shape
    change = transformer(scheme.spatial_reference, georeference.spatial_reference)
    world = period(georeference.spatial_reference)
    middle = float(georeference.to_map(np.array(columns / 2), np.array(rows / 2))[0])
    centre = np.array([columns / 2, rows / 2])
    shrink = 1 - _EDGE_PIXELS / centre

    def to_source(column: Floats, row: Floats) -> tuple[Floats, Floats]:
        x, y = change.transform(left + column * resolution, top - row * resolution)
        with np.errstate(invalid="ignore"):
            if world is not None:  # the turn of the world that is nearest to the raster
                x = x - world.width * np.rint((x - middle) / world.width)
            found = georeference.to_pixels(x, y)
            across, down = (centre + (np.stack(found, axis=-1) - centre) * shrink).T
        return across, down

    return to_source


def _blur_radius(ratio: float, scale: float, step: int) -> float:
    """Return the radius of the box blur that makes averaging, blur and interpolation a triangle as wide as the ratio.

    The variances of kernels add up. In averaged pixels, that of the triangle is ratio^2 / 6, that of averaging
    (1 - 1 / step^2) / 12, and that of interpolation 1/6.

    Args:
        ratio: pixels in full resolution that a pixel of the drawing is wide.
        scale: the same, of a pixel of the level.
        step: pixels that are averaged.
    """
    wide = ratio / scale / step
    variance = min(_MAX_BLUR, (wide**2 - 1) / 6 - (1 - 1 / step**2) / 12)
    if wide < _SHARP or variance <= 0:
        return 0.0
    # A radius r adds two pixels of weight r up to 1: 2r / (1 + 2r); beyond, two more of weight r - 1.
    inner = variance / (2 * (1 - variance)) if variance < _ONE_PIXEL else 1.0
    return inner if inner < 1 else 1 + (3 * variance - 2) / (8 - 2 * variance)


def compose(
    placed: Sequence[PlacedRaster], side: int, decoded: Callable[[PlacedRaster, Block], Image.Image | None]
) -> Image.Image:
    """Return rasters laid over each other: RGB if the drawing is opaque, otherwise RGBA.

    Args:
        placed: the uppermost first.
        side: of the drawing in pixels.
        decoded: returns a block of one of them; None if it does not exist.
    """
    drawing, pixels = Image.new("RGBA", (side, side)), 0
    for each in placed:
        below, box = each.draw(partial(decoded, each)), each.box
        if not pixels and below.size == drawing.size:
            drawing = below
        else:
            drawing.paste(Image.alpha_composite(below.convert("RGBA"), drawing.crop(box)), box)
        pixels += below.width * below.height
        if drawing.mode == "RGB" or (pixels >= side**2 and drawing.getchannel("A").getextrema() == (_OPAQUE, _OPAQUE)):
            return drawing.convert("RGB")
    return drawing


def encode(drawing: Image.Image, mosaic: Mosaic, corner: tuple[int, int]) -> bytes | None:
    """Return one tile of a drawing, encoded; None if it has no pixel.

    Args:
        drawing: of several tiles.
        mosaic: states size and format of the tile.
        corner: left and top of the tile in pixels.
    """
    size = mosaic.scheme.tile_size
    tile = drawing.crop((*corner, corner[0] + size, corner[1] + size))
    if tile.mode == "RGBA":
        alpha = tile.getchannel("A")
        least, most = alpha.getextrema()
        if not most:
            return None
        if least == _OPAQUE:
            tile = tile.convert("RGB")
        elif mosaic.tile_format is TileFormat.JPEG:
            tile = Image.composite(tile.convert("RGB"), Image.new("RGB", tile.size, "white"), alpha)
        else:
            tile = Image.composite(tile, Image.new("RGBA", tile.size), alpha.point(lambda value: value and _OPAQUE))
    body = BytesIO()
    if tile.mode == "RGBA" or mosaic.tile_format is TileFormat.PNG:
        tile.save(body, "PNG", **IMAGERY_PNG_OPTIONS)
    else:
        tile.save(body, "JPEG", quality=mosaic.quality, optimize=True)
    return body.getvalue()
