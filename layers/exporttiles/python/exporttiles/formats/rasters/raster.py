"""A GeoTIFF of pixels that tiles can be drawn from: its pictures from fine to coarse, their colours and masks."""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.wording import counted
from exporttiles.formats.archives.ranged_file import RangedFile, Span
from exporttiles.formats.rasters.blocks import COMPRESSIONS, PICTURES, Samples, decode_block, decode_picture
from exporttiles.formats.rasters.directory import MAX_BLOCK_BYTES, Directory, Tag, read_directories
from exporttiles.formats.rasters.georeference import read_georeference

Window = tuple[int, int, int, int]
"""Half-open left, top, right and bottom in pixels, as Pillow orders them."""

_SLAB_PIXELS = 2**23
"""Pixels that are assembled before they are averaged."""

_REFUSED_COMPRESSIONS = {
    2: "CCITT",
    3: "CCITT",
    4: "CCITT",
    6: "JPEG of an outdated kind",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_WHITE_IS_ZERO, _PALETTE, _YCBCR = 0, 3, 6
_COLOURS = {5: "CMYK", 8: "CIELab", 9: "ICCLab", 32803: "a filter array of a camera"}

_FLOAT = 3
_KINDS = {(1, 8), (1, 16), (1, 32), (2, 8), (2, 16), (2, 32), (_FLOAT, 32), (_FLOAT, 64)}
"""Sample formats and bits that are read."""

_SAMPLED_BLOCKS = 16
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
        rescale: values that become 0 and 255; None for pixels of 8 bits as they are.

    Raises:
        DamagedCacheError: it cannot be read, or is of a kind that is not supported; the message says which.
        SourceError: the store failed or did not answer.
    """

    def __init__(
        self, file: RangedFile, stated: SpatialReference | None = None, rescale: tuple[float, float] | None = None
    ) -> None:
        self.file = file
        self.pictures = read_directories(file)
        self._first = self.pictures[0]
        _require_supported(self._first)
        self.levels = list(_levels(self.pictures))
        self.georeference = read_georeference(self._first, stated)
        self._rescale = rescale
        self._nodata = _nodata(self._first)
        self._has_alpha = _has_alpha(self._first)
        self._palette = _palette(self._first)

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns in full resolution."""
        return self._first.shape

    @property
    def needs_rescale(self) -> bool:
        """Return True if its pixels do not have 8 bits, and it is not known which values become 0 and 255."""
        return self._rescale is None and not _has_bytes(self._first)

    @property
    def kind(self) -> str:
        """Return the kind of its pixels in words."""
        kinds = {1: "integers", 2: "integers with a sign", 3: "floating-point numbers"}
        return f"{kinds[self._first.sample_format]} of {self._first.bits[0]} bits"

    def percentiles(self, read: Callable[[int, int], bytes | memoryview]) -> tuple[float, float] | None:
        """Return values below and above which 2 per cent of the coarsest pixels are, from a sample of blocks.

        Args:
            read: returns bytes ``[start, stop)`` of the file.

        Returns:
            None if all pixels are equal, or none is valid.
        """
        (rows, columns), picture = self.level_shape(len(self.levels) - 1), self.levels[-1].picture
        directory, found = self.pictures[picture], []
        blocks = list(_blocks(picture, directory, (0, 0, columns, rows)))
        for block in blocks[:: -(-len(blocks) // _SAMPLED_BLOCKS)]:
            if spans := self.spans(block):
                planes = [decode_block(directory, read(*span), block.row) for span in spans]
                colours = np.concatenate(planes, axis=2)[:, :, : 3 if self._first.bands >= 3 else 1]
                height, width = directory.block_shape
                inside = colours[: rows - block.row * height, : columns - block.column * width]
                found.append(inside[self._is_valid(inside)].ravel().astype(np.float64))
        values = np.concatenate([np.empty(0), *found])
        low, high = np.percentile(values, (2, 98)).tolist() if len(values) else (0.0, 0.0)
        return (low, high) if low < high else None

    @property
    def band_count(self) -> int:
        """Return the number of its bands."""
        return self._first.bands

    @property
    def drawn_band_count(self) -> int:
        """Return how many of its bands are drawn, from the first one on: gray or RGB, and alpha."""
        return (3 if self.band_count >= 3 else 1) + self._has_alpha

    @property
    def may_be_transparent(self) -> bool:
        """Return True if the file can hold transparent pixels; blocks may be missing all the same."""
        return self._has_alpha or self._nodata is not None or self.levels[0].mask is not None

    @property
    def has_alpha(self) -> bool:
        """Return True if pixels may be half transparent."""
        return self._has_alpha

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
        """Return the bytes ``[start, stop)`` of a block, for each time that it is stored; none if it does not exist.

        Raises:
            DamagedCacheError: the list of blocks cannot be used.
            SourceError: the store failed or did not answer.
        """
        offsets, sizes = (values[:, block.row, block.column].tolist() for values in self.pictures[block.picture].blocks)
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
        is_picture = directory.compression in PICTURES and not directory.is_planar and self._rescale is None
        if is_picture and self._nodata is None and directory.bands in {1, 3} and not directory.is_mask:
            picture = decode_picture(directory, stored[0])
            return picture if picture.mode == "RGB" else picture.convert("RGB")
        planes = [decode_block(directory, data, block.row) for data in stored]
        samples = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        if directory.is_mask:
            return Image.fromarray(np.where(samples[:, :, 0] == 0, np.uint8(0), np.uint8(255)))
        return self._coloured(samples)

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

    def _coloured(self, samples: Samples) -> Image.Image:
        """Return samples as a picture."""
        colours: Samples = samples[:, :, :3] if samples.shape[2] >= 3 else samples[:, :, :1]
        alpha = np.full(samples.shape[:2], 255, np.uint8)
        alpha[~self._is_valid(colours)] = 0
        if self._has_alpha:
            band = samples[:, :, 3 if samples.shape[2] > 3 else 1]
            is_whole = _has_bytes(self._first)
            alpha = np.minimum(alpha, band if is_whole else np.where(band == 0, np.uint8(0), np.uint8(255)))
        if self._rescale and self._palette is None:
            low, high = self._rescale
            with np.errstate(invalid="ignore", over="ignore"):
                scaled = np.clip((colours.astype(np.float64) - low) * (255 / (high - low)), 0, 255)
            colours = np.nan_to_num(np.rint(scaled)).astype(np.uint8)
        if self._palette is not None:
            colours = self._palette[colours[:, :, 0]]
        elif self._first.photometric == _WHITE_IS_ZERO:
            colours = 255 - colours
        picture = Image.fromarray(np.ascontiguousarray(colours if colours.shape[2] > 1 else colours[:, :, 0]))
        picture = picture.convert("RGB")
        if not (alpha == 255).all():
            picture.putalpha(Image.fromarray(alpha))
        return picture

    def _is_valid(self, colours: Samples) -> NDArray[np.bool_]:
        """Return the mask (rows, columns) of the pixels with data."""
        invalid = np.zeros(colours.shape[:2], np.bool_)
        if self._nodata is not None:
            invalid |= (colours == self._nodata).all(axis=2)
        if colours.dtype.kind == "f":
            invalid |= np.isnan(colours).any(axis=2)
        return ~invalid


def _has_bytes(first: Directory) -> bool:
    return set(first.bits) == {8} and first.sample_format == 1


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
    return _fits(overview) and all(map(operator.lt, overview.shape, first.shape))


def _kind(directory: Directory) -> tuple[object, ...]:
    return directory.bands, directory.bits, directory.sample_format, directory.photometric, directory.compression


def _is_mask_supported(directory: Directory) -> bool:
    is_decoded = directory.compression in COMPRESSIONS and directory.compression not in PICTURES
    return directory.bits in {(1,), (8,)} and is_decoded and _fits(directory)


def _fits(directory: Directory) -> bool:
    return directory.block_bytes <= MAX_BLOCK_BYTES


def _require_supported(first: Directory) -> None:
    """Refuse a picture of a kind that cannot be drawn.

    Raises:
        DamagedCacheError: it is one; the message names the kind.
    """
    if first.compression not in COMPRESSIONS:
        name = _REFUSED_COMPRESSIONS.get(first.compression, f"compression {first.compression}")
        raise DamagedCacheError(
            f"Its pixels are stored as {name}, which is not read. Convert it: gdal_translate -of COG FILE NEW.tif."
        )
    if len(set(first.bits)) != 1 or (first.sample_format, first.bits[0]) not in _KINDS:
        sizes = ", ".join(str(bits) for bits in sorted(set(first.bits)))
        raise DamagedCacheError(
            f"Its pixels have {sizes} bits in sample format {first.sample_format}; integers of 8, 16 and 32 bits and "
            "floating-point numbers are drawn. Convert it: gdal_translate -of COG -ot Byte -scale FILE NEW.tif."
        )
    if first.photometric in _COLOURS or (first.photometric == _YCBCR and first.compression not in PICTURES):
        name = _COLOURS.get(first.photometric, "YCbCr without JPEG")
        raise DamagedCacheError(f"Its colours are {name}; gray, palette and RGB are drawn. Convert it to RGB first.")
    if not _fits(first):
        rows, columns = first.block_shape
        raise DamagedCacheError(
            f"Its blocks are {columns:,} x {rows:,} pixels of {counted(first.bands, 'band')}; up to "
            f"{MAX_BLOCK_BYTES:,} bytes are decoded at a time. "
            "Store it in tiles: gdal_translate -of COG FILE NEW.tif."
        )


def _nodata(first: Directory) -> float | None:
    """Return the value of pixels without data; None if there is none, or no pixel can have it."""
    text = first.data(Tag.GDAL_NODATA).rstrip(b"\0 ").decode("latin-1")
    try:
        value = float(text)
    except ValueError:
        return None
    if first.sample_format == _FLOAT:
        return None if math.isnan(value) else float(np.float32(value)) if first.bits[0] == 32 else value
    return value if value.is_integer() else None


def _has_alpha(first: Directory) -> bool:
    colours = 3 if first.bands > 3 else 1
    return first.bands in {2, 4} and first.extra_samples[: first.bands - colours] in {(1,), (2,)}


def _palette(first: Directory) -> NDArray[np.uint8] | None:
    """Return the colours (256, 3) of a palette; None if the picture has none."""
    if first.photometric != _PALETTE:
        return None
    numbers = np.array(first.integers(Tag.COLOR_MAP), np.int64)
    if numbers.shape != (3 * 256,):
        raise DamagedCacheError(f"Its palette has {len(numbers):,} numbers instead of 768.")
    return np.ascontiguousarray((numbers >> 8).astype(np.uint8).reshape(3, 256).T)


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
    found = [(block, decoded(block)) for block in _blocks(picture, directory, window)]
    if mode == "RGB" and any(image is None or image.mode == "RGBA" for _, image in found):
        mode = "RGBA"
    canvas = Image.new(mode, (right - left, bottom - top))
    for block, image in found:
        if image is not None:
            same = image if image.mode == mode else image.convert(mode)  # which would copy it
            canvas.paste(same, (block.column * width - left, block.row * height - top))
    return canvas
