"""Painting the pixels of a tile outside an area."""

from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from exporttiles.domain.service import TileFormat
from exporttiles.formats.tiles.codec import PNG_OPTIONS, decode_whole, jpeg_options
from exporttiles.formats.tiles.convert import encode, is_kept

_TRANSPARENT = ("LA", "PA", "RGBA")

Color = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""


def clip_image(
    data: bytes, inside: bytes, color: Color | None, quality: int | None = None, target: TileFormat | None = None
) -> bytes:
    """Return a tile whose pixels outside an area are painted.

    Pixels of a PNG in the area keep their value. Those of a JPEG are encoded once more with
    the steps of quantization that the tile has, or coarser ones.

    Args:
        data: a JPEG or PNG, or a WebP if there is a target.
        inside: one bit for each pixel, 1 in the area, as `PixelSelection.cut` returns them.
        color: of the pixels outside. None makes them transparent, and a JPEG becomes a PNG;
            otherwise the format stays.
        quality: JPEG quality to recompress to; None stands for that of the tile.
        target: format to convert to, see `convert_image`; None keeps that of the tile.

    Raises:
        DamagedCacheError: the tile cannot be decoded, or has 16 bits for each channel.
    """
    image = decode_whole(data)
    mask = Image.frombytes("1", image.size, inside)
    body = BytesIO()
    if color is None:
        picture = Image.new("RGBA", image.size)
        picture.paste(image.convert("RGBA"), mask=mask)
        picture.save(body, "PNG", **PNG_OPTIONS)
        return body.getvalue()
    is_transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    picture = Image.new("RGBA" if is_transparent else "RGB", image.size, (*color, 255) if is_transparent else color)
    picture.paste(image.convert(picture.mode), mask=mask)
    if image.mode == "L" and len(set(color)) == 1 and not is_transparent:
        picture = picture.convert("L")
    if target is not None and not is_kept(data, target):
        return encode(picture, target, quality)
    options = jpeg_options(image, quality) if isinstance(image, JpegImageFile) else PNG_OPTIONS
    picture.save(body, image.format, **options)
    return body.getvalue()
