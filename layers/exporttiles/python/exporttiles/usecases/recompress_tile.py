"""Recompress one tile. A module of its own, so that worker processes import little."""

from typing import TYPE_CHECKING, TypeAlias

from exporttiles.domain.errors import DamagedCacheError

if TYPE_CHECKING:
    from exporttiles.ports.tiles import PlacedTile

RecompressedTile: TypeAlias = tuple[tuple[int, int], bytes, str]
"""Row and column, the tile, and why it was not recompressed; '' if it was readable."""


def recompress_tile(quality: int, placed: "PlacedTile") -> RecompressedTile:
    """Recompress a JPEG tile. Return it unchanged if it is damaged, not a JPEG, or would not become smaller."""
    from exporttiles.formats.tiles.codec import recompress_jpeg

    place, tile = placed[0], bytes(placed[1])
    try:
        return place, recompress_jpeg(tile, quality), ""
    except DamagedCacheError as error:
        return place, tile, str(error).rstrip(".")
