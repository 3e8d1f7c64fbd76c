"""The cache that a command reads, and the options that describe it."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import click
from obstore.store import LocalStore

from exporttiles.adapters.archives import open_cache, require_cache, within
from exporttiles.adapters.object_stores import ObstoreObjects, open_store
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.destination import Inputs
from exporttiles.domain.errors import DamagedCacheError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.mosaic import MosaicOrder, ValueRange
from exporttiles.domain.service import TileFormat
from exporttiles.formats.caches.listing import RASTERS
from exporttiles.formats.caches.stac import STAC_SUFFIX
from exporttiles.formats.caches.tile_tables import DATABASES
from exporttiles.formats.esri.tiling_schemes import WELL_KNOWN
from exporttiles.ports.objects import ObjectReader
from exporttiles.usecases.inspection.inspect_cache import InspectCache, InspectedCache
from exporttiles.usecases.inspection.readings import FileOrder
from exporttiles.usecases.inspection.survey_raster import AUTO, Rendering

_ASSUMED_SCHEME = "web_mercator_256"
_LIST = ".txt"
_MAX_LIST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """A cache or package that the user names.

    Attributes:
        address: as it was given; it is how messages name the source.
        path: absolute; None if the source is not on this machine.
        files: paths, below the source, of the GeoTIFFs that the user lists; none for all of it.
    """

    address: str
    path: Path | None
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the address."""
        return self.address

    def inputs(self, others: tuple[Path, ...]) -> Inputs:
        """Return all inputs of a command: this source, and other files."""
        if self.path is None or not self.files:
            return Inputs(self.path, others)
        return Inputs(None, (*(self.path / file for file in self.files), *others))


def read_source(_context: click.Context, _parameter: click.Parameter, value: str) -> Source:
    """Return the source at a path or an address such as s3://bucket/caches/Name.

    Raises:
        BadParameter: it is empty, or there is nothing at the path.
    """
    if not value.strip():
        raise click.BadParameter("It is empty.")
    is_url = value.startswith("file://")
    if "://" in value and not is_url:
        return Source(value, None)
    path = Path(unquote(value.removeprefix("file://")) if is_url else value).absolute()
    if not os.path.lexists(path):
        raise click.BadParameter(f"There is no file or folder {path}.")
    return Source(value, path)


def read_sources(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Source:
    """Return one source, or the folder around several GeoTIFFs, in the order in which they are listed.

    A value that ends in .txt is a file with one path or address a line.

    Raises:
        BadParameter: one of them is missing, listed twice, not a GeoTIFF, or in another bucket.
    """
    listed = [each for value in values for each in (_read_list(value) if value.lower().endswith(_LIST) else [value])]
    sources = [read_source(context, parameter, value) for value in listed]
    if len(sources) == 1 and listed == [*values]:
        return sources[0]
    if len({source.path is None for source in sources}) > 1:
        raise click.BadParameter("Some of the files are on this machine, and some are not. Copy them to one place.")
    if sources[0].path:
        places = [os.path.normpath(source.path or "") for source in sources]
        folder = os.path.commonpath([os.path.dirname(place) for place in places])  # noqa: PTH120
    else:
        places = [source.address for source in sources]
        folder = _common_address(places)
    seen = set[str]()
    for place in places:
        if not place.lower().endswith(tuple(f".{extension}" for extension in RASTERS)):
            raise click.BadParameter(f"'{place}' is no GeoTIFF (.tif). Several sources are the files of one mosaic.")
        if place in seen:
            raise click.BadParameter(f"'{place}' is listed twice.")
        seen.add(place)
    files = tuple(place.removeprefix(folder).lstrip("/") for place in places)
    return Source(folder, Path(folder) if sources[0].path else None, files)


def _read_list(path: str) -> list[str]:
    """Return the paths and addresses in a file.

    Raises:
        BadParameter: it cannot be read, or is empty.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(_MAX_LIST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"'{path}' cannot be read as a list of GeoTIFFs, one a line.") from error
    listed = [line.strip() for line in text.splitlines() if line.strip()]
    if len(text) > _MAX_LIST_BYTES or not listed:
        size = "is empty" if not listed else f"has more than {_MAX_LIST_BYTES:,} characters"
        raise click.BadParameter(f"'{path}' {size}. It lists GeoTIFFs, one a line.")
    return listed


def _common_address(addresses: Sequence[str]) -> str:
    """Return the address of the folder that some files share.

    Raises:
        BadParameter: one of them is in another bucket.
    """
    buckets = ["/".join(address.split("/")[:3]) for address in addresses]
    for address, bucket in zip(addresses, buckets, strict=True):
        if bucket != buckets[0]:
            raise click.BadParameter(f"'{address}' is not in {buckets[0]}, as the first file is. Copy it there.")
    folders = [address.rpartition("/")[0].removeprefix(buckets[0]) or "/" for address in addresses]
    return f"{buckets[0]}{os.path.commonpath(folders)}".rstrip("/")


def _read_rescale(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[ValueRange, ...] | Literal["auto"]:
    """Return the ranges of values of the option --rescale.

    Raises:
        BadParameter: one of them is no pair of ascending numbers.
    """
    if values == (AUTO,):
        return AUTO
    ranges = []
    for value in values:
        try:
            low, high = map(float, value.split(","))
        except ValueError:
            low, high = 0.0, 0.0
        if not (low < high and math.isfinite(high - low)):
            other = f", or {AUTO}" if len(values) == 1 else ""
            raise click.BadParameter(
                f"'{value}' cannot be used. It must be two ascending numbers, such as 120,3400{other}."
            )
        ranges.append((low, high))
    return tuple(ranges)


def _read_bands(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Return the numbers of bands of the option --bands; () if it is not given.

    Raises:
        BadParameter: they are not one or three numbers from 1.
    """
    parts = [part.strip() for part in value.split(",")] if value is not None else []
    bands = tuple(int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) <= 3)
    if len(bands) != len(parts) or len(bands) not in {0, 1, 3} or 0 in bands:
        raise click.BadParameter(
            f"'{value}' cannot be used. It must be the number of one band for gray, or of three for red, green and "
            "blue, such as 4,3,2; the first band is 1."
        )
    return bands


