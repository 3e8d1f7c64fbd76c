"""The command ``exporttiles export``: makes a package of a cache on this machine, without AWS."""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from exporttiles.adapters.allocator import collect_garbage_less_often, keep_freed_memory
from exporttiles.adapters.local_objects import LocalObjects
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.process import METER, SystemClock
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.area_file import BUFFER_HELP, buffer_parameters, read_area_file
from exporttiles.cli.command import Command, ExclusiveOption, filled, with_option
from exporttiles.cli.destination import OUTPUTS, Destination, OutputError
from exporttiles.cli.progress import progress_bar
from exporttiles.cli.source import Source, cache_options, inspect, open_source, print_messages, read_source
from exporttiles.cli.tile_area import tile_parameters
from exporttiles.domain.errors import ExportTilesError, RequestError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import Job, Message, MessageKind, job_id_of
from exporttiles.domain.service import ImageService, TileCache
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.packages.outputs import output_of
from exporttiles.formats.packages.storage_formats import format_obstacle, legal_formats
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import Mask, PlacedTile, TileSource
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.parameters import read_export_request
from exporttiles.usecases.build_fragment import RunAll
from exporttiles.usecases.completion_messages import completion_messages
from exporttiles.usecases.export_at_once import ExportAtOnce
from exporttiles.usecases.export_tile_range import ExportTileRange
from exporttiles.usecases.pack_tile_package import PackTilePackage
from exporttiles.usecases.plan_export import PlanExport
from exporttiles.usecases.reuse_package import ReusePackage
from exporttiles.usecases.submit_export import SubmitExport
from exporttiles.usecases.verify_package import VerifyPackage

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LONGEST_MEMBER_NAME = 100  # file systems take 255 bytes, with suffixes
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TILES_A_MESSAGE = 16
_TILES_A_REPORT = 256
_LIFETIME = timedelta(days=365)  # of a job that ends with its process


