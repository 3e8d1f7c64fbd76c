"""Detecting the tile format of a cache from its tiles; names and documents may be wrong."""

from collections import Counter
from collections.abc import Sequence

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.service import TileFormat
from exporttiles.formats.tiles.codec import estimate_jpeg_quality
from exporttiles.formats.tiles.image import image_size, sniff

_PNG_COLOUR_TYPE_OFFSET = 25
_PNG_FORMATS = {2: TileFormat.PNG24, 3: TileFormat.PNG8, 6: TileFormat.PNG32}


def detect_format(tiles: Sequence[bytes], declared: TileFormat | None = None) -> tuple[TileFormat, int]:
    """Return the format of a cache, and the JPEG quality of its tiles or 0.

    Tiles that are no images, such as error pages that a server left, do not
    count as long as there are others.

    Args:
        tiles: some tiles, from all over the cache.
        declared: the format in the documents of the cache; kept if it allows all
            of the tiles, as a few do not show if it is JPEG or MIXED.

    Raises:
        DamagedCacheError: no tile is an image that is known, or no tile format
            holds all of them.
    """
    encodings = {sniff(tile) for tile in tiles} - {None}
    if not encodings:
        raise DamagedCacheError(
            "The tiles are no images that are known; exports hold JPEG, PNG, LERC or WebP. Convert the cache first."
        )
    if "lerc" in encodings and len(encodings) > 1:
        raise DamagedCacheError("Some of the tiles are LERC and some are pictures; no tile format holds both.")
    if "webp" in encodings and len(encodings) > 1:
        raise DamagedCacheError("Some of the tiles are WebP and some are JPEG or PNG; no tile format holds both.")
    quality = max(map(_jpeg_quality, tiles))
    if declared is not None and encodings <= declared.encodings:
        return declared, quality
    if encodings == {"png"}:
        # A document that is wrong about the format is no reason to trust a few tiles about the depth of all.
        return (_png_format(tiles) if declared is None else TileFormat.PNG), 0
    if encodings == {"lerc"}:
        return TileFormat.LERC, 0
    if encodings == {"webp"}:
        return TileFormat.WEBP, 0
    return TileFormat.MIXED if "png" in encodings else TileFormat.JPEG, quality


def tile_side(tiles: Sequence[bytes]) -> int | None:
    """Return the width and height of most tiles in pixels; None if no header has them.

    An export leaves out the few that have another size.

    Raises:
        DamagedCacheError: most of them are not square.
    """
    sizes = Counter(size for tile in tiles if (size := image_size(tile)))
    if not sizes:
        return None
    height, width = max(sizes, key=lambda size: (sizes[size], size))
    if height != width:
        raise DamagedCacheError(f"The tiles are {width} x {height} pixels, not square.")
    return height


def _jpeg_quality(tile: bytes) -> int:
    """Return the quality of a JPEG; 0 for others, and for one that cannot be read."""
    try:
        return estimate_jpeg_quality(tile)
    except DamagedCacheError:
        return 0


def _png_format(tiles: Sequence[bytes]) -> TileFormat:
    """Return the PNG format of all tiles, or PNG, which allows any, if they differ."""
    depths = {tile[_PNG_COLOUR_TYPE_OFFSET] for tile in tiles if image_size(tile)}
    return _PNG_FORMATS.get(depths.pop(), TileFormat.PNG) if len(depths) == 1 else TileFormat.PNG
