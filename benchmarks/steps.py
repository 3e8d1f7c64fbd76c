"""Steps measured in their own process: `python -m benchmarks.steps NAME ARGUMENT...` prints JSON."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.areas import river, star
from benchmarks.caches import tiles_of
from benchmarks.engine import Engine, FullSources, pretend
from benchmarks.stores import CountedStore, SimulatedStore
from exporttiles.adapters.object_stores import open_store
from exporttiles.domain.area import Area
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.plan import FragmentSize, PlannedBundle, group_bundles
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.tiling import PACKET_SIZE, BundleIndex
from exporttiles.formats.bundles.byte_ranges import coalesce
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET, SIZE_PREFIX_BYTES, parse_bundle_path, read_index
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.tiles.codec import recompress_jpeg
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.tiles import Mask
from tests.builders import a_service
from tests.fakes import FakeSources

Figures = Mapping[str, Any]
WORLD = WEB_MERCATOR_256.tile_extent(0, 0, 0)
TILE_BYTES = 13_500  # as the caches have them
_SAMPLES = 200


def plan(level: str) -> Figures:
    """Plan the export of a star of 400 vertices at one level: count, bundles, work items."""
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        selection = TileSelection(WEB_MERCATOR_256, star(), WORLD)
        tile_count = selection.count(int(level))
        bundles = [PlannedBundle(*found) for found in selection.bundles(int(level))]
        size = FragmentSize.of(sum(bundle.size_bytes(TILE_BYTES) for bundle in bundles))
        work_items = sum(1 for _ in group_bundles(bundles, TILE_BYTES, size))
        seconds.append(time.perf_counter() - start)
    return {"tiles": tile_count, "bundles": len(bundles), "work_items": work_items, "seconds": median(seconds)}


def recompress(v2: str, max_level: str, quality: str, processes: str) -> Figures:
    """Recompress the tiles of a cache with the codec alone."""
    tiles = [tile for (level, _, _), tile in tiles_of(Path(v2)) if level <= int(max_level)]
    with ProcessPoolExecutor(int(processes), get_context("spawn")) as pool:
        done = list(pool.map(partial(recompress_jpeg, quality=int(quality)), tiles, chunksize=64))
    return {"tiles": len(tiles), "bytes": sum(map(len, done))}


def read_files(url: str) -> Figures:
    """Read objects from S3, and measure the processor time of the client."""
    store = open_store(url)
    keys = [stored.key for stored in store.list("")]
    list(store.read_many(keys[:64]))  # opens the connections
    wall, cpu = time.perf_counter(), time.process_time()
    found = sum(body is not None for body in store.read_many(keys))
    return {"requests": found, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def read_ranges(v2: str, width: str) -> Figures:
    """Read the tiles of an area from V2 bundles, and count requests and bytes.

    Args:
        v2: folder of the cache.
        width: of a star, as a share of the world's; 0 for everything.
    """
    store = CountedStore(Path(v2))
    service = a_service(store)
    store.forget()
    area = star(float(width)) if float(width) else Area.from_extent(service.full_extent)
    source, selection = FakeSources(store).open(service.cache), TileSelection(service.tiling_scheme, area, WORLD)
    levels = range(service.min_level, service.max_level + 1)
    bundles = [(bundle, selection.mask(bundle)) for level in levels for bundle, _ in selection.bundles(level)]
    sizes = [len(tile) for bundle, mask in bundles for _, tile in source.read_bundle(bundle, mask)]
    requests, transferred = store.requests["GET"], store.transferred["GET"]
    drawn = [
        (int(sizes[mask].sum()), coalesce(offsets[mask & (sizes > 0)], sizes[mask & (sizes > 0)]))
        for bundle, mask in bundles
        for offsets, sizes in [_as_drawn(source.tile_sizes(bundle, np.ones_like(mask)))]
    ]
    return {
        "tiles": len(sizes),
        "requests": requests,
        "bytes": transferred,
        "wanted": sum(sizes),
        "index_bytes": len(bundles) * RECORDS_OFFSET,
        "fewest_requests": fewest_requests(Path(v2), bundles),
        "drawn_requests": len(drawn) + sum(len(ranges) for _, ranges in drawn),
        "drawn_bytes": sum(stop - start for _, ranges in drawn for start, stop in ranges),
    }


def plan_largest(v2: str, folder: str) -> Figures:
    """Plan the export of the bundle with most tiles. Return the work item."""
    engine = Engine.of(v2, CountedStore(Path(folder)))
    cache = replace(engine.service.cache, url=f"file://{v2}")
    engine = replace(engine, service=replace(engine.service, cache=cache))
    level = engine.service.max_level
    job_id = engine.submit(Area.from_extent(engine.service.full_extent), [level])
    engine.plan(job_id)
    bundle, _ = max(engine.selection(job_id).at(level).bundles(level), key=itemgetter(1))
    return WorkItem(job_id, 0, (bundle,)).to_json()


def export(v2: str, folder: str, share: str, max_level: str) -> Figures:
    """Run every step of an export, with a folder instead of S3.

    Args:
        v2: the cache.
        folder: of the job.
        share: of the cache's width.
        max_level: the last one.
    """
    engine = Engine.of(v2, CountedStore(Path(folder)))
    world, part = engine.service.full_extent, float(share)
    sides = {side: getattr(world, side) * part for side in ("xmin", "ymin", "xmax", "ymax")}
    start = time.perf_counter()
    job_id = engine.submit(Area.from_extent(replace(world, **sides)), range(int(max_level) + 1))
    items = engine.plan(job_id)
    for item in items:
        engine.runtime.export_tile_range(item)
    return _packed(engine, job_id, items) | {"seconds": time.perf_counter() - start}


def simulate(v2: str, folder: str, kind: str, max_level: str) -> Figures:
    """Submit, plan and pack an export of tiles that do not exist; only the workers are simulated.

    Args:
        v2: a small cache, for the thumbnail and for the one tile that is really there.
        folder: of the job.
        kind: world, or river.
        max_level: the last one.
    """
    tile = next(tile for _, tile in tiles_of(Path(v2)) if len(tile) + SIZE_PREFIX_BYTES <= TILE_BYTES)
    store = SimulatedStore(Path(folder), tile, TILE_BYTES)
    engine, level = Engine.of(v2, store), int(max_level)
    cache = replace(engine.service.cache, average_tile_bytes=TILE_BYTES)
    service = replace(engine.service, full_extent=WORLD, max_level=23, cache=cache)
    engine = replace(engine, service=service, runtime=replace(engine.runtime, sources=FullSources(engine.tiles)))
    start = time.perf_counter()
    # The work limit of areas is for all levels together, so a band of 400 vertices is exported at the last level alone.
    area, levels = (river(level), [level]) if kind == "river" else (Area.from_extent(WORLD), range(level + 1))
    job_id = engine.submit(area, levels)
    submitted = time.perf_counter()
    items = engine.plan(job_id)
    planned = time.perf_counter()
    pretend(engine, store, job_id, items)
    pretended = time.perf_counter()
    found = _packed(engine, job_id, items)
    finished = time.perf_counter()
    store.make_real(found["package"])
    last = items[-1].bundles[-1]
    row, column = np.argwhere(store.selection.mask(last))[0].tolist()
    return found | {
        "place": (last.level, last.row + row, last.column + column),
        "submit_seconds": submitted - start,
        "plan_seconds": planned - submitted,
        "seconds": finished - pretended + planned - start,
        "requests": found["requests"] + _ranges_of_all(store.selection, items),
    }


def _packed(engine: Engine, job_id: str, items: Sequence[WorkItem]) -> dict[str, Any]:
    """Pack a job, and return the resources used."""
    start = time.perf_counter()
    packed = engine.runtime.pack_tile_package(job_id)
    return {
        "tiles": packed.tile_count,
        "bundles": sum(len(item.bundles) for item in items),
        "work_items": len(items),
        "parts": engine.packages.parts,
        "bytes": packed.size_bytes,
        "written_bytes": engine.packages.written_bytes,
        "requests": engine.tiles.requests.total() + engine.objects.requests.total() + engine.packages.parts,
        "pack_seconds": time.perf_counter() - start,
        "package": packed.key,
    }


def _ranges_of_all(selection: ExportSelection, items: Sequence[WorkItem]) -> int:
    """Estimate the GETs that workers send for tiles, from some of their bundles, in row-major order."""
    bundles = [bundle for item in items for bundle in item.bundles]
    some = bundles[:: -(-len(bundles) // _SAMPLES)]
    offsets = np.arange(PACKET_SIZE**2).reshape(PACKET_SIZE, PACKET_SIZE) * TILE_BYTES
    ranges = sum(
        1 + len(coalesce(wanted := offsets[selection.mask(bundle)], wanted * 0 + TILE_BYTES)) for bundle in some
    )
    return round(ranges / len(some) * len(bundles))


def fewest_requests(v2: Path, bundles: Sequence[tuple[BundleIndex, Mask]]) -> int:
    """Return the least number of GETs of a reader with 5 % over-fetch that already knows all indexes.

    One for each index, one for each bundle, and one for each gap that is left when the smallest are read through.
    """
    paths = {parse_bundle_path("/".join(path.parts[-2:])): path for path in v2.rglob("*.bundle")}
    requests, wanted_bytes, gaps = 0, 0, [np.empty(0, np.int64)]
    for bundle, mask in bundles:
        index = read_index(paths[bundle].read_bytes(), file_size_bytes=paths[bundle].stat().st_size)
        wanted = mask & (index.size > 0)
        offsets, sizes = index.offset[wanted].astype(np.int64), index.size[wanted].astype(np.int64)
        order = np.argsort(offsets)
        gaps.append(offsets[order][1:] - (offsets + sizes)[order][:-1])
        wanted_bytes += int(sizes.sum())
        requests += 1 + bool(len(sizes))
    sorted_gaps = np.sort(np.concatenate(gaps))
    return requests + int(np.count_nonzero(np.cumsum(sorted_gaps) > 0.05 * wanted_bytes))


def _as_drawn(sizes: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the offsets of records in a bundle that was drawn in blocks of 8 x 8 tiles, in random order."""
    row, column = np.indices(sizes.shape)
    block = np.random.default_rng(0).permutation(sizes.size // 64)[row // 8 * (PACKET_SIZE // 8) + column // 8]
    order = np.lexsort((column.ravel(), row.ravel(), block.ravel()))
    ends = np.cumsum(np.where(sizes.ravel()[order], sizes.ravel()[order] + SIZE_PREFIX_BYTES, 0))
    offsets = np.empty(sizes.size, np.int64)
    offsets[order] = RECORDS_OFFSET + ends - sizes.ravel()[order]
    return offsets.reshape(sizes.shape), sizes


STEPS: dict[str, Callable[..., Figures]] = {
    each.__name__: each for each in (plan, recompress, read_files, read_ranges, plan_largest, export, simulate)
}

if __name__ == "__main__":
    print(json.dumps(STEPS[sys.argv[1]](*sys.argv[2:])))
