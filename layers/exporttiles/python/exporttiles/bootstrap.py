"""The one place that joins use cases and adapters."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from exporttiles.ports import (
    Announcer,
    ApiKeyStore,
    Clock,
    Inbox,
    JobTable,
    Meter,
    ObjectStore,
    PackageStore,
    Subscriptions,
    Timers,
    Workflow,
)
from exporttiles.ports import ServiceCatalog as Services
from exporttiles.ports import TileSources as Sources
from exporttiles.settings import Settings

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

    from exporttiles.usecases.authenticate import Authenticate
    from exporttiles.usecases.browse_package import BrowsePackage
    from exporttiles.usecases.browse_service import ReadParameters, ReadTile, ReadTilemap
    from exporttiles.usecases.cancel_export import CancelExport
    from exporttiles.usecases.close_job import CloseJob
    from exporttiles.usecases.estimate_export import EstimateExport
    from exporttiles.usecases.export_at_once import ExportAtOnce
    from exporttiles.usecases.export_tile_range import ExportTileRange
    from exporttiles.usecases.pack_tile_package import PackTilePackage
    from exporttiles.usecases.plan_export import PlanExport
    from exporttiles.usecases.resume_export import ResumeExport
    from exporttiles.usecases.reuse_package import ReusePackage
    from exporttiles.usecases.submit_export import SubmitExport
    from exporttiles.usecases.sweep_leftovers import SweepLeftovers
    from exporttiles.usecases.verify_package import VerifyPackage
    from exporttiles.usecases.watch_jobs import WatchJobs


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Everything that a function can do, on whatever the ports are.

    A use case is imported and made when it is first asked for: a function
    that tells how a job stands starts without arrays, projections and codecs.
    """

    settings: Settings
    api_keys: ApiKeyStore
    services: Services
    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    sources: Sources
    workflow: Workflow
    inbox: Inbox
    subscriptions: Subscriptions
    timers: Timers
    announcer: Announcer
    clock: Clock

    @cached_property
    def authenticate(self) -> "Authenticate":
        """Return what tells whose key a token is."""
        from exporttiles.usecases.authenticate import Authenticate

        return Authenticate(self.api_keys, self.clock)

    @cached_property
    def submit_export(self) -> "SubmitExport":
        """Return what accepts exports."""
        from exporttiles.usecases.submit_export import SubmitExport

        return SubmitExport(
            self.jobs,
            self.objects,
            self.workflow,
            self.clock,
            new_job_id,
            self.settings.job_lifetime,
            self.settings.kept_lifetime,
            self.reuse_package,
        )

    @cached_property
    def reuse_package(self) -> "ReusePackage":
        """Return what answers exports with the packages of equal ones."""
        from exporttiles.usecases.reuse_package import ReusePackage

        return ReusePackage(self.jobs, self.objects, self.settings.reuse_window)

    @cached_property
    def estimate_export(self) -> "EstimateExport":
        """Return what tells the size of an export before it is made."""
        from exporttiles.usecases.estimate_export import EstimateExport

        lifetime = self.settings.job_lifetime
        return EstimateExport(self.jobs, self.objects, self.sources, self.clock, new_job_id, lifetime)

    @cached_property
    def cancel_export(self) -> "CancelExport":
        """Return what gives up exports."""
        from exporttiles.usecases.cancel_export import CancelExport

        return CancelExport(self.jobs)

    @cached_property
    def resume_export(self) -> "ResumeExport":
        """Return what starts exports again where they failed."""
        from exporttiles.usecases.resume_export import ResumeExport

        return ResumeExport(self.jobs, self.workflow, self.clock)

    @cached_property
    def plan_export(self) -> "PlanExport":
        """Return what cuts exports into work items."""
        from exporttiles.usecases.plan_export import PlanExport

        return PlanExport(self.jobs, self.objects, self.settings.max_concurrency)

    @cached_property
    def export_tile_range(self) -> "ExportTileRange":
        """Return what works off one work item."""
        from exporttiles.usecases.export_tile_range import ExportTileRange

        return ExportTileRange(self.jobs, self.objects, self.sources, self.clock, self.meter)

    @cached_property
    def pack_tile_package(self) -> "PackTilePackage":
        """Return what joins fragments."""
        from exporttiles.usecases.pack_tile_package import PackTilePackage

        verify = self.verify_package
        return PackTilePackage(self.jobs, self.objects, self.packages, self.sources, verify, self.meter)

    @cached_property
    def verify_package(self) -> "VerifyPackage":
        """Return what looks at packages before anybody is told of them."""
        from exporttiles.usecases.verify_package import VerifyPackage

        return VerifyPackage(self.objects, self.clock)

    @cached_property
    def export_at_once(self) -> "ExportAtOnce":
        """Return what makes a whole export by itself."""
        from exporttiles.usecases.export_at_once import ExportAtOnce

        return ExportAtOnce(self.objects, self.plan_export, self.export_tile_range, self.pack_tile_package)

    @cached_property
    def close_job(self) -> "CloseJob":
        """Return what ends jobs."""
        from exporttiles.usecases.close_job import CloseJob

        job_lifetime, resume_window = self.settings.job_lifetime, self.settings.resume_window
        return CloseJob(
            self.jobs, self.objects, self.packages, self.clock, job_lifetime, resume_window, self.reuse_package
        )

    @cached_property
    def watch_jobs(self) -> "WatchJobs":
        """Return what closes the jobs that nobody else closes."""
        from exporttiles.usecases.watch_jobs import WatchJobs

        return WatchJobs(self.jobs, self.workflow, self.close_job, self.clock, self.settings.export_timeout)

    @cached_property
    def sweep_leftovers(self) -> "SweepLeftovers":
        """Return what removes what jobs left behind."""
        from exporttiles.usecases.sweep_leftovers import SweepLeftovers

        return SweepLeftovers(self.jobs, self.objects, self.packages, self.clock)

    @cached_property
    def browse_package(self) -> "BrowsePackage":
        """Return what finds the files that a job delivered."""
        from exporttiles.usecases.browse_package import BrowsePackage

        return BrowsePackage(self.objects)

    @cached_property
    def read_parameters(self) -> "ReadParameters":
        """Return what knows how a job was asked for."""
        from exporttiles.usecases.browse_service import ReadParameters

        return ReadParameters(self.objects)

    @cached_property
    def read_tile(self) -> "ReadTile":
        """Return what serves single tiles."""
        from exporttiles.usecases.browse_service import ReadTile

        return ReadTile(self.sources)

    @cached_property
    def read_tilemap(self) -> "ReadTilemap":
        """Return what tells which tiles exist."""
        from exporttiles.usecases.browse_service import ReadTilemap

        return ReadTilemap(self.sources)

    @cached_property
    def meter(self) -> Meter:
        """Return what counts the use of AWS."""
        from exporttiles.adapters.meter import METER

        return METER


