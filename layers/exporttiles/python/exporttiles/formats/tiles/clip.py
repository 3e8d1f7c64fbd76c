"""Painting the pixels of a tile outside an area."""

from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.tiles.codec import decode, jpeg_options

_PNG_DEPTH_OFFSET = 24
_DEEP = 16
_TRANSPARENT = ("LA", "PA", "RGBA")

Color = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""


def clip_image(data: bytes, inside: bytes, color: Color | None, quality: int | None = None) -> bytes:
    """Return a tile whose pixels outside an area are painted.

    Pixels of a PNG in the area keep their value. Those of a JPEG are encoded once more with
    the steps of quantization that the tile has, or coarser ones.

    Args:
        data: a JPEG or PNG.
        inside: one bit for each pixel, 1 in the area, as `PixelSelection.cut` returns them.
        color: of the pixels outside. None makes them transparent, and a JPEG becomes a PNG;
            otherwise the format stays.
        quality: JPEG quality to recompress to; None stands for that of the tile.

    Raises:
        DamagedCacheError: the tile cannot be decoded, or has 16 bits for each channel.
    """
    image = decode(data)
    if image.format == "PNG" and data[_PNG_DEPTH_OFFSET] == _DEEP:
        raise DamagedCacheError("A PNG of 16 bits for each channel, which cannot be clipped.")
    mask = Image.frombytes("1", image.size, inside)
    body = BytesIO()
    if color is None:
        picture = Image.new("RGBA", image.size)
        picture.paste(image.convert("RGBA"), mask=mask)
        picture.save(body, "PNG")
        return body.getvalue()
    options = jpeg_options(image, quality) if isinstance(image, JpegImageFile) else {}
    is_transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    picture = Image.new("RGBA" if is_transparent else "RGB", image.size, (*color, 255) if is_transparent else color)
    picture.paste(image.convert(picture.mode), mask=mask)
    if image.mode == "L" and len(set(color)) == 1 and not is_transparent:
        picture = picture.convert("L")
    picture.save(body, image.format, **options)
    return body.getvalue()
