"""The one place that joins use cases and adapters."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import uuid4

import boto3
from botocore.config import Config

from exporttiles.adapters.api_keys import ApiKeys
from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs
from exporttiles.adapters.eventbridge_announcer import EventBridgeAnnouncer
from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.s3_inbox import S3Inbox
from exporttiles.adapters.s3_packages import S3Packages
from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow
from exporttiles.adapters.tile_sources import TileSources
from exporttiles.ports import Announcer, ApiKeyStore, Clock, Inbox, JobTable, ObjectStore, PackageStore, Workflow
from exporttiles.ports import ServiceCatalog as Services
from exporttiles.ports import TileSources as Sources
from exporttiles.settings import Settings
from exporttiles.usecases.authenticate import Authenticate
from exporttiles.usecases.browse_package import BrowsePackage
from exporttiles.usecases.browse_service import ReadParameters, ReadTile, ReadTilemap
from exporttiles.usecases.cancel_export import CancelExport
from exporttiles.usecases.close_job import CloseJob
from exporttiles.usecases.estimate_export import EstimateExport
from exporttiles.usecases.export_tile_range import ExportTileRange
from exporttiles.usecases.pack_tile_package import PackTilePackage
from exporttiles.usecases.plan_export import PlanExport
from exporttiles.usecases.submit_export import SubmitExport
from exporttiles.usecases.sweep_leftovers import SweepLeftovers
from exporttiles.usecases.watch_jobs import WatchJobs


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that a function can do."""

    settings: Settings
    api_keys: ApiKeyStore
    services: Services
    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    sources: Sources
    inbox: Inbox
    announcer: Announcer
    clock: Clock
    authenticate: Authenticate
    submit_export: SubmitExport
    estimate_export: EstimateExport
    cancel_export: CancelExport
    plan_export: PlanExport
    export_tile_range: ExportTileRange
    pack_tile_package: PackTilePackage
    close_job: CloseJob
    watch_jobs: WatchJobs
    sweep_leftovers: SweepLeftovers
    browse_package: BrowsePackage
    read_parameters: ReadParameters
    read_tile: ReadTile
    read_tilemap: ReadTilemap


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


def new_job_id() -> str:
    """Return a job id that no one can guess."""
    return f"j{uuid4().hex}"


def assemble(
    settings: Settings,
    *,
    api_keys: ApiKeyStore,
    services: Services,
    jobs: JobTable,
    objects: ObjectStore,
    packages: PackageStore,
    sources: Sources,
    workflow: Workflow,
    inbox: Inbox,
    announcer: Announcer,
    clock: Clock,
) -> Runtime:
    """Return a runtime on whatever the ports are."""
    codecs = ThreadPoolExecutor(settings.codec_threads, thread_name_prefix="codec")
    close_job = CloseJob(jobs, objects, clock)
    return Runtime(
        settings=settings,
        api_keys=api_keys,
        services=services,
        jobs=jobs,
        objects=objects,
        packages=packages,
        sources=sources,
        inbox=inbox,
        announcer=announcer,
        clock=clock,
        authenticate=Authenticate(api_keys, clock),
        submit_export=SubmitExport(jobs, objects, workflow, clock, new_job_id, settings.job_lifetime),
        estimate_export=EstimateExport(jobs, objects, sources, clock, new_job_id, settings.job_lifetime),
        cancel_export=CancelExport(jobs),
        plan_export=PlanExport(jobs, objects),
        export_tile_range=ExportTileRange(jobs, objects, sources, clock, codecs),
        pack_tile_package=PackTilePackage(jobs, objects, packages, sources),
        close_job=close_job,
        watch_jobs=WatchJobs(jobs, workflow, close_job, clock, settings.export_timeout),
        sweep_leftovers=SweepLeftovers(jobs, objects, packages),
        browse_package=BrowsePackage(objects),
        read_parameters=ReadParameters(objects),
        read_tile=ReadTile(sources),
        read_tilemap=ReadTilemap(sources),
    )


@cache
def from_environment() -> Runtime:
    """Return the runtime of this function, the same for all its requests."""
    settings = Settings.from_environment()
    # Links must be signed as SigV4, and uploads need no second checksum: the
    # packer compares what was written with what it put together.
    s3 = boto3.client(
        "s3",
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            retries={"mode": "adaptive", "max_attempts": 8},
            max_pool_connections=32,
        ),
    )
    clock = SystemClock()
    tiles = open_store(f"s3://{settings.tile_bucket}")
    return assemble(
        settings,
        api_keys=ApiKeys(tiles),
        services=ServiceCatalog(tiles),
        jobs=DynamoDbJobs(boto3.resource("dynamodb").Table(settings.job_table), clock),
        objects=open_store(f"s3://{settings.package_bucket}"),
        packages=S3Packages(s3, settings.package_bucket, settings.download_link_seconds),
        sources=TileSources(),
        workflow=StepFunctionsWorkflow(boto3.client("stepfunctions"), settings.state_machine_arn),
        inbox=S3Inbox(s3, settings.inbox_bucket),
        announcer=EventBridgeAnnouncer(boto3.client("events"), settings.event_bus),
        clock=clock,
    )
