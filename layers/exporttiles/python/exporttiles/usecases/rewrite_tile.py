"""Recompress or clip one tile. A module of its own, so that worker processes import little."""

from typing import TYPE_CHECKING, TypeAlias

from exporttiles.domain.errors import DamagedCacheError

if TYPE_CHECKING:
    from exporttiles.domain.export import Clip

Rewriting: TypeAlias = tuple[tuple[int, int], bytes, bytes | None]
"""Row and column, the tile, and its pixels in the area (see `PixelSelection.cut`); None if all are."""

RewrittenTile: TypeAlias = tuple[tuple[int, int], bytes, str]
"""Row and column, the tile, and why it was not rewritten; '' if it was readable."""


def rewrite_tile(quality: int | None, clip: "Clip | None", rewriting: Rewriting) -> RewrittenTile:
    """Clip a tile of the border, and recompress one that is a JPEG: each tile is decoded and encoded once at most.

    Args:
        quality: JPEG quality to recompress to; None leaves it as it is.
        clip: how pixels outside the area are painted.
        rewriting: the tile.

    Returns:
        The tile unchanged if it cannot be recompressed or would not become smaller;
        b"" if it cannot be clipped.
    """
    from exporttiles.formats.tiles.clip import clip_image
    from exporttiles.formats.tiles.codec import recompress_jpeg

    place, tile, inside = rewriting
    is_clipped = clip is not None and inside is not None
    try:
        if clip is not None and inside is not None:
            return place, clip_image(tile, inside, clip.color, quality), ""
        return place, tile if quality is None else recompress_jpeg(tile, quality), ""
    except DamagedCacheError as error:
        return place, b"" if is_clipped else tile, str(error).rstrip(".")
