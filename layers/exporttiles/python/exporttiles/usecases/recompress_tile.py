"""Make one tile smaller. Apart from the rest, so that a process that does only this loads only this."""

from typing import TYPE_CHECKING, TypeAlias

from exporttiles.domain.errors import DamagedCacheError

if TYPE_CHECKING:
    from exporttiles.ports.tiles import PlacedTile

RecompressedTile: TypeAlias = tuple[tuple[int, int], bytes, str]
"""Row and column, the tile, and why it is as it was, if it could not be read."""


def recompress_tile(quality: int, placed: "PlacedTile") -> RecompressedTile:
    """Return a tile at a lower JPEG quality, or as it is: if it would not be smaller, is no JPEG or is damaged."""
    from exporttiles.formats.tiles.codec import recompress_jpeg

    place, tile = placed[0], bytes(placed[1])
    try:
        return place, recompress_jpeg(tile, quality), ""
    except DamagedCacheError as error:
        return place, tile, str(error).rstrip(".")
