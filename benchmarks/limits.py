"""Requirements of exporttiles alone: planning, requests to S3, packing, and memory."""

import json
import sys
from pathlib import Path

from benchmarks.caches import Cache, make
from benchmarks.processes import run, step
from benchmarks.results import Section, Table, Target
from benchmarks.speed import clear
from local.cloud import LocalCloud
from local.services import upload_folder

_AREAS = {"everything": 0.0, "star of 400 vertices": 0.7, "small star": 0.2}
_REQUESTS = (
    "", "tiles", "GETs", "fewest", "GETs a tile", "over-fetch", "indexes", "drawn: GETs a tile", "over-fetch",
)  # fmt: skip
_SHARES = (
    "Shares are of the wanted bytes. Fewest: one index and one range for each bundle, and one more range for each gap "
    "that remains after 5 % over-fetch has closed the smallest gaps of all bundles; exporttiles sees the gaps of one "
    "bundle at a time, and reads at most 16 MiB at once. Drawn: the same for bundles whose tiles are in blocks of 8 x "
    "8 in the order in which a server drew them, calculated from their sizes. The smaller an area and the longer its "
    "outline, the fewer of its tiles are adjacent."
)


def planning(level: int) -> Section:
    """Plan the export of a polygon, and count its tiles one by one for comparison."""
    ours, brute = step("plan", level), step("brute_force", level, module="peers")
    found, counted = json.loads(ours.output), json.loads(brute.output)
    cells, seconds, megabytes = 4**level, found["seconds"], ours.peak_bytes / 1e6
    is_equal = found["tiles"] == counted["tiles"]
    return Section(
        "Planning",
        [
            Table(
                f"A star of 400 vertices over {cells:,} tiles",
                ("", "seconds", "peak MB", "tiles", "bundles", "work items"),
                [
                    (
                        "ours", f"{seconds:.4f}", f"{megabytes:,.0f}", f"{found['tiles']:,}",
                        f"{found['bundles']:,}", f"{found['work_items']:,}",
                    ),
                    (
                        "shapely, tile by tile", f"{brute.wall_seconds:.1f}", f"{brute.peak_bytes / 1e6:,.0f}",
                        f"{counted['tiles']:,}", "", "",
                    ),
                ],
            )
        ],
        [
            Target(f"plan over {cells:,} tiles", "at most 10 ms", f"{seconds * 1e3:.1f} ms", seconds <= 0.010),
            Target("memory of the planner", "at most 200 MB", f"{megabytes:.0f} MB", megabytes <= 200),
            Target("count against brute force", "equal", "equal" if is_equal else "differs", is_equal),
        ],
    )  # fmt: skip


def requests(folder: Path, cache: Cache) -> Section:
    """Count the requests, and the bytes read in excess, for areas of V2 bundles."""
    v2 = make(folder, cache) / "v2"
    rows, targets = [], []
    for name, width in _AREAS.items():
        found = json.loads(step("read_ranges", v2, width).output)
        tiles, wanted = found["tiles"], found["wanted"]
        over = (found["bytes"] - found["index_bytes"]) / wanted - 1
        drawn_gets, drawn_over = found["drawn_requests"] / tiles, found["drawn_bytes"] / wanted - 1
        gets = found["requests"] / tiles
        fewest = found["fewest_requests"] / tiles
        proof = f"(rows of tiles are short: with 5 % over-fetch, no reader can do with less than {fewest:.4f})"
        targets += [
            Target(f"GETs a tile, {name} ({tiles:,} tiles)", "at most 0.02", f"{gets:.4f}", gets <= 0.02, proof),
            Target(f"over-fetch, {name}", "at most 5 %", f"{over:.2%}", over <= 0.05),
        ]
        rows.append(
            (
                name, f"{tiles:,}", f"{found['requests']:,}", f"{found['fewest_requests']:,}", f"{gets:.4f}",
                f"{over:.2%}", f"{found['index_bytes'] / wanted:.2%}", f"{drawn_gets:.4f}", f"{drawn_over:.2%}",
            )
        )  # fmt: skip
    return Section(
        "Requests",
        [
            Table(
                f"Areas of {cache.tile_count:,} tiles in V2 bundles",
                _REQUESTS,
                rows,
                _SHARES,
            )
        ],
        targets,
    )


def client(folder: Path, cache: Cache, level: int) -> Section:
    """Read tiles that are single files from the local cloud, which runs in other processes."""
    home = make(folder, cache, "files")
    with LocalCloud() as cloud:
        bucket = cloud.outputs["TileBucketName"]
        upload_folder(cloud, home / "files" / "World" / str(level), "tiles")
        found = json.loads(step("read_files", f"s3://{bucket}/tiles", environment=cloud.environment).output)
    milliseconds = found["cpu"] / found["requests"] * 1e3
    return Section(
        "Client of S3",
        [
            Table(
                "One GET for each tile, against the local cloud",
                ("", "GETs", "GETs/s", "CPU ms a GET"),
                [
                    (
                        "read_many, 32 at a time",
                        f"{found['requests']:,}",
                        f"{found['requests'] / found['wall']:,.0f}",
                        f"{milliseconds:.3f}",
                    )
                ],
            )
        ],
        [Target("client CPU of a GET", "at most 0.3 ms", f"{milliseconds:.3f} ms", milliseconds <= 0.3)],
    )


def memory(folder: Path, cache: Cache) -> Section:
    """Run the worker of the largest bundle, and the packer of about a gigabyte."""
    v2, job = make(folder, cache) / "v2", folder / "job"
    clear(job)
    item = step("plan_largest", v2, job).output
    worker = run([sys.executable, "-m", "benchmarks.worker", job, item])
    clear(job)
    packer = json.loads(step("export", v2, job, 0.6 / 0.75, cache.max_level).output)
    clear(job)
    held = json.loads(worker.output)
    client, loaded, bundle, peak = (each / 1e6 for each in (*held.values(), worker.peak_bytes))
    note = (
        f"The worker is a process with the modules of its function: {client:.0f} MB with Python, the logger and the "
        f"client of the table (botocore), {loaded:.0f} MB with numpy and obstore. "
        f"The work needs {peak - bundle - loaded:.0f} MB: threads that read, and parts of 8 MiB being sent."
    )
    share = packer["written_bytes"] / packer["bytes"]
    return Section(
        "Worker and packer",
        [
            Table(
                "",
                ("", "tiles", "MB written", "peak MB", "MB through the packer", "parts", "seconds"),
                [
                    (
                        "worker of the largest bundle", "", f"{bundle:,.0f}", f"{peak:,.0f}", "", "",
                        f"{worker.wall_seconds:.2f}",
                    ),
                    (
                        "packer", f"{packer['tiles']:,}", f"{packer['bytes'] / 1e6:,.0f}", "",
                        f"{packer['written_bytes'] / 1e6:.2f}", f"{packer['parts']:,}", f"{packer['pack_seconds']:.2f}",
                    ),
                ],
                note,
            )
        ],
        [
            Target("bytes through the packer", "at most 1 %", f"{share:.3%}", share <= 0.01),
            Target(
                "memory of a worker", "largest bundle + 100 MB", f"{bundle:.0f} + {peak - bundle:.0f} MB",
                peak - bundle <= 100, f"({loaded:.0f} MB are Python and what it loads, before any work)",
            ),
        ],
    )  # fmt: skip