class AwsRuntime(Runtime):
    """The ports of AWS; a client, which costs 50 to 200 ms, is made when it is first asked for."""

    def __init__(self) -> None:
        """Make nothing yet."""

    @cached_property
    def settings(self) -> Settings:
        """Return what the environment says."""
        return Settings.from_environment()

    @cached_property
    def clock(self) -> Clock:
        """Return the time of this machine."""
        return SystemClock()

    @cached_property
    def api_keys(self) -> ApiKeyStore:
        """Return the keys in the tile bucket."""
        from exporttiles.adapters.api_keys import ApiKeys

        return ApiKeys(self._tiles)

    @cached_property
    def services(self) -> Services:
        """Return the services in the tile bucket."""
        from exporttiles.adapters.service_catalog import ServiceCatalog

        return ServiceCatalog(self._tiles)

    @cached_property
    def jobs(self) -> JobTable:
        """Return the jobs in DynamoDB."""
        import boto3

        from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs

        table = boto3.resource("dynamodb", config=_config()).Table(self.settings.job_table)
        return DynamoDbJobs(table, self.clock)

    @cached_property
    def objects(self) -> ObjectStore:
        """Return the package bucket."""
        from exporttiles.adapters.object_stores import open_store

        return open_store(f"s3://{self.settings.package_bucket}")

    @cached_property
    def packages(self) -> PackageStore:
        """Return the finished packages in the package bucket."""
        from exporttiles.adapters.s3_packages import S3Packages

        return S3Packages(self._s3, self.settings.package_bucket, self.settings.download_link_seconds)

    @cached_property
    def sources(self) -> Sources:
        """Return what opens tile caches."""
        from exporttiles.adapters.tile_sources import TileSources

        return TileSources()

    @cached_property
    def workflow(self) -> Workflow:
        """Return the state machine."""
        import boto3

        from exporttiles.adapters.stepfunctions_workflow import StepFunctionsWorkflow

        return StepFunctionsWorkflow(boto3.client("stepfunctions", config=_config()), self.settings.state_machine_arn)

    @cached_property
    def inbox(self) -> Inbox:
        """Return the inbox bucket."""
        from exporttiles.adapters.s3_inbox import S3Inbox

        return S3Inbox(self._s3, self.settings.inbox_bucket)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """Return the subscriptions in the tile bucket."""
        from exporttiles.adapters import subscriptions

        return subscriptions.Subscriptions(self._tiles)

    @cached_property
    def timers(self) -> Timers:
        """Return the timers of EventBridge Scheduler."""
        import boto3

        from exporttiles.adapters.scheduler_timers import SchedulerTimers

        scheduler: Any = boto3.client("scheduler", config=_config())  # its types are not among those that we install
        settings = self.settings
        return SchedulerTimers(scheduler, settings.timer_group, settings.event_bus_arn, settings.timer_role_arn)

    @cached_property
    def announcer(self) -> Announcer:
        """Return the bus that hears of jobs."""
        import boto3

        from exporttiles.adapters.eventbridge_announcer import EventBridgeAnnouncer

        return EventBridgeAnnouncer(boto3.client("events", config=_config()), self.settings.event_bus)

    @cached_property
    def _tiles(self) -> ObjectStore:
        from exporttiles.adapters.object_stores import open_store

        return open_store(f"s3://{self.settings.tile_bucket}")

    @cached_property
    def _s3(self) -> "S3Client":
        import boto3

        # Links must be signed as SigV4. Packages bring the checksum of their bytes
        # with them; other uploads need none besides that of their connection.
        s3 = _config(signature_version="s3v4", request_checksum_calculation="when_required", max_pool_connections=32)
        return boto3.client("s3", config=s3)


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


def new_job_id() -> str:
    """Return a job id that no one can guess."""
    return f"j{uuid4().hex}"


def _config(**options: Any) -> "Config":
    """Return options of a client that slows down when it is told to, and tries eight times in all."""
    from botocore.config import Config

    return Config(retries={"mode": "adaptive", "total_max_attempts": 8}, **options)


@cache
def from_environment() -> Runtime:
    """Return the runtime of this function, the same for all its requests."""
    return AwsRuntime()
