"""The command ``exporttiles export``: makes a package of a cache on this machine, without AWS."""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from exporttiles.adapters.allocator import collect_garbage_less_often, keep_freed_memory
from exporttiles.adapters.local_objects import LocalObjects
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.process import METER, SystemClock
from exporttiles.cli.area_file import read_area_file
from exporttiles.cli.command import Command, ExclusiveOption
from exporttiles.cli.destination import OUTPUTS, Destination, OutputError
from exporttiles.cli.option_names import with_option
from exporttiles.cli.source import (
    SingleSource,
    SourceOptions,
    inspect,
    local_path,
    open_source,
    print_messages,
    source_options,
)
from exporttiles.cli.terminal import ProgressBar
from exporttiles.domain.errors import ExportTilesError, RequestError
from exporttiles.domain.job import Job, Message, MessageKind, job_id_of
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.objects import ObjectReader
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.parameters import read_export_request
from exporttiles.usecases.build_fragment import RunAll
from exporttiles.usecases.close_job import completion_messages
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
_LIFETIME = timedelta(days=365)  # of a job that ends with its process


@click.command(cls=Command)
@click.argument("source", type=click.Path())
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--levels", help="As in 0-7 or 1-4,7-9 (default: all that have tiles).")
@click.option("--extent", metavar="XMIN,YMIN,XMAX,YMAX", help="In the reference of the cache (default: all).")
@click.option(
    "--area",
    type=click.Path(path_type=Path),
    cls=ExclusiveOption,
    excludes=["extent"],
    help="File with polygons, as Esri JSON or GeoJSON.",
)
@click.option("--extent-wkid", type=click.IntRange(min=1), help="Reference of the extent, such as 4326 for degrees.")
@click.option("--quality", type=int, help="Recompress JPEG tiles to this quality, 0 to 100.")
@click.option("--name", default="", help="Title of the map in the package (default: the name of the file).")
@click.option("--force", is_flag=True, help="Replace an earlier output of the same kind.")
@source_options
def export(
    source: str,
    out: Path,
    *,
    levels: str | None,
    extent: str | None,
    area: Path | None,
    extent_wkid: int | None,
    quality: int | None,
    name: str,
    cache: SourceOptions,
    force: bool,
) -> None:
    """Export tiles of a cache into a package, without AWS.

    SOURCE is a folder, .tpkx, .tpk or .pmtiles: a path, or an address such as s3://bucket/caches/Name.

    OUT is a .tpkx or .tpk, or a cache raster dataset: a .zip or a folder.
    """
    keep_freed_memory()
    collect_garbage_less_often()
    out = out.absolute()
    destination = Destination(out, is_replaced=force)
    destination.check(local_path(source), *filter(None, [area]))
    parameters = _parameters(out, levels=levels, extent=extent, extent_wkid=extent_wkid, area=area, quality=quality)
    objects, url = open_source(source)
    title = (name or out.stem).encode(errors="replace").decode()  # a name of a file may hold any bytes
    member_name = _member_name(title)
    found = inspect(cache, objects, member_name, url)
    print_messages(found.messages)
    service = replace(found.service, title="" if title == member_name else title, max_export_tiles_count=sys.maxsize)
    request = read_export_request(parameters, service, must_name_reference=True)
    warnings = tuple(with_option(text) for text in request.warnings)
    # What lies here is known: an area that is too complex for levels without tiles is not refused because of them.
    wanted = [level for level in request.levels if service.min_level <= level <= service.max_level] or request.levels
    asked = Export(service, replace(request, levels=tuple(wanted), warnings=warnings))
    job_id = job_id_of(asked.to_json().decode())  # equal exports are equal jobs, and so make equal packages
    with (
        _stopped_in_order(),
        _room_for(out),
        TemporaryDirectory(prefix=".exporttiles.", dir=out.parent) as folder,
        closing(LocalObjects(Path(folder))) as local,
    ):
        packed, messages = _export(asked, job_id, objects, local)
        made = packed.key if out.suffix else JobKeys(job_id).delivered(service.short_name)
        destination.put(local.path(made))
    print_messages([*messages, *completion_messages(asked, replace(packed, name=out.name))])


def _member_name(title: str) -> str:
    """Return a title as the name of files and folders in a package: up to 100 letters, digits and underscores."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", title)[:_LONGEST_MEMBER_NAME]
    return name if name.strip("_") else "Map"


def _parameters(
    out: Path,
    *,
    levels: str | None,
    extent: str | None,
    extent_wkid: int | None,
    area: Path | None,
    quality: int | None,
) -> dict[str, str]:
    """Return the parameters of `exportTiles` that ask for the same."""
    tile_package, storage_format = OUTPUTS[out.suffix.lower()]
    parameters = {"tilePackage": tile_package, "storageFormatType": storage_format}
    for name, value in (("levels", levels), ("exportExtent", extent)):
        if value is not None:
            if not value.strip():  # most likely a variable that is not set; it does not mean everything
                raise RequestError("It is empty. Leave the option out for everything.", name)
            parameters[name] = value
    if area is not None:
        parameters["areaOfInterest"] = read_area_file(area)
    if extent_wkid is not None:
        parameters["exportExtent"] = _with_reference(extent, extent_wkid)
    if quality is not None:
        parameters |= {"optimizeTilesForSize": "true", "compressionQuality": str(quality)}
    return parameters


def _with_reference(extent: str | None, wkid: int) -> str:
    """Return an extent of four numbers as an envelope with its reference."""
    if extent is None or extent.lstrip().startswith("{"):
        raise RequestError("It is the reference of the four numbers of --extent.", "--extent-wkid")
    sides = extent.split(",")
    if len(sides) != len(_SIDES):
        return extent  # to be refused with the rest of the request
    with naming_parameter("--extent-wkid"):
        SpatialReference(wkid).crs  # noqa: B018  it is known, or refused here by the name of its own option
    return json.dumps(dict(zip(_SIDES, sides, strict=True)) | {"spatialReference": {"wkid": wkid}})


@contextmanager
def _codecs(export: Export) -> Iterator[RunAll]:
    """Yield a `map` for recompressing tiles, over a process for each core if there is anything to recompress."""
    cores = len(os.sched_getaffinity(0))
    if export.request.compression_quality is None or cores == 1:
        yield map
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield partial(pool.map, chunksize=_TILES_A_MESSAGE)


class _AtOnce:
    """A workflow that ends before it returns."""

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
    with ProgressBar("exporting") as bar, _codecs(export) as run_all:

        def report_progress(done: int) -> None:
            job = jobs.get(job_id)
            bar(max(done, job.progress.done_tile_count), job.tile_count)

        sources = SingleSource(export.service.cache, objects, report_progress)
        at_once = _AtOnce(
            ExportAtOnce(
                local,
                PlanExport(jobs, local, sources, METER, max_concurrency=1),
                ExportTileRange(jobs, local, sources, clock, METER, run_all),
                PackTilePackage(jobs, local, local, sources, VerifyPackage(local, clock), METER),
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
    """Say in words that a disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        text = f"There is no room for {out.name} in {out.parent}: {error.strerror}. Make room, or write elsewhere."
        raise OutputError(text) from error


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that nothing stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