_OPTIONS = (
    click.option(
        "--scheme",
        type=click.Choice(sorted(WELL_KNOWN)),
        metavar="SCHEME",
        help=(
            f"Tiling scheme of the tiles: {' or '.join(sorted(WELL_KNOWN))}. It replaces that of tilemapresource.xml; "
            f"conf.xml and root.json always state their own.  [default: {_ASSUMED_SCHEME}]"
        ),
    ),
    click.option(
        "--rows-from-bottom/--rows-from-top",
        default=None,
        help=(
            "Row 0 of a cache of files is at the bottom (TMS) or at the top (XYZ).  "
            "[default: as its documents say, or at the top]"
        ),
    ),
    click.option(
        "--hexadecimal-levels/--decimal-levels",
        default=None,
        help=(
            "The folder L10 holds level 16, as in caches before ArcGIS 10.1, or level 10.  [default: as the tiles show]"
        ),
    ),
    click.option("--row-before-column", is_flag=True, help="Files are named level/row/column, as in WMTS."),
    click.option("--layer", default="", metavar="NAME", help="Layer of tiles of a GeoPackage that has several."),
    click.option(
        "--source-wkid",
        type=click.IntRange(min=1),
        metavar="WKID",
        help="Coordinate system of GeoTIFFs that state none, or a wrong one, such as 32632.",
    ),
    click.option(
        "--bands",
        callback=_read_bands,
        metavar="R,G,B",
        help=(
            "Bands of GeoTIFFs that are drawn as red, green and blue, such as 4,3,2, or one that is drawn as gray.  "
            "[default: the first three, or the first]"
        ),
    ),
    click.option(
        "--rescale",
        multiple=True,
        callback=_read_rescale,
        metavar="MIN,MAX",
        help=(
            "Values of GeoTIFFs that become black and white, such as 120,3400, for pixels of 16 bits and more; given "
            f"three times, those of red, green and blue. {AUTO}: the range of 96 % of a sample."
        ),
    ),
    click.option(
        "--mosaic-order",
        type=click.Choice([str(order) for order in MosaicOrder]),
        help=(
            "Order of GeoTIFFs; later ones cover earlier ones. The date is the time of a STAC item, otherwise that at "
            "which a file was written.  [default: as several files are given, by name in a folder, by date in STAC]"
        ),
    ),
    click.option("--asset", default="", metavar="KEY", help="Asset of STAC items that have several GeoTIFFs."),
    click.option("--description", metavar="TEXT", default="", help="Description of the map."),
    click.option("--copyright", metavar="TEXT", default="", help="Copyright notice of the map."),
)


