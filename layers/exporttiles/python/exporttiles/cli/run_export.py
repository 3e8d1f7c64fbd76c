"""Exports in this process: one, or a folder of packages."""

import errno
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from exporttiles.adapters.local_objects import LocalObjects
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.process import METER, SystemClock
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.command import with_option
from exporttiles.cli.destination import Destination, Inputs, OutputError
from exporttiles.cli.progress import progress_bar
from exporttiles.cli.source import print_messages
from exporttiles.domain.errors import AreaError, ExportTilesError
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Job, Message, MessageKind, job_id_of
from exporttiles.domain.service import TileCache
from exporttiles.domain.tiling import BundleIndex
from exporttiles.domain.wording import counted
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys, owner_of
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.ports.objects import ObjectReader
from exporttiles.ports.tiles import Mask, PlacedTile, TileSource
from exporttiles.rest.errors import naming_parameter
from exporttiles.usecases.area_messages import area_messages
from exporttiles.usecases.build_fragment import RewriteAll
from exporttiles.usecases.completion_messages import completion_messages
from exporttiles.usecases.export_at_once import ExportAtOnce
from exporttiles.usecases.export_tile_range import ExportTileRange
from exporttiles.usecases.pack_tile_package import PackTilePackage
from exporttiles.usecases.plan_export import PlanExport
from exporttiles.usecases.reuse_package import ReusePackage
from exporttiles.usecases.submit_export import SubmitExport
from exporttiles.usecases.verify_package import VerifyPackage

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TILES_A_MESSAGE = 16
_TILES_A_REPORT = 256
_LIFETIME = timedelta(days=365)  # of a job that ends with its process

Report = Callable[[int, int], None]
"""Takes the number of tiles that are done, and of all."""


class NoRoomError(ExportTilesError):
    """The disk is full."""


@dataclass(frozen=True, slots=True)
class LocalExport:
    """An export, and the place of its package."""

    export: Export
    destination: Destination


def export_package(local_export: LocalExport, objects: ObjectReader) -> None:
    """Make one package, and print its messages.

    Raises:
        ExportTilesError: the export failed.
    """
    print_messages(_request_messages(local_export.export))
    with progress_bar("exporting") as show, _processes(local_export.export) as pool:
        messages = _run(local_export, objects, pool, show)
    print_messages(messages)


def export_folder(
    folder: Path, exports: Sequence[LocalExport], inputs: Inputs, objects: ObjectReader, *, skip_existing: bool
) -> None:
    """Make a folder of packages, one after the other, and print their messages. Keep those that are finished.

    Args:
        folder: of all their destinations; it is created if it does not exist.
        exports: of one cache, with the same options except for the area.
        inputs: which no package may overlap.
        objects: the cache.
        skip_existing: leave packages out that exist already.

    Raises:
        OutputError: a package cannot be written there. None is made then.
        ExportTilesError: some exports failed.
    """
    with _created(folder):
        wanted = [each for each in exports if not (skip_existing and os.path.lexists(each.destination.path))]
        for each in wanted:
            each.destination.check(inputs)
        if skipped := len(exports) - len(wanted):
            print(f"{counted(skipped, 'package exists', 'packages exist')} already.")
        if wanted:
            _export_all(folder, wanted, objects)


def _export_all(folder: Path, exports: Sequence[LocalExport], objects: ObjectReader) -> None:
    messages: dict[str, list[Message]] = {}
    failures: list[Message] = []
    tile_counts = [_tile_count(each.export) for each in exports]
    title = f"exporting {counted(len(exports), 'package')}"
    try:
        with progress_bar(title) as show, _processes(exports[0].export) as pool:
            for each, earlier in zip(exports, accumulate(tile_counts, initial=0), strict=False):
                name = each.destination.path.name
                report = partial(_report, show, earlier, sum(tile_counts))
                try:
                    found = _run(each, objects, pool, report)
                    messages[name] = [*_request_messages(each.export), *found]
                except NoRoomError:
                    raise
                except ExportTilesError as error:
                    failures.append(Message(MessageKind.ERROR, f"{name}: {with_option(str(error))}"))
    finally:
        print_messages([*_merged(messages), *failures])
        print(f"{counted(len(messages), 'package is', 'packages are')} in {folder}.")
    if failures:
        raise ExportTilesError(
            f"{len(failures):,} of {counted(len(exports), 'package')} failed. --skip-existing tries them again."
        )


def _report(show: Report, earlier: int, total: int, done: int, _total: int) -> None:
    """Show the progress of one of several exports."""
    show(earlier + done, total)


def _tile_count(export: Export) -> int:
    """Return the number of tiles that an export selects; 0 if that cannot be counted, for which it will fail."""
    with suppress(AreaError):
        return ExportSelection(export.service, export.request).count()
    return 0