@click.command(cls=Command)
@click.argument("source", type=click.Path(), callback=read_source)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--levels", callback=filled, metavar="LEVELS", help="Levels, such as 0-7 or 1-4,7-9.  [default: all with tiles]"
)
@click.option(
    "--extent",
    callback=filled,
    metavar="XMIN,YMIN,XMAX,YMAX",
    help="Extent, in the spatial reference of the cache or of --extent-wkid.  [default: all]",
)
@click.option(
    "--area",
    type=click.Path(path_type=Path),
    cls=ExclusiveOption,
    excludes=["extent"],
    metavar="FILE",
    help="File of polygons, or of lines and points with --buffer, as Esri JSON or GeoJSON, instead of --extent.",
)
@click.option(
    "--tile",
    multiple=True,
    cls=ExclusiveOption,
    excludes=["extent", "area"],
    metavar="Z/X/Y",
    help="Area of a tile of Web Mercator, by zoom/x/y or quadkey, instead of --extent; may be repeated.",
)
@click.option("--buffer", callback=filled, metavar="DISTANCE", help=BUFFER_HELP)
@click.option(
    "--extent-wkid",
    type=click.IntRange(min=1),
    metavar="WKID",
    help="Spatial reference of --extent, such as 4326 for degrees.",
)
@click.option("--quality", type=click.IntRange(0, 100), metavar="N", help="Recompress JPEG tiles with this quality.")
@click.option("--clip", is_flag=True, help="Make pixels outside the area transparent; cut JPEG tiles become PNG.")
@click.option("--skip-blank", is_flag=True, help="Leave out fully transparent tiles.")
@click.option("--skip-one-color", is_flag=True, help="Leave out all tiles of one color, transparent or not.")
@click.option("--clip-color", metavar="R,G,B", help="With --clip: paint them in a color instead, such as 255,255,255.")
@click.option("--name", default="", metavar="TITLE", help="Title of the map.  [default: the file name]")
@click.option("--force", is_flag=True, help="Replace an earlier output of the same kind.")
@cache_options
def export(
    source: Source,
    out: Path,
    *,
    levels: str | None,
    extent: str | None,
    area: Path | None,
    tile: tuple[str, ...],
    buffer: str | None,
    extent_wkid: int | None,
    quality: int | None,
    clip: bool,
    clip_color: str | None,
    skip_blank: bool,
    skip_one_color: bool,
    name: str,
    force: bool,
    **cache: Any,
) -> None:
    """Export tiles of a cache into a package, without AWS.

    SOURCE is a folder, .tpkx, .tpk, .zip or .pmtiles: a path, or an address such as s3://bucket/caches/Name.

    OUT is a .tpkx, .tpk, .pmtiles, .mbtiles or .gpkg, or a cache raster dataset: a .zip or a folder.
    """
    keep_freed_memory()
    collect_garbage_less_often()
    out = out.absolute()
    destination = Destination(out, is_replaced=force)
    destination.check(source.path, *filter(None, [area]))
    tile_package, storage_format = OUTPUTS[out.suffix.lower()]
    parameters = {
        "tilePackage": tile_package,
        "storageFormatType": storage_format,
        "levels": levels,
        "exportExtent": _with_reference(extent, extent_wkid) if extent_wkid else extent,
        "areaOfInterest": read_area_file(area) if area else None,
        **buffer_parameters(buffer, area),
        **tile_parameters(tile),
        "clip": "true" if clip else None,
        "clipColor": clip_color,
        "skipBlank": "true" if skip_blank else None,
        "skipOneColor": "true" if skip_one_color else None,
    }
    if quality is not None:
        parameters |= {"optimizeTilesForSize": "true", "compressionQuality": str(quality)}
    objects, url = open_source(source)
    title = (name or out.stem).encode(errors="replace").decode()  # a name of a file may hold any bytes
    member_name = _member_name(title)
    found = inspect(source, objects, member_name, url, **cache)
    print_messages(found.messages)
    service = replace(found.service, title="" if title == member_name else title, max_export_tiles_count=sys.maxsize)
    held = [lod.level for lod in service.tiling_scheme.lods if service.min_level <= lod.level <= service.max_level]
    if why := format_obstacle(service, storage_format, held):
        raise OutputError(f"{why} {_advice(service)}")
    given = {parameter: value for parameter, value in parameters.items() if value is not None}
    request = read_export_request(given, service, must_name_reference=True)
    for note in request.notes:
        print(with_option(note))
    warnings = tuple(with_option(text) for text in request.warnings)
    # The levels of the cache are known: an area too complex for levels without tiles is not refused because of them.
    wanted = [level for level in request.levels if service.min_level <= level <= service.max_level] or request.levels
    asked = Export(service, replace(request, levels=tuple(wanted), warnings=warnings))
    job_id = job_id_of(asked.to_json().decode())  # equal exports are equal jobs, and so make equal packages
    with (
        _stopped_in_order(),
        _room_for(out),
        TemporaryDirectory(prefix=".exporttiles.", dir=out.parent) as folder,
        closing(LocalObjects(Path(folder), head_bytes=output_of(service, request).head_bytes)) as local,
    ):
        packed, messages = _export(asked, job_id, objects, local)
        made = packed.key if out.suffix else JobKeys(job_id).delivered(service.short_name)
        destination.put(local.path(made))
    print_messages([*messages, *completion_messages(asked, replace(packed, name=out.name))])


def _advice(service: ImageService) -> str:
    """Return which outputs a service can be exported to, as a sentence."""
    legal = legal_formats(service)
    suffixes = [suffix for suffix, (_, storage_format) in OUTPUTS.items() if suffix and storage_format in legal]
    if not suffixes:
        return "No other output holds them either."
    names = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
    return f"Use {names}{', or no suffix for a folder' if StorageFormat.COMPACT_V2 in legal else ''}."


