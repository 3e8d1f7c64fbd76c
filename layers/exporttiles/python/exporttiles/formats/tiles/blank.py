"""Recognizing tiles without contents: those that are transparent or of one color."""

from functools import lru_cache, partial

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.export import Blank
from exporttiles.formats.tiles.image import sniff

_CACHED_TILES = 256
_PIXELS_PER_BYTE = 16


class BlankTiles:
    """Decides which tiles of a cache are blank; equal tiles are decoded once.

    Args:
        blank: which tiles are blank.
        tile_size: in pixels. Tiles of more bytes than a plain one takes are not decoded:
            4,096 for 256 pixels.
    """

    def __init__(self, blank: Blank, tile_size: int) -> None:
        self._blank = blank
        self._size_limit_bytes = tile_size * tile_size // _PIXELS_PER_BYTE
        self._is_blank = lru_cache(_CACHED_TILES)(partial(_is_blank, blank))

    def hold(self, tile: bytes | memoryview) -> bool:
        """Return True if a tile is blank; False for one that cannot be decoded."""
        if len(tile) > self._size_limit_bytes or (self._blank is Blank.TRANSPARENT and sniff(tile) != "png"):
            return False
        return self._is_blank(bytes(tile))


def _is_blank(blank: Blank, tile: bytes) -> bool:
    from exporttiles.formats.tiles.codec import decode

    try:
        image = decode(tile)
    except DamagedCacheError:
        return False
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (0, 0):
        return True
    if blank is Blank.TRANSPARENT:
        return False
    return all(len(set(channel.getextrema())) == 1 for channel in image.split())
