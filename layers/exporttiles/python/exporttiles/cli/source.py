"""Where the tiles of a command come from: the cache, and the options that tell what it cannot."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from obstore.store import LocalStore

from exporttiles.adapters.archives import open_cache, require_cache, within
from exporttiles.adapters.object_stores import ObjectStore, open_store
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.errors import SourceError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.tiling_schemes import WELL_KNOWN
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile, TileSource
from exporttiles.usecases.inspect_cache import InspectCache, InspectedCache
from exporttiles.usecases.survey_files import FileOrder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOLD_TILES = 256
_ASSUMED_SCHEME = "web_mercator_256"


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be told what a cache without documents is."""
    parser.add_argument(
        "--scheme",
        choices=sorted(WELL_KNOWN),
        help=(
            "tiling scheme of a cache without conf.xml or root.json, instead of that of tilemapresource.xml "
            f"(default: {_ASSUMED_SCHEME})"
        ),
    )
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument(
        "--rows-from-bottom",
        dest="is_from_bottom",
        action="store_true",
        default=None,
        help="files are named level/column/row with row 0 at the bottom (TMS), whatever documents say",
    )
    rows.add_argument(
        "--rows-from-top",
        dest="is_from_bottom",
        action="store_false",
        help="files are named level/column/row with row 0 at the top (XYZ), whatever documents say",
    )
    digits = parser.add_mutually_exclusive_group()
    digits.add_argument(
        "--hexadecimal-levels",
        dest="has_hexadecimal_levels",
        action="store_true",
        default=None,
        help="the folder L10 holds level 16, as in caches before ArcGIS 10.1 (default: as the tiles show)",
    )
    digits.add_argument(
        "--decimal-levels", dest="has_hexadecimal_levels", action="store_false", help="the folder L10 holds level 10"
    )
    parser.add_argument("--row-before-column", action="store_true", help="files are named level/row/column (WMTS)")
    parser.add_argument("--description", default="", help="what the map shows")
    parser.add_argument("--copyright", default="", help="to whom it is owed")


def local_path(source: str) -> Path | None:
    """Return the absolute path that a source names, or None if it is not on this machine."""
    if "://" in source and not source.startswith("file://"):
        return None
    return Path(unquote(source.removeprefix("file://")) if "://" in source else source).absolute()


def open_source(source: str) -> tuple[ObjectReader, str]:
    """Return what lies at a path or an address, and its address.

    Raises:
        SourceError: there is nothing, or nothing that can hold tiles.
    """
    path = local_path(source)
    if path is None:
        return open_address(source), source
    if not path.exists():
        raise SourceError(f"There is no file or folder {path}.")
    # A path is no address: it may hold any character.
    folder = path if path.is_dir() else path.parent
    objects = ObjectStore(LocalStore(folder))
    if path.is_dir():
        return objects, f"file://{path}"
    require_cache(objects, path.name)
    return within(objects, path.name), f"file://{path}"


def open_address(url: str) -> ObjectReader:
    """Return what lies at an address.

    Raises:
        SourceError: it is a file that is no archive of tiles, or the address names no store.
    """
    folder, _, name = url.rstrip("/").rpartition("/")
    if folder.partition("://")[2]:  # the address is not that of a bucket
        require_cache(open_store(folder), name)
    return open_cache(url)


def inspect(options: argparse.Namespace, objects: ObjectReader, name: str, url: str) -> InspectedCache:
    """Return the service that a cache can be, with the texts that the options give it.

    Raises:
        DamagedCacheError: there is no cache that can be read.
        SourceError: the store does not answer.
    """
    order = FileOrder(
        is_row_first=options.row_before_column,
        is_from_bottom=options.is_from_bottom,
        has_hexadecimal_levels=options.has_hexadecimal_levels,
    )
    scheme = WELL_KNOWN[options.scheme or _ASSUMED_SCHEME]
    inspect_cache = InspectCache(objects, read_cache, scheme, order)
    if options.scheme:
        inspect_cache = replace(inspect_cache, is_scheme_chosen=True, scheme_source="from --scheme")
    found = inspect_cache(name, url)
    texts = {"description": options.description, "copyright_text": options.copyright}
    return replace(found, service=replace(found.service, **texts))


def print_messages(messages: Iterable[Message]) -> None:
    """Print messages; those that are more than information begin with their kind."""
    for message in messages:
        print(message.text if message.kind is MessageKind.INFORMATIVE else f"{message.kind}: {message.text}")


class SingleSource:
    """The one cache of a command, opened once.

    Args:
        cache: to be read.
        objects: where it lies.
        tell: is told, now and then, how many of the selected tiles were looked for.
    """

    def __init__(self, cache: TileCache, objects: ObjectReader, tell: Callable[[int], None]) -> None:
        self._source = read_cache(objects, cache)
        self._tell = tell
        self._tile_count = 0

    def open(self, _cache: TileCache) -> TileSource:
        """Return the reader of the cache."""
        return self

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles of one bundle that are wanted and exist, as they arrive."""
        for number, tile in enumerate(self._source.read_bundle(bundle, selected)):
            if number % _TOLD_TILES == 0:
                self._tell(self._tile_count + number)
            yield tile
        self._tile_count += int(selected.sum())
        self._tell(self._tile_count)

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that may hold tiles; None if that would cost too much to find out."""
        return self._source.find_bundles(block, tile_count, limit)

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> "NDArray[np.int32]":
        """Return the bytes of the tiles that are wanted, without reading them."""
        return self._source.tile_sizes(bundle, selected)

    def unchanged(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return which of the tiles that are wanted exist and were written before a time."""
        return self._source.unchanged(bundle, selected, since)
