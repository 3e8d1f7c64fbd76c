"""Convert, recompress or clip one tile. A module of its own, so that worker processes import little."""

from typing import TYPE_CHECKING, TypeAlias

from exporttiles.domain.errors import DamagedCacheError

if TYPE_CHECKING:
    from exporttiles.domain.export import Clip
    from exporttiles.domain.service import TileFormat

Rewriting: TypeAlias = tuple[tuple[int, int], bytes, bytes | None]
"""Row and column, the tile, and its pixels in the area (see `PixelSelection.cut`); None if all are."""

RewrittenTile: TypeAlias = tuple[tuple[int, int], bytes, str]
"""Row and column, the tile, and why it was not rewritten; '' if it was readable."""


def rewrite_tile(
    quality: int | None, clip: "Clip | None", target: "TileFormat | None", rewriting: Rewriting
) -> RewrittenTile:
    """Clip a tile of the border, convert one of another format, and recompress one that is a JPEG.

    Each tile is decoded and encoded once at most.

    Args:
        quality: JPEG quality to recompress to; None leaves it as it is.
        clip: how pixels outside the area are painted.
        target: format to convert to, see `convert_image`; None converts no tile.
        rewriting: the tile.

    Returns:
        The tile unchanged if it cannot be recompressed or would not become smaller;
        b"" if it cannot be clipped or converted.
    """
    from exporttiles.formats.tiles.clip import clip_image
    from exporttiles.formats.tiles.codec import recompress_jpeg
    from exporttiles.formats.tiles.convert import convert_image, is_kept

    place, tile, inside = rewriting
    is_usable_as_it_is = True
    try:
        if clip is not None and inside is not None:
            is_usable_as_it_is = False
            return place, clip_image(tile, inside, clip.color, quality, target), ""
        if target is not None and not is_kept(tile, target):
            is_usable_as_it_is = False
            return place, convert_image(tile, target, quality), ""
        return place, tile if quality is None else recompress_jpeg(tile, quality), ""
    except DamagedCacheError as error:
        return place, tile if is_usable_as_it_is else b"", str(error).rstrip(".")