def _merged(messages: Mapping[str, Sequence[Message]]) -> Iterator[Message]:
    """Yield the messages of packages, each once; after the name of its package, unless it is one of all packages."""
    packages: defaultdict[Message, list[str]] = defaultdict(list)
    for name, found in messages.items():
        for message in found:
            packages[message].append(name)
    for message, names in packages.items():
        if len(names) == len(messages) > 1 or names[0] in message.text:
            yield message
        else:
            yield replace(message, text=f"{', '.join(names)}: {message.text}")


def _request_messages(export: Export) -> list[Message]:
    """Return messages on how a request was read.

    Raises:
        AreaError, InvalidParameterError: its areas are too complex to count their tiles.
    """
    with naming_parameter("areaOfInterest"):
        messages = [
            *(Message(MessageKind.INFORMATIVE, text) for text in export.request.notes),
            *(Message(MessageKind.WARNING, text) for text in export.request.warnings),
            *area_messages(ExportSelection(export.service, export.request)),
        ]
    return [replace(message, text=with_option(message.text)) for message in messages]


def _run(local_export: LocalExport, objects: ObjectReader, pool: Executor | None, report: Report) -> list[Message]:
    """Run an export, and move its package into its place. Return the messages on the package."""
    export, destination = local_export.export, local_export.destination
    out = destination.path
    head_bytes = output_of(export.service, export.request).head_bytes
    with (
        _room_for(out),
        TemporaryDirectory(prefix=".exporttiles.", dir=out.parent) as folder,
        closing(LocalObjects(Path(folder), head_bytes=head_bytes)) as local,
    ):
        packed = _export(export, objects, local, pool, report)
        made = packed.key if out.suffix else JobKeys(owner_of(packed.key)).delivered(export.service.short_name)
        destination.put(local.path(made))
    return completion_messages(export, replace(packed, name=out.name))


def _export(
    export: Export, objects: ObjectReader, local: LocalObjects, pool: Executor | None, report: Report
) -> PackedPackage:
    """Submit an export and run it.

    Raises:
        ExportTilesError: it failed.
    """
    job_id = job_id_of(export.to_json().decode())  # equal exports are equal jobs, and so make equal packages
    clock = SystemClock()
    jobs = MemoryJobs(clock)

    def report_job(done: int) -> None:
        job = jobs.get(job_id)
        report(max(done, job.progress.done_tile_count), job.tile_count)

    source = read_cache(objects, export.as_drawn.service.cache, pool.map if pool else None)
    sources = _ReportingSource(source, report_job)
    rewrite_all: RewriteAll = partial(pool.map, chunksize=_TILES_A_MESSAGE) if pool else map
    at_once = _AtOnce(
        ExportAtOnce(
            local,
            PlanExport(jobs, local, sources, METER, max_concurrency=1),
            ExportTileRange(jobs, local, sources, clock, METER, rewrite_all),
            PackTilePackage(jobs, local, local, sources, VerifyPackage(local, clock), METER, scratch=str(local.folder)),
        )
    )
    submit_export = SubmitExport(
        jobs, local, at_once, clock, lambda: job_id, _LIFETIME, _LIFETIME, ReusePackage(jobs, local, timedelta())
    )
    with naming_parameter("areaOfInterest"):  # it may be too complex to count
        job = submit_export(export.service, export.request, {})
    if at_once.packed is None:
        raise ExportTilesError(job.messages[-1].text)
    return at_once.packed


class _AtOnce:
    """A workflow that runs the whole export when it is started."""

    def __init__(self, export_at_once: ExportAtOnce) -> None:
        self._export_at_once = export_at_once
        self.packed: PackedPackage | None = None

    def start(self, job: Job) -> None:
        self.packed = self._export_at_once(job.job_id)


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
def _processes(export: Export) -> Iterator[Executor | None]:
    """Yield a pool with a process for each core, if there is anything to draw or to rewrite; otherwise None."""
    cores = len(os.sched_getaffinity(0))
    if cores == 1 or not (export.request.is_rewritten or export.service.cache.mosaic):
        yield None
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
        raise NoRoomError(text) from error


@contextmanager
def _created(folder: Path) -> Iterator[None]:
    """Create a folder if it does not exist, and remove it if it is empty in the end.

    Raises:
        OutputError: it is no folder, or there is none that could hold it.
    """
    if folder.is_dir():
        yield
        return
    if os.path.lexists(folder):
        raise OutputError(f"{folder} is not a folder.")
    if not folder.parent.is_dir():
        raise OutputError(f"There is no folder {folder.parent}.")
    folder.mkdir()
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()
