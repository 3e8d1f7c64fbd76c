"""The cache that a command reads, and the options that describe it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click
from obstore.store import LocalStore

from exporttiles.adapters.archives import open_cache, require_cache, within
from exporttiles.adapters.object_stores import ObstoreObjects, open_store
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.command import ExclusiveOption
from exporttiles.domain.errors import SourceError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.formats.esri.tiling_schemes import WELL_KNOWN
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import FoundBundles, Mask, PlacedTile, TileSource
from exporttiles.usecases.inspection.inspect_cache import InspectCache, InspectedCache
from exporttiles.usecases.inspection.readings import FileOrder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TILES_A_REPORT = 256
_ASSUMED_SCHEME = "web_mercator_256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What the user says of a cache, by the options of `source_options`."""

    scheme: str | None
    rows_from_bottom: bool
    rows_from_top: bool
    hexadecimal_levels: bool
    decimal_levels: bool
    row_before_column: bool
    description: str
    copyright: str

    @property
    def file_order(self) -> FileOrder:
        """How files and folders are named; None where the cache shows it."""
        return FileOrder(
            is_row_first=self.row_before_column,
            is_from_bottom=self.rows_from_bottom if self.rows_from_bottom or self.rows_from_top else None,
            has_hexadecimal_levels=(
                self.hexadecimal_levels if self.hexadecimal_levels or self.decimal_levels else None
            ),
        )


_OPTIONS = (
    click.option(
        "--scheme",
        type=click.Choice(sorted(WELL_KNOWN)),
        metavar="SCHEME",
        help=(
            "Tiling scheme of a cache without conf.xml or root.json, instead of that of tilemapresource.xml: "
            f"{', '.join(sorted(WELL_KNOWN))} (default: {_ASSUMED_SCHEME})."
        ),
    ),
    click.option(
        "--rows-from-bottom",
        is_flag=True,
        help="Files are named level/column/row with row 0 at the bottom (TMS), whatever documents say.",
    ),
    click.option(
        "--rows-from-top",
        is_flag=True,
        cls=ExclusiveOption,
        excludes=["rows_from_bottom"],
        help="Files are named level/column/row with row 0 at the top (XYZ), whatever documents say.",
    ),
    click.option(
        "--hexadecimal-levels",
        is_flag=True,
        help="The folder L10 holds level 16, as in caches before ArcGIS 10.1 (default: as the tiles show).",
    ),
    click.option(
        "--decimal-levels",
        is_flag=True,
        cls=ExclusiveOption,
        excludes=["hexadecimal_levels"],
        help="The folder L10 holds level 10.",
    ),
    click.option("--row-before-column", is_flag=True, help="Files are named level/row/column (WMTS)."),
    click.option("--description", default="", help="Description of the map."),
    click.option("--copyright", default="", help="Copyright notice of the map."),
)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a cache; the command takes them as `cache`, a `SourceOptions`."""

    @wraps(command)
    def with_cache(**values: Any) -> Any:
        cache = SourceOptions(**{field.name: values.pop(field.name) for field in fields(SourceOptions)})
        return command(**values, cache=cache)

    return reduce(lambda wrapped, add: add(wrapped), reversed(_OPTIONS), with_cache)


def local_path(source: str) -> Path | None:
    """Return the absolute path that a source names, or None if it is not on this machine."""
    if "://" in source and not source.startswith("file://"):
        return None
    return Path(unquote(source.removeprefix("file://")) if "://" in source else source).absolute()


def open_source(source: str) -> tuple[ObjectReader, str]:
    """Open the cache at a path or an address; return its objects and its address.

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
    objects = ObstoreObjects(LocalStore(folder))
    if path.is_dir():
        return objects, f"file://{path}"
    require_cache(objects, path.name)
    return within(objects, path.name), f"file://{path}"


def open_address(url: str) -> ObjectReader:
    """Open the cache at an address.

    Raises:
        SourceError: it is a file that is no archive of tiles, or the address names no store.
    """
    folder, _, name = url.rstrip("/").rpartition("/")
    if folder.partition("://")[2]:  # the address is not that of a bucket
        require_cache(open_store(folder), name)
    return open_cache(url)


def inspect(options: SourceOptions, objects: ObjectReader, name: str, url: str) -> InspectedCache:
    """Return the service that a cache can be, with the texts that the options give it.

    Raises:
        DamagedCacheError: there is no cache that can be read.
        SourceError: the store does not answer.
    """
    scheme = WELL_KNOWN[options.scheme or _ASSUMED_SCHEME]
    inspect_cache = InspectCache(objects, read_cache, scheme, options.file_order)
    if options.scheme:
        inspect_cache = replace(inspect_cache, is_scheme_chosen=True, scheme_source="from --scheme")
    found = inspect_cache(name, url)
    service = replace(found.service, description=options.description, copyright_text=options.copyright)
    return replace(found, service=service)


def print_messages(messages: Iterable[Message]) -> None:
    """Print messages; those that are more than information begin with their kind."""
    for message in messages:
        print(message.text if message.kind is MessageKind.INFORMATIVE else f"{message.kind}: {message.text}")


class SingleSource:
    """The one cache of a command, opened once.

    Args:
        cache: to be read.
        objects: where it lies.
        report_progress: takes, every few hundred tiles, how many of the selected tiles were looked for.
    """

    def __init__(self, cache: TileCache, objects: ObjectReader, report_progress: Callable[[int], None]) -> None:
        self._source = read_cache(objects, cache)
        self._report_progress = report_progress
        self._tile_count = 0

    def open(self, _cache: TileCache) -> TileSource:
        """Return the reader of the cache."""
        return self

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles of one bundle that are wanted and exist, as they arrive."""
        for number, tile in enumerate(self._source.read_bundle(bundle, selected)):
            if number % _TILES_A_REPORT == 0:
                self._report_progress(self._tile_count + number)
            yield tile
        self._tile_count += int(selected.sum())
        self._report_progress(self._tile_count)

    def find_bundles(self, block: TileRange, tile_count: int, limit: int) -> FoundBundles | None:
        """Return the bundles of a block that may hold tiles; None if that would cost too much to find out."""
        return self._source.find_bundles(block, tile_count, limit)

    def tile_sizes(self, bundle: BundleIndex, selected: Mask) -> "NDArray[np.int32]":
        """Return the bytes of the tiles that are wanted, without reading them."""
        return self._source.tile_sizes(bundle, selected)

    def unmodified_since(self, bundle: BundleIndex, selected: Mask, since: datetime) -> Mask:
        """Return which of the tiles that are wanted exist and were written before a time."""
        return self._source.unmodified_since(bundle, selected, since)
