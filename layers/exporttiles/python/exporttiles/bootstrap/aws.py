"""The runtime of a Lambda function: every port backed by AWS."""

import logging
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from exporttiles.adapters.process import SystemClock
from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.parts import COPIERS
from exporttiles.ports.events import Announcer, Inbox, Timers
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.process import Clock
from exporttiles.ports.tiles import TileSources
from exporttiles.ports.workflow import Workflow
from exporttiles.settings import Settings

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_s3 import S3Client

    from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog, Subscriptions


class AwsRuntime(Runtime):
    """Ports backed by AWS. Each client, which costs 50 to 200 ms, is created on first access."""

    def __init__(self) -> None:
        """Create no port yet."""

    @cached_property
    def settings(self) -> Settings:
        """Return the settings from the environment variables."""
        return Settings.from_environment()

    @cached_property
    def clock(self) -> Clock:
        """Return the system clock."""
        return SystemClock()

    @cached_property
    def api_keys(self) -> "ApiKeys":
        """Return the API keys, which lie in the tile bucket."""
        from exporttiles.adapters.json_folders import ApiKeys

        return ApiKeys(self._tiles)

    @cached_property
    def services(self) -> "ServiceCatalog":
        """Return the published services, which lie in the tile bucket."""
        from exporttiles.adapters.json_folders import ServiceCatalog

        return ServiceCatalog(self._tiles)

    @cached_property
    def jobs(self) -> JobTable:
        """Return the job table in DynamoDB."""
        import boto3

        from exporttiles.adapters.dynamodb_jobs import DynamoDbJobs

        table = boto3.resource("dynamodb", config=_config()).Table(self.settings.job_table)
        return DynamoDbJobs(table, self.clock)

    @cached_property
    def objects(self) -> ObjectStore:
        """Return the package bucket."""
        from exporttiles.adapters.object_stores import open_store

        return open_store(f"s3://{self.settings.package_bucket}", self.settings.store_patience)

    @cached_property
    def packages(self) -> PackageStore:
        """Return the finished packages in the package bucket."""
        from exporttiles.adapters.s3_packages import S3Packages

        return S3Packages(self._s3, self.settings.package_bucket, self.settings.download_link_seconds)

    @cached_property
    def sources(self) -> TileSources:
        """Return the opener of tile caches."""
        from exporttiles.adapters.tile_sources import TileCaches

        settings = self.settings
        buckets = {settings.tile_bucket, *settings.cache_buckets}
        return TileCaches(settings.store_patience, buckets, lambda: self._tiles)

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
    def subscriptions(self) -> "Subscriptions":
        """Return the subscriptions to new imagery, which lie in the tile bucket."""
        from exporttiles.adapters.json_folders import Subscriptions

        return Subscriptions(self._tiles)

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
        """Return the event bus on which changes of jobs are announced."""
        import boto3

        from exporttiles.adapters.eventbridge_announcer import EventBridgeAnnouncer

        return EventBridgeAnnouncer(boto3.client("events", config=_config()), self.settings.event_bus)

    @cached_property
    def _tiles(self) -> ObjectStore:
        from exporttiles.adapters.object_stores import open_store

        return open_store(f"s3://{self.settings.tile_bucket}", self.settings.store_patience)

    @cached_property
    def _s3(self) -> "S3Client":
        import boto3

        # Presigned links need SigV4, and the bucket's host in its own region: boto3 signs links for s3.amazonaws.com
        # otherwise, which redirects, breaks the signature, and is no address of the partitions of China and GovCloud.
        # An emulator, whose address is a number, keeps the bucket in the path. Packages carry a checksum of their
        # own, and for other uploads that of the connection suffices.
        s3 = _config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
            request_checksum_calculation="when_required",
            max_pool_connections=COPIERS,
            read_timeout=150,  # S3 copies a part of 5 GiB in 107 s, at the rate that is assumed
        )
        return boto3.client("s3", config=s3)


def _config(**options: Any) -> "Config":
    """Return client options: slow down when AWS throttles, and try eight times in all."""
    from botocore.config import Config

    return Config(retries={"mode": "adaptive", "total_max_attempts": 8}, **options)


@cache
def from_environment() -> Runtime:
    """Return the runtime of this process, shared by all its requests."""
    for name in ("boto3", "botocore", "urllib3"):  # at DEBUG they log session tokens and signed links
        logging.getLogger(name).setLevel(logging.INFO)
    return AwsRuntime()