def cache_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a cache: the keyword arguments of `inspect`."""
    return reduce(lambda wrapped, add: add(wrapped), reversed(_OPTIONS), command)


def open_source(source: Source) -> tuple[ObjectReader, str]:
    """Open the cache at a source. Return its objects and its URL.

    Raises:
        SourceError: it is a file that is not an archive of tiles, or the address names no store.
    """
    path = source.path
    if path is None:
        return open_address(source.address), source.address
    # Not open_address: a path may hold any character, a URL may not.
    objects = ObstoreObjects(LocalStore(path if path.is_dir() else path.parent))
    if path.is_dir():
        return objects, f"file://{path}"
    if path.suffix.lower() not in DATABASES:
        require_cache(objects, path.name)
    return within(objects, path.name), f"file://{path}"


def open_address(url: str) -> ObjectReader:
    """Open the cache at a URL; of a document of STAC, the folder around it.

    Raises:
        SourceError: it is a file that is not an archive of tiles, or the URL names no store.
    """
    folder, _, name = url.rstrip("/").rpartition("/")
    if folder.partition("://")[2]:  # more than a bucket
        require_cache(open_store(folder), name)
    return open_store(folder) if name.lower().endswith(STAC_SUFFIX) else open_cache(url)


def inspect(
    source: Source,
    objects: ObjectReader,
    name: str,
    url: str,
    *,
    scheme: str | None,
    rows_from_bottom: bool | None,
    hexadecimal_levels: bool | None,
    row_before_column: bool,
    layer: str,
    asset: str,
    mosaic_order: str | None,
    source_wkid: int | None,
    bands: tuple[int, ...],
    rescale: tuple[ValueRange, ...] | Literal["auto"],
    description: str,
    copyright: str,  # noqa: A002  named as its option
    tile_format: str | None = None,
    quality: int | None = None,
) -> InspectedCache:
    """Return a cache or GeoTIFFs as an image service, with the texts of the options.

    Tiles that are drawn from GeoTIFFs have the tile format and the quality that are given.

    Raises:
        DamagedCacheError: there is no cache that can be read.
        SourceError: the store does not answer.
    """
    order = FileOrder(row_before_column, rows_from_bottom, hexadecimal_levels)
    inspect_cache = InspectCache(
        objects,
        read_cache,
        WELL_KNOWN[scheme or _ASSUMED_SCHEME],
        order,
        layer=layer,
        asset=asset,
        files=source.files,
        mosaic_order=MosaicOrder(mosaic_order) if mosaic_order else None,
    )
    rendering = Rendering(source_wkid=source_wkid, rescale=rescale, bands=bands)
    if tile_format:
        rendering = replace(rendering, tile_format=TileFormat(tile_format))
    if quality is not None:
        rendering = replace(rendering, quality=min(max(quality, 1), 95))
    inspect_cache = replace(inspect_cache, rendering=rendering)
    if scheme:
        inspect_cache = replace(inspect_cache, is_scheme_chosen=True, scheme_source="from --scheme")
    try:
        found = inspect_cache(name, url)
    except DamagedCacheError as error:
        reason = str(error).removeprefix(f"{Path(source.address).name}: ")
        raise DamagedCacheError(f"{source}: {reason}") from error
    service = found.service
    if service.cache.mosaic and source.path and source.path.is_dir() and not source.files:
        found = replace(found, messages=(*found.messages, *_broken_links(source.path)))
    texts = description or service.description, copyright or service.copyright_text
    return replace(found, service=replace(service, description=texts[0], copyright_text=texts[1]))


def _broken_links(folder: Path) -> Iterator[Message]:
    """Yield a warning for each symbolic link in a folder that leads to no file: its raster is not drawn."""
    for top, folders, names in os.walk(folder):
        for path in sorted(Path(top, name) for name in (*folders, *names)):
            if path.is_symlink() and not path.exists():
                text = f"{path.relative_to(folder).as_posix()}: It is left out: the link leads to no file."
                yield Message(MessageKind.WARNING, text)


def print_messages(messages: Iterable[Message]) -> None:
    """Print messages. Warnings and errors begin with their kind."""
    for message in messages:
        print(message.text if message.kind is MessageKind.INFORMATIVE else f"{message.kind}: {message.text}")
