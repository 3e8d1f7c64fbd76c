"""Services, jobs and a runtime for tests of the REST API."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import Job, JobStatus, Message, MessageKind, Package, Progress
from exporttiles.domain.service import CacheLayout, ImageService, TileCache, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from tests.builders import put_files
from tests.fakes import a_runtime, memory

WEB_MERCATOR = SpatialReference(wkid=102100, latest_wkid=3857)
HALF_WORLD = 20037508.342787
WORLD = Extent(-HALF_WORLD, -HALF_WORLD, HALF_WORLD, HALF_WORLD, WEB_MERCATOR)
SCHEME = TilingScheme(
    spatial_reference=WEB_MERCATOR,
    origin_x=-HALF_WORLD,
    origin_y=HALF_WORLD,
    tile_size=256,
    dpi=96,
    lods=tuple(LevelOfDetail(level, 156543.03392800014 / 2**level, 591657527.591555 / 2**level) for level in range(24)),
)
SUBMITTED_AT = datetime(2026, 11, 23, 17, 30, tzinfo=UTC)


def a_service(name: str = "World_Imagery", **changes: object) -> ImageService:
    """Return a JPEG cache of the world with tiles at levels 0 to 19."""
    cache = TileCache(
        url="memory:///",
        layout=CacheLayout.FILES,
        path_template="World/{level}/{column}/{row}.jpg",
        average_tile_bytes=15_000,
    )
    service = ImageService(
        name=name,
        cache=cache,
        tiling_scheme=SCHEME,
        min_level=0,
        max_level=19,
        tile_format=TileFormat.JPEG,
        compression_quality=95,
        full_extent=WORLD,
        copyright_text="Us & them",
    )
    return replace(service, **changes)


def a_job(status: JobStatus = JobStatus.SUBMITTED, **changes: object) -> Job:
    """Return a job of World_Imagery; a succeeded one has a package."""
    job_id = "jeeb938cbb2774269a7ca9910df4ee700"
    package = Package(f"packages/{job_id}/World_Imagery.tpkx", "World_Imagery.tpkx", 4_200_000)
    job = Job(
        job_id=job_id,
        service_name="World_Imagery",
        status=status,
        submitted_at=SUBMITTED_AT,
        expires_at=SUBMITTED_AT + timedelta(days=3),
        tile_count=341,
        messages=(Message(MessageKind.INFORMATIVE, "341 tiles of levels 0-4 are selected."),),
        progress=Progress(10, 3, 102, 45_000) if status is JobStatus.EXECUTING else Progress(),
        finished_at=SUBMITTED_AT + timedelta(seconds=5.4) if status.is_final else None,
        package=package if status is JobStatus.SUCCEEDED else None,
    )
    return replace(job, **changes)


def a_rest_runtime() -> Runtime:
    """Return a runtime with three services, whose caches hold levels 0 to 3."""
    tiles = memory()
    put_files(tiles, 3)
    runtime = a_runtime(tiles)
    runtime.services.put(a_service())
    runtime.services.put(a_service("Survey/Ortho"))
    runtime.services.put(a_service("Closed", export_tiles_allowed=False))
    return runtime