def _member_name(title: str) -> str:
    """Return a title as the name of files and folders in a package: up to 100 letters, digits and underscores."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", title)[:_LONGEST_MEMBER_NAME]
    return name if name.strip("_") else "Map"


def _with_reference(extent: str | None, wkid: int) -> str:
    """Return an extent of four numbers as an envelope with its spatial reference."""
    if extent is None or extent.lstrip().startswith("{"):
        raise RequestError("It is the spatial reference of the four numbers of --extent.", "extent_wkid")
    sides = extent.split(",")
    if len(sides) != len(_SIDES):
        return extent  # to be refused with the rest of the request
    with naming_parameter("extent_wkid"):
        SpatialReference(wkid).crs  # noqa: B018  raises if the reference is unknown
    return json.dumps(dict(zip(_SIDES, sides, strict=True)) | {"spatialReference": {"wkid": wkid}})


class _ReportingSource:
    """The one cache of an export, which reports how many of the selected tiles were looked for."""

    def __init__(self, source: TileSource, report: Callable[[int], None]) -> None:
        self._source, self._report = source, report
        self._done = 0
        self.find_bundles, self.tile_sizes = source.find_bundles, source.tile_sizes
        self.unmodified_since = source.unmodified_since

    def open(self, _cache: TileCache) -> TileSource:
        """Return the reader of the cache."""
        return self

    def read_bundle(self, bundle: BundleIndex, selected: Mask) -> Iterator[PlacedTile]:
        """Yield the tiles of the cache, and report every few hundred."""
        for number, tile in enumerate(self._source.read_bundle(bundle, selected)):
            if number % _TILES_A_REPORT == 0:
                self._report(self._done + number)
            yield tile
        self._done += int(selected.sum())
        self._report(self._done)


@contextmanager
def _codecs(export: Export) -> Iterator[RunAll]:
    """Yield a `map` for rewriting tiles, over a process for each core if there is anything to rewrite."""
    cores = len(os.sched_getaffinity(0))
    request = export.request
    if (request.compression_quality is None and request.clip is None) or cores == 1:
        yield map
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield partial(pool.map, chunksize=_TILES_A_MESSAGE)


class _AtOnce:
    """A workflow that runs the whole export when it is started."""

    def __init__(self, export_at_once: ExportAtOnce) -> None:
        self._export_at_once = export_at_once
        self.packed: PackedPackage | None = None

    def start(self, job: Job) -> None:
        self.packed = self._export_at_once(job.job_id)


def _export(
    export: Export, job_id: str, objects: ObjectReader, local: LocalObjects
) -> tuple[PackedPackage, list[Message]]:
    """Submit an export and run it; return the package and the warnings of the request."""
    clock = SystemClock()
    jobs = MemoryJobs(clock)
    with progress_bar("exporting") as show, _codecs(export) as run_all:

        def report(done: int) -> None:
            job = jobs.get(job_id)
            show(max(done, job.progress.done_tile_count), job.tile_count)

        sources = _ReportingSource(read_cache(objects, export.service.cache), report)
        at_once = _AtOnce(
            ExportAtOnce(
                local,
                PlanExport(jobs, local, sources, METER, max_concurrency=1),
                ExportTileRange(jobs, local, sources, clock, METER, run_all),
                PackTilePackage(
                    jobs, local, local, sources, VerifyPackage(local, clock), METER, scratch=str(local.folder)
                ),
            )
        )
        submit_export = SubmitExport(
            jobs, local, at_once, clock, lambda: job_id, _LIFETIME, _LIFETIME, ReusePackage(jobs, local, timedelta())
        )
        with naming_parameter("areaOfInterest"):  # it may be too complex to count
            job = submit_export(export.service, export.request, {})
    warnings = [message for message in job.messages if message.kind is MessageKind.WARNING]
    if at_once.packed is None:
        print_messages(warnings)
        raise ExportTilesError(job.messages[-1].text)
    return at_once.packed, warnings


@contextmanager
def _room_for(out: Path) -> Iterator[None]:
    """Explain a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        text = (
            f"There is no room for {out.name} in {out.parent}: {error.strerror}. Free some space, or write elsewhere."
        )
        raise ExportTilesError(text) from error


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that temporary files are removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
