"""Kinds of pixels: which can be drawn, and how samples become colours and transparency."""

import math
from collections.abc import Sequence
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.mosaic import ValueRange
from exporttiles.domain.wording import counted
from exporttiles.formats.rasters.blocks import COMPRESSIONS, PICTURES, Samples
from exporttiles.formats.rasters.directory import MAX_BLOCK_BYTES, MIXED_FORMATS, Directory, Tag

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
    34933: "PNG",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_COLOURS = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR}
_REFUSED_COLOURS = {
    4: "a mask",
    5: "CMYK",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "a filter array of a camera",
    32844: "LogL",
    32845: "LogLuv",
    34892: "those of a raw camera image",
}

_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_NAMES = {
    MIXED_FORMATS: "numbers of several kinds",
    _UNSIGNED: "integers",
    _SIGNED: "integers with a sign",
    _FLOAT: "floating-point numbers",
    5: "complex integers",
    6: "complex numbers",
}
_KINDS = {
    *((_UNSIGNED, bits) for bits in (1, 2, 4, 8, 16, 32)),
    *((_SIGNED, bits) for bits in (8, 16, 32)),
    *((_FLOAT, bits) for bits in (16, 32, 64)),
}
"""Sample formats and bits that are read."""

_LOWEST_BIT_FIRST = 2
_RESCALED_VALUES = 2**20  # at a time
_PREMULTIPLIED, _STRAIGHT = 1, 2
"""Extra samples that are transparency."""


