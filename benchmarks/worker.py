"""One work item, in a process that loads the same modules as the function.

`python -m benchmarks.worker FOLDER WORK_ITEM` prints JSON.
"""

import json
import os
import resource
import sys
from datetime import timedelta
from functools import cached_property
from pathlib import Path

os.environ |= {"TILE_BUCKET": "tiles", "PACKAGE_BUCKET": "packages", "JOB_TABLE": "jobs", "OPENBLAS_NUM_THREADS": "1"}
os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "-", "AWS_SECRET_ACCESS_KEY": "-"}

import functions.export_tile_range.app  # noqa: F401 (as Lambda does)
from exporttiles.adapters.archives import open_cache
from exporttiles.adapters.memory_jobs import MemoryJobs
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.bootstrap.aws import AwsRuntime
from exporttiles.domain.job import Job, JobStatus
from exporttiles.domain.service import TileCache
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.tiles import TileSource, TileSources


class FolderSources:
    """Opens tile caches in folders of this machine."""

    def open(self, cache: TileCache) -> TileSource:
        """Return a reader of a cache."""
        return read_cache(open_cache(cache.url), cache)


class FolderRuntime(AwsRuntime):
    """The runtime of the function, with a folder instead of S3; the client of the table is made but not used.

    Args:
        folder: replaces the package bucket.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @cached_property
    def jobs(self) -> JobTable:
        """Return a table in memory, after making the client of DynamoDB."""
        self._unused = super().jobs
        return MemoryJobs(self.clock)

    @cached_property
    def sources(self) -> TileSources:
        """Return the opener of caches in folders."""
        return FolderSources()

    @cached_property
    def objects(self) -> ObjectStore:
        """Return the folder."""
        return open_store(f"file://{self._folder}")


def main() -> None:
    """Export one work item. Print its size and the peak memory at three moments."""
    folder, item = Path(sys.argv[1]), WorkItem.from_json(json.loads(sys.argv[2]))
    runtime = FolderRuntime(folder)
    now = runtime.clock.now()
    runtime.jobs.create(Job(item.job_id, "", JobStatus.EXECUTING, now, now + timedelta(days=1), tile_count=0))
    client_bytes = _peak_bytes()
    export_tile_range = runtime.export_tile_range
    loaded_bytes = _peak_bytes()
    report = export_tile_range(item)
    print(json.dumps({"client": client_bytes, "loaded": loaded_bytes, "fragment": report.fragment_bytes}))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
