"""A GeoTIFF that tiles can be drawn from: its pictures from fine to coarse, their blocks and masks."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.mosaic import ValueRange
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.formats.rasters.blocks import COMPRESSIONS, PICTURES, Samples, decode_block, decode_picture
from exporttiles.formats.rasters.directory import Directory, read_directories
from exporttiles.formats.rasters.georeference import read_georeference
from exporttiles.formats.rasters.pixels import Pixels, bands_of, is_block_small

Window = tuple[int, int, int, int]
"""Half-open left, top, right and bottom in pixels, as Pillow orders them."""

_SLAB_PIXELS = 2**23
"""Pixels that are assembled before they are averaged."""

_RGB, _YCBCR = 2, 6
_SAMPLED_BLOCKS = 16
_SAMPLED_PIXELS = 2**16
"""Limit for each block."""

_TOLERANCE = 1.05
"""A level may be this much coarser than a drawing."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a picture: number of the picture, row and column in its grid of blocks."""

    picture: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Level:
    """A raster in full or lower resolution: numbers of its picture and of its mask, None if there is no mask."""

    picture: int
    mask: int | None


class Raster:
    """A GeoTIFF that is read by byte ranges.

    Args:
        file: the GeoTIFF.
        stated: coordinate system that the user names; it replaces that of the file.
        rescale, bands: see `Pixels`.

    Raises:
        DamagedCacheError: it cannot be read, or is of a kind that is not supported; the message says which.
        SourceError: the store failed or did not answer.
    """

    def __init__(
        self,
        file: RangedFile,
        stated: SpatialReference | None = None,
        rescale: Sequence[ValueRange] = (),
        bands: Sequence[int] = (),
    ) -> None:
        self.file = file
        self.pictures = read_directories(file)
        self._first = self.pictures[0]
        self.pixels = Pixels(self._first, bands, rescale)
        _require_mask_supported(self.pictures)
        self.levels = list(_levels(self.pictures))
        self.georeference = read_georeference(self._first, stated)

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns in full resolution."""
        return self._first.shape

    def sample_values(self) -> NDArray[np.float64]:
        """Return values of the coarsest pixels with data, from a sample of blocks; all drawn bands together.

        Raises:
            DamagedCacheError: a block cannot be decoded.
            SourceError: the store failed or did not answer.
        """
        (rows, columns), picture = self.level_shape(len(self.levels) - 1), self.levels[-1].picture
        directory, found = self.pictures[picture], [np.empty(0)]
        blocks = list(_blocks(picture, directory, (0, 0, columns, rows)))
        for block in blocks[:: -(-len(blocks) // _SAMPLED_BLOCKS)]:
            if spans := self.spans(block):
                samples = self._samples(block, [self.file.read(*span) for span in spans])
                height, width = directory.block_shape
                inside = samples[: rows - block.row * height, : columns - block.column * width]
                step = math.ceil(math.sqrt(inside.shape[0] * inside.shape[1] / _SAMPLED_PIXELS))
                inside = inside[::step, ::step]
                found.append(self.pixels.valid_values(inside))
        return np.concatenate(found)

    @property
    def page_count(self) -> int:
        """Return how many pictures the file holds besides overviews and masks."""
        return 1 + sum(not each.is_overview and not each.is_mask for each in self.pictures[1:])

    @property
    def may_be_transparent(self) -> bool:
        """Return True if the file can hold transparent pixels; blocks may be missing all the same."""
        return self.pixels.may_be_transparent or self.levels[0].mask is not None

    @property
    def has_alpha(self) -> bool:
        """Return True if pixels may be half transparent."""
        return self.pixels.alpha is not None

    def scales(self, level: int) -> tuple[float, float]:
        """Return how many pixels in full resolution a pixel of a level is wide and high."""
        rows, columns = self.level_shape(level)
        return self.shape[1] / columns, self.shape[0] / rows

    def level_shape(self, level: int) -> tuple[int, int]:
        """Return rows and columns of a level."""
        return self.pictures[self.levels[level].picture].shape

    def level_for(self, ratio: float) -> int:
        """Return the coarsest level that has the detail of a drawing.

        Args:
            ratio: pixels in full resolution that a pixel of the drawing is wide.
        """
        return max((each for each in range(len(self.levels)) if self.scales(each)[0] <= ratio * _TOLERANCE), default=0)

    def read_all(self) -> None:
        """Read everything that drawing needs besides the blocks, so that the file keeps it as known.

        Raises:
            DamagedCacheError: blocks lie outside of the file, as if it were cut short.
            SourceError: the store failed or did not answer.
        """
        for level in self.levels:
            for picture in (level.picture, level.mask):
                if picture is not None:
                    self.pictures[picture].read_all()

    def blocks_in(self, level: int, window: Window) -> Iterator[Block]:
        """Yield the blocks of a window of a level, with those of its mask."""
        found = self.levels[level]
        yield from _blocks(found.picture, self.pictures[found.picture], window)
        if found.mask is not None:
            yield from _blocks(found.mask, self.pictures[found.mask], window)

    def block_count(self, level: int, window: Window) -> int:
        """Return how many blocks of its picture a window of a level has."""
        (height, width), (left, top, right, bottom) = self.pictures[self.levels[level].picture].block_shape, window
        return (-(-bottom // height) - top // height) * (-(-right // width) - left // width)

    def spans(self, block: Block) -> Sequence[Span]:
        """Return the bytes ``[start, stop)`` of a block; for each band needed if these are stored apart.

        None are returned if the block does not exist.

        Raises:
            DamagedCacheError: the list of blocks cannot be used.
            SourceError: the store failed or did not answer.
        """
        directory = self.pictures[block.picture]
        planes = self.pixels.needed if directory.is_planar else [0]
        offsets, sizes = (values[planes, block.row, block.column].tolist() for values in directory.blocks)
        return [(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True)] if all(sizes) else []

    def decode(self, block: Block, stored: Sequence[bytes | memoryview]) -> Image.Image:
        """Return a block as a picture: RGB if it is opaque, otherwise RGBA; L, 255 where pixels are valid, of a mask.

        Args:
            block: the block.
            stored: its bytes, see `spans`.

        Raises:
            DamagedCacheError: it cannot be decoded.
        """
        directory = self.pictures[block.picture]
        if directory.is_mask:
            samples = decode_block(directory, stored[0], block.row)
            return Image.fromarray(np.where(samples[:, :, 0] == 0, np.uint8(0), np.uint8(255)))
        if self.pixels.are_plain and directory.compression in PICTURES and not directory.is_planar:
            picture = decode_picture(directory, stored[0])
            return picture if picture.mode == "RGB" else picture.convert("RGB")
        return self.pixels.picture(self._samples(block, stored))

    def _samples(self, block: Block, stored: Sequence[bytes | memoryview]) -> Samples:
        """Return the samples (rows, columns, bands) of a block in the bands that are needed."""
        directory, needed = self.pictures[block.picture], self.pixels.needed
        planes = [decode_block(directory, data, block.row) for data in stored]
        if directory.is_planar:
            return np.concatenate(planes, axis=2)
        return bands_of(planes[0], needed)

    def draw(
        self, level: int, window: Window, steps: tuple[int, int], decoded: Callable[[Block], Image.Image | None]
    ) -> Image.Image:
        """Return a window of a level as a picture: RGB if it is opaque, otherwise RGBA.

        Args:
            level: number of the level.
            window: within the level.
            steps: width and height of the rectangles of pixels that are averaged.
            decoded: returns a block; None if it does not exist.
        """
        left, top, right, bottom = window
        is_averaged = steps != (1, 1)
        rows = max(1, _SLAB_PIXELS // (right - left) // steps[1]) * steps[1] if is_averaged else bottom - top
        slabs = []
        for start in range(top, bottom, rows):
            slab = self._assemble(level, (left, start, right, min(bottom, start + rows)), decoded)
            slabs.append(slab.reduce(steps) if is_averaged else slab)
        if len(slabs) == 1:
            return slabs[0]
        mode = "RGB" if all(slab.mode == "RGB" for slab in slabs) else "RGBA"
        whole, at = Image.new(mode, (slabs[0].width, sum(slab.height for slab in slabs))), 0
        for slab in slabs:
            whole.paste(slab.convert(mode), (0, at))
            at += slab.height
        return whole

    def _assemble(self, level: int, window: Window, decoded: Callable[[Block], Image.Image | None]) -> Image.Image:
        found = self.levels[level]
        picture = _pasted(found.picture, self.pictures[found.picture], window, decoded)
        if found.mask is None:
            return picture
        mask = _pasted(found.mask, self.pictures[found.mask], window, decoded, "L")
        if mask.getextrema() == (255, 255):
            return picture
        if picture.mode == "RGBA":
            mask = ImageChops.multiply(mask, picture.getchannel("A"))
        picture.putalpha(mask)
        return picture


def _levels(pictures: Sequence[Directory]) -> Iterator[Level]:
    """Yield the levels of a file from fine to coarse: full resolution first, then overviews of the same kind."""
    first = pictures[0]
    masks = {each.shape: number for number, each in enumerate(pictures) if each.is_mask and _is_mask_supported(each)}
    overviews = [
        number
        for number, each in enumerate(pictures)
        if number and each.is_overview and not each.is_mask and _kind(each) == _kind(first) and _is_smaller(each, first)
    ]
    for number in [0, *sorted(overviews, key=lambda number: pictures[number].shape, reverse=True)]:
        mask = masks.get(pictures[number].shape)
        if mask is not None or first.shape not in masks:  # an overview without its mask would be opaque
            yield Level(number, mask)


def _is_smaller(overview: Directory, first: Directory) -> bool:
    return is_block_small(overview) and all(map(operator.lt, overview.shape, first.shape))


def _kind(directory: Directory) -> tuple[object, ...]:
    photometric = (
        _RGB if directory.photometric == _YCBCR and directory.compression in PICTURES else directory.photometric
    )
    is_decoded = directory.compression in COMPRESSIONS
    return directory.bands, directory.bits, directory.sample_format, photometric, is_decoded


def _require_mask_supported(pictures: Sequence[Directory]) -> None:
    """Refuse a file whose mask cannot be read.

    Raises:
        DamagedCacheError: it is one.
    """
    for each in pictures:
        if each.is_mask and each.shape == pictures[0].shape and not _is_mask_supported(each):
            raise DamagedCacheError(
                f"Its mask of {each.bits[0]} bits in compression {each.compression} is not read. Convert it: "
                "gdal_translate -of COG FILE NEW.tif."
            )


def _is_mask_supported(directory: Directory) -> bool:
    is_decoded = directory.compression in COMPRESSIONS and directory.compression not in PICTURES
    is_gray = directory.bits in {(1,), (8,)} and directory.sample_format == 1
    return is_gray and is_decoded and is_block_small(directory)


def _cells(directory: Directory, window: Window) -> Iterator[tuple[int, int]]:
    """Yield rows and columns of the blocks that meet a window."""
    (height, width), (left, top, right, bottom) = directory.block_shape, window
    for row in range(top // height, -(-bottom // height)):
        for column in range(left // width, -(-right // width)):
            yield row, column


def _blocks(picture: int, directory: Directory, window: Window) -> Iterator[Block]:
    return (Block(picture, row, column) for row, column in _cells(directory, window))


def _pasted(
    picture: int,
    directory: Directory,
    window: Window,
    decoded: Callable[[Block], Image.Image | None],
    mode: str = "RGB",
) -> Image.Image:
    """Return a window of a picture; pixels without a block are transparent."""
    (height, width), (left, top, right, bottom) = directory.block_shape, window
    found = []
    for block in _blocks(picture, directory, window):
        image = decoded(block)
        x, y = block.column * width - left, block.row * height - top
        if image is not None:  # it may be much larger than the window: only the part within is kept
            box = (max(0, -x), max(0, -y), min(image.width, right - left - x), min(image.height, bottom - top - y))
            image = image if box == (0, 0, *image.size) else image.crop(box)
        found.append((image, (max(0, x), max(0, y))))
    if mode == "RGB" and any(image is None or image.mode == "RGBA" for image, _ in found):
        mode = "RGBA"
    canvas = Image.new(mode, (right - left, bottom - top))
    for image, at in found:
        if image is not None:
            canvas.paste(image if image.mode == mode else image.convert(mode), at)
    return canvas
