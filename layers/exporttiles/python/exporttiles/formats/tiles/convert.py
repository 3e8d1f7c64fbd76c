"""Converting tiles to JPEG or PNG."""

from io import BytesIO

from PIL import Image

from exporttiles.domain.export import CONVERTED_QUALITY
from exporttiles.domain.service import TileFormat
from exporttiles.formats.tiles.codec import PNG_OPTIONS, decode_whole
from exporttiles.formats.tiles.image import sniff

_WHITE = (255, 255, 255)
_OPAQUE = 255


def is_kept(data: bytes | memoryview, target: TileFormat) -> bool:
    """Return True if a tile stays as it is when a cache is converted to a format.

    A PNG does not in MIXED: it becomes a JPEG if it has no transparent pixels.
    """
    image = sniff(data)
    return image in target.encodings and not (image == "png" and target is TileFormat.MIXED)


def convert_image(data: bytes, target: TileFormat, quality: int | None = None) -> bytes:
    """Return a tile in another format.

    Args:
        data: a JPEG, PNG or WebP.
        target: JPEG, PNG, or MIXED, which is PNG for tiles with transparent pixels and JPEG for the others.
            In a JPEG, transparent pixels become white.
        quality: JPEG quality; None stands for `CONVERTED_QUALITY`.

    Returns:
        The same bytes for a tile that has the format already.

    Raises:
        DamagedCacheError: the tile cannot be decoded, or has 16 bits for each channel.
    """
    if is_kept(data, target):
        return data
    picture = decode_whole(data)
    if target is TileFormat.MIXED and sniff(data) == "png" and not is_opaque(picture):
        return data
    return encode(picture, target, quality)


def encode(picture: Image.Image, target: TileFormat, quality: int | None = None) -> bytes:
    """Return a picture as JPEG, PNG or MIXED, see `convert_image`; without metadata."""
    body = BytesIO()
    if is_opaque(picture):
        plain = picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB")
    else:
        plain = picture.convert("RGBA")
    plain.info.clear()
    if target is TileFormat.PNG or (target is TileFormat.MIXED and plain.mode == "RGBA"):
        plain.save(body, "PNG", **PNG_OPTIONS)
        return body.getvalue()
    if plain.mode == "RGBA":
        on_white = Image.new("RGB", plain.size, _WHITE)
        on_white.paste(plain, mask=plain)
        plain = on_white
    plain.save(body, "JPEG", quality=CONVERTED_QUALITY if quality is None else quality, optimize=True)
    return body.getvalue()


def is_opaque(picture: Image.Image) -> bool:
    """Return True if a picture has no transparent pixels."""
    if picture.mode not in ("LA", "PA", "RGBA") and "transparency" not in picture.info:
        return True
    alpha: tuple[int, int] = picture.convert("RGBA").getchannel("A").getextrema()  # type: ignore[assignment]
    return alpha[0] == _OPAQUE