class Pixels:
    """How the samples of a picture become colours.

    Args:
        first: directory of the picture.
        bands: numbers, from 1, of the band that is drawn as gray, or of those drawn as red, green and blue; () for the
            first ones.
        rescale: values that become 0 and 255, for all bands or for each that is drawn; () for pixels of 8 bits as
            they are.

    Raises:
        DamagedCacheError: the picture is of a kind that is not supported, or lacks a band; the message says which.

    Attributes:
        alpha: number, from 0, of the band that is the transparency; None if there is none.
        colours: numbers, from 0, of the bands that are drawn.
        is_alpha_drawn: one of these is stated to be the transparency.
    """

    def __init__(self, first: Directory, bands: Sequence[int] = (), rescale: Sequence[ValueRange] = ()) -> None:
        _require_supported(first)
        self._first, self._rescale = first, rescale
        self._nodata = _nodata(first)
        self._palette = _palette(first)
        alpha = _alpha(first)
        if alpha is not None and self._is_premultiplied(alpha) and not self._fit_bytes:
            raise DamagedCacheError(
                f"Its transparency is multiplied into colours that are {self.kind}. Convert it to 8 bits first."
            )
        self.band_count = first.bands
        self.colours = _drawn(first, bands, alpha)
        self.is_alpha_drawn = alpha in self.colours
        self.alpha = None if self.is_alpha_drawn else alpha
        if rescale and self._palette is not None:
            raise DamagedCacheError("Its pixels are numbers of a palette, which --rescale cannot change.")
        if len(rescale) not in {0, 1, len(self.colours)}:
            drawn = counted(len(self.colours), "band is", "bands are")
            raise DamagedCacheError(
                f"--rescale states {len(rescale)} ranges of values, and {drawn} drawn. State one range for all, or one "
                "for each."
            )

    @property
    def kind(self) -> str:
        """Return the kind of the pixels in words."""
        return f"{_NAMES[self._first.sample_format]} of {self._first.bits[0]} bits"

    @property
    def needs_rescale(self) -> bool:
        """Return True if pixels have more than 8 bits or a sign, and it is not known which values become 0 and 255."""
        return not self._rescale and not self._fit_bytes

    @property
    def may_be_transparent(self) -> bool:
        """Return True if pixels may be transparent without a mask."""
        return self.alpha is not None or self._nodata is not None or self._first.sample_format == _FLOAT

    @property
    def bands_left_out(self) -> tuple[int, ...]:
        """Return the numbers, from 1, of the bands that are not drawn."""
        return tuple(band + 1 for band in range(self.band_count) if band not in {*self.colours, self.alpha})

    @cached_property
    def needed(self) -> list[int]:
        """Return the numbers, from 0, of the bands that are read: those that are drawn, and the transparency."""
        return sorted({*self.colours, *([] if self.alpha is None else [self.alpha])})

    @property
    def _fit_bytes(self) -> bool:
        return self._first.bits[0] <= 8 and self._first.sample_format == _UNSIGNED

    @cached_property
    def are_plain(self) -> bool:
        """Return True if all pixels are opaque, and drawn in the colours that a decoder of pictures gives them."""
        is_plain = not self._rescale and self._nodata is None and self._first.photometric != _WHITE_IS_ZERO
        return is_plain and self.colours == tuple(range(self.band_count)) and self.band_count in {1, 3}

    def picture(self, samples: Samples) -> Image.Image:
        """Return samples (rows, columns, needed bands) as a picture: RGB if all are opaque, otherwise RGBA."""
        values = self._values(samples)
        alpha = np.where(self._is_valid(values), np.uint8(255), np.uint8(0))
        colours = self._coloured(values)
        if self.alpha is not None:
            band = samples[:, :, self.needed.index(self.alpha)]
            if not self._fit_bytes:
                alpha[band == 0] = 0
            else:
                band = self._spread(band)
                if self._is_premultiplied(self.alpha):
                    colours = _divided(colours, band)
                alpha = np.minimum(alpha, band)
        picture = Image.fromarray(np.ascontiguousarray(colours if colours.shape[2] > 1 else colours[:, :, 0]))
        picture = picture.convert("RGB")
        if not (alpha == 255).all():
            picture.putalpha(Image.fromarray(alpha))
        return picture

    def valid_values(self, samples: Samples) -> NDArray[np.float64]:
        """Return the values of drawn bands in samples (rows, columns, needed bands), without those that are empty."""
        values = self._values(samples)
        is_valid = self._is_valid(values)
        if self.alpha is not None:
            is_valid &= samples[:, :, self.needed.index(self.alpha)] != 0
        return values[is_valid].ravel().astype(np.float64)

    def _values(self, samples: Samples) -> Samples:
        """Return the values of the bands that are drawn, in their order."""
        return bands_of(samples, [self.needed.index(band) for band in self.colours])

    def _coloured(self, values: Samples) -> NDArray[np.uint8]:
        """Return values (rows, columns, bands) as gray or RGB of 8 bits."""
        if self._palette is not None:
            painted: NDArray[np.uint8] = self._palette[values[:, :, 0]]
            return painted
        if self._rescale:
            low, high = np.array(self._rescale).T
            shown = np.empty(values.shape, np.uint8)
            rows = max(1, _RESCALED_VALUES // (values.shape[1] * values.shape[2]))
            for start in range(0, len(values), rows):  # the numbers between take eight times the memory
                part = slice(start, start + rows)
                with np.errstate(invalid="ignore", over="ignore"):
                    scaled = np.clip((values[part].astype(np.float64) - low) * (255 / (high - low)), 0, 255)
                shown[part] = np.nan_to_num(np.rint(scaled))
            values = shown
        else:
            values = self._spread(values)
        colours: NDArray[np.uint8] = values.astype(np.uint8, copy=False)
        if self._first.photometric == _WHITE_IS_ZERO:
            colours = 255 - colours
        return colours

    def _spread(self, values: Samples) -> Samples:
        """Return integers of up to 8 bits as 0 to 255."""
        bits = self._first.bits[0]
        return values if bits == 8 else values.astype(np.uint8) * np.uint8(255 // (2**bits - 1))

    def _is_valid(self, values: Samples) -> NDArray[np.bool_]:
        """Return the mask (rows, columns) of the pixels with data: as in GDAL, in any of the bands that are drawn."""
        bands = [values[:, :, band] for band in range(values.shape[2])]  # faster than a reduction along a short axis
        valid = np.ones(values.shape[:2], np.bool_)
        if self._nodata is not None:
            valid = reduce(np.logical_or, (band != self._nodata for band in bands))
        if values.dtype.kind == "f":
            valid &= ~reduce(np.logical_or, map(np.isnan, bands))
        return valid

    def _is_premultiplied(self, alpha: int) -> bool:
        return _extra_samples(self._first)[alpha] == _PREMULTIPLIED


def bands_of(samples: Samples, bands: Sequence[int]) -> Samples:
    """Return some bands of samples (rows, columns, bands); a view, if they follow each other."""
    is_run = list(bands) == list(range(bands[0], bands[0] + len(bands)))
    return samples[:, :, bands[0] : bands[0] + len(bands)] if is_run else samples[:, :, bands]


def _divided(colours: NDArray[np.uint8], alpha: Samples) -> NDArray[np.uint8]:
    """Return colours that were multiplied by their opacity as they were before."""
    opacity = np.maximum(alpha, 1)[:, :, np.newaxis].astype(np.uint16)
    divided: NDArray[np.uint8] = np.minimum(255, (colours * np.uint16(255) + opacity // 2) // opacity).astype(np.uint8)
    return divided


def is_block_small(directory: Directory) -> bool:
    """Return True if a block can be decoded as a whole."""
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
        name = _NAMES.get(first.sample_format, f"numbers of sample format {first.sample_format}")
        raise DamagedCacheError(
            f"Its pixels are {name} of {sizes} bits; integers of 1, 2, 4, 8, 16 and 32 bits and floating-point numbers "
            "of 16, 32 and 64 are drawn. Convert it: gdal_translate -of COG -ot Byte -scale FILE NEW.tif."
        )
    is_float, is_small = first.sample_format == _FLOAT, first.bits[0] < 8
    if first.predictor not in ({1} if is_small else {1, 2, 3} if is_float else {1, 2}):
        raise DamagedCacheError(
            f"Its pixels are stored with predictor {first.predictor}, which {_NAMES[first.sample_format]} of "
            f"{first.bits[0]} bits cannot have. Convert it: gdal_translate -of COG FILE NEW.tif."
        )
    if first.integers(Tag.FILL_ORDER) == (_LOWEST_BIT_FIRST,) and first.compression not in PICTURES:
        raise DamagedCacheError(
            "Its bits are stored in reverse order (FillOrder 2). Convert it: gdal_translate -of COG FILE NEW.tif."
        )
    if first.photometric not in _COLOURS or (first.photometric == _YCBCR and first.compression not in PICTURES):
        is_subsampled = first.photometric == _YCBCR
        name = "YCbCr without JPEG" if is_subsampled else _REFUSED_COLOURS.get(first.photometric, "of an unknown kind")
        raise DamagedCacheError(f"Its colours are {name}; gray, palette and RGB are drawn. Convert it to RGB first.")
    if not is_block_small(first):
        rows, columns = first.block_shape
        raise DamagedCacheError(
            f"Its blocks are {columns:,} x {rows:,} pixels of {counted(first.bands, 'band')}; up to "
            f"{MAX_BLOCK_BYTES:,} bytes are decoded at a time. "
            "Store it in tiles: gdal_translate -of COG FILE NEW.tif."
        )


def _extra_samples(first: Directory) -> dict[int, int]:
    """Return the bands, from 0, besides the colours: number -> meaning."""
    colours = 3 if first.photometric in {_RGB, _YCBCR} else 1
    extra = first.extra_samples[: max(0, first.bands - colours)]
    return {first.bands - len(extra) + number: meaning for number, meaning in enumerate(extra)}


def _alpha(first: Directory) -> int | None:
    """Return the number of the band that is the transparency; None if there is none."""
    found = [band for band, meaning in _extra_samples(first).items() if meaning in {_PREMULTIPLIED, _STRAIGHT}]
    return found[0] if found and first.bands > 1 else None


def _drawn(first: Directory, chosen: Sequence[int], alpha: int | None) -> tuple[int, ...]:
    """Return the numbers, from 0, of the bands that are drawn as gray, or as red, green and blue."""
    if not chosen:
        found = [band for band in range(first.bands) if band != alpha]
        return tuple(found[:3] if len(found) >= 3 else found[:1])
    if max(chosen) > first.bands:
        raise DamagedCacheError(
            f"It has {counted(first.bands, 'band')}; --bands names band {max(chosen)}. Name bands of 1-{first.bands}."
        )
    if first.photometric == _PALETTE and tuple(chosen) != (1,):
        raise DamagedCacheError("Its pixels are numbers of a palette, in band 1; --bands can name no other.")
    return tuple(band - 1 for band in chosen)


def _nodata(first: Directory) -> np.generic | None:
    """Return the value of pixels without data, in their type; None if there is none, or no pixel can have it."""
    text = first.data(Tag.GDAL_NODATA).rstrip(b"\0 ").decode("latin-1")
    try:
        value = float(text)
    except ValueError:
        return None
    if first.sample_format == _FLOAT:
        with np.errstate(over="ignore"):
            return None if math.isnan(value) else np.dtype(f"f{first.bits[0] // 8}").type(value)
    kind = np.dtype(f"{'ui'[first.sample_format - 1]}{max(1, first.bits[0] // 8)}")
    limits = np.iinfo(kind)
    return kind.type(int(value)) if value.is_integer() and limits.min <= value <= limits.max else None


def _palette(first: Directory) -> NDArray[np.uint8] | None:
    """Return the colours (2 ** bits, 3) of a palette; None if the picture has none."""
    if first.photometric != _PALETTE:
        return None
    numbers = np.array(first.integers(Tag.COLOR_MAP), np.int64)
    size = 2 ** first.bits[0]
    if first.sample_format != _UNSIGNED or size > 256 or numbers.shape != (3 * size,):
        raise DamagedCacheError(
            f"Its palette has {len(numbers):,} numbers, for pixels that are {_NAMES[first.sample_format]} of "
            f"{first.bits[0]} bits; palettes of 2, 4, 16 and 256 colours are drawn. Convert it: gdal_translate -of COG "
            "-expand rgb FILE NEW.tif."
        )
    of_8_bits = numbers if numbers.max() < 256 else numbers >> 8  # some programs write 8 of 16 bits
    return np.ascontiguousarray(of_8_bits.astype(np.uint8).reshape(3, size).T)
