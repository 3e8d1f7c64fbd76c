"""All use cases, wired to the ports."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from exporttiles.ports.events import Announcer, Inbox, Timers
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.process import Clock, UsageMeter
from exporttiles.ports.tiles import TileSources
from exporttiles.ports.workflow import Workflow
from exporttiles.settings import Settings

if TYPE_CHECKING:
    from exporttiles.adapters.json_folders import ApiKeys, ServiceCatalog, Subscriptions
    from exporttiles.usecases.authenticate import Authenticate
    from exporttiles.usecases.browse_job import BrowseJob
    from exporttiles.usecases.browse_service import BrowseService
    from exporttiles.usecases.cancel_export import CancelExport
    from exporttiles.usecases.close_batch import CloseBatch
    from exporttiles.usecases.close_job import CloseJob
    from exporttiles.usecases.delete_orphans import DeleteOrphans
    from exporttiles.usecases.estimate_export import EstimateExport
    from exporttiles.usecases.export_at_once import ExportAtOnce
    from exporttiles.usecases.export_tile_range import ExportTileRange
    from exporttiles.usecases.list_packages import ListPackages
    from exporttiles.usecases.map_job import MapJob
    from exporttiles.usecases.pack_tile_package import PackTilePackage
    from exporttiles.usecases.plan_export import PlanExport
    from exporttiles.usecases.remove_leftovers import RemoveLeftovers
    from exporttiles.usecases.resume_export import ResumeExport
    from exporttiles.usecases.reuse_package import ReusePackage
    from exporttiles.usecases.submit_export import SubmitExport
    from exporttiles.usecases.submit_package import SubmitPackage
    from exporttiles.usecases.verify_package import VerifyPackage
    from exporttiles.usecases.watch_jobs import WatchJobs


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The ports of a process, and the use cases wired to them.

    A use case is imported and created on first access: a function that only
    reports the status of a job starts without NumPy, PROJ and image codecs.
    """

    settings: Settings
    api_keys: "ApiKeys"
    services: "ServiceCatalog"
    jobs: JobTable
    objects: ObjectStore
    packages: PackageStore
    sources: TileSources
    workflow: Workflow
    inbox: Inbox
    subscriptions: "Subscriptions"
    timers: Timers
    announcer: Announcer
    clock: Clock

    @cached_property
    def authenticate(self) -> "Authenticate":
        """Return the authenticator for API keys and tokens."""
        from exporttiles.usecases.authenticate import Authenticate

        return Authenticate(self.api_keys.get, self.clock)

    @cached_property
    def submit_export(self) -> "SubmitExport":
        """Return the use case that accepts an export and starts its job."""
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
            self.settings.max_open_jobs,
            self.settings.max_tiles_per_day,
        )

    @cached_property
    def reuse_package(self) -> "ReusePackage":
        """Return the use case that reuses the package of an equal export."""
        from exporttiles.usecases.reuse_package import ReusePackage

        return ReusePackage(self.jobs, self.objects, self.settings.reuse_window)

    @cached_property
    def estimate_export(self) -> "EstimateExport":
        """Return the use case that estimates the size of an export."""
        from exporttiles.usecases.estimate_export import EstimateExport

        settings = self.settings
        return EstimateExport(
            self.jobs,
            self.objects,
            self.sources,
            self.clock,
            new_job_id,
            settings.job_lifetime,
            settings.max_concurrency,
            settings.file_reads_per_second,
        )

    @cached_property
    def cancel_export(self) -> "CancelExport":
        """Return the use case that cancels a job."""
        from exporttiles.usecases.cancel_export import CancelExport

        return CancelExport(self.jobs, self.list_packages)

    @cached_property
    def resume_export(self) -> "ResumeExport":
        """Return the use case that resumes a failed job."""
        from exporttiles.usecases.resume_export import ResumeExport

        return ResumeExport(self.jobs, self.workflow, self.clock, self.list_packages, self.settings.max_open_jobs)

    @cached_property
    def list_packages(self) -> "ListPackages":
        """Return the use case that lists the packages of a batch."""
        from exporttiles.usecases.list_packages import ListPackages

        return ListPackages(self.jobs, self.objects)

    @cached_property
    def submit_package(self) -> "SubmitPackage":
        """Return the use case that starts the job of one package of a batch."""
        from exporttiles.usecases.submit_package import SubmitPackage

        return SubmitPackage(self.jobs, self.objects, self.clock, self.reuse_package)

    @cached_property
    def plan_export(self) -> "PlanExport":
        """Return the use case that divides an export into work items."""
        from exporttiles.domain.plan import largest_fragment_bytes
        from exporttiles.usecases.plan_export import PlanExport

        settings = self.settings
        return PlanExport(
            self.jobs,
            self.objects,
            self.sources,
            self.meter,
            settings.max_concurrency,
            largest_fragment_bytes(settings.worker_memory_bytes),
            settings.file_reads_per_second,
            settings.export_timeout,
            settings.max_database_bytes,
        )

    @cached_property
    def export_tile_range(self) -> "ExportTileRange":
        """Return the use case that exports one work item."""
        from exporttiles.usecases.export_tile_range import ExportTileRange

        return ExportTileRange(self.jobs, self.objects, self.sources, self.clock, self.meter)

    @cached_property
    def pack_tile_package(self) -> "PackTilePackage":
        """Return the use case that joins fragments to a tile package."""
        from exporttiles.usecases.pack_tile_package import PackTilePackage

        return PackTilePackage(
            self.jobs,
            self.objects,
            self.packages,
            self.sources,
            self.verify_package,
            self.meter,
            self.settings.max_database_bytes,
        )

    @cached_property
    def verify_package(self) -> "VerifyPackage":
        """Return the use case that reads a finished package back and checks it."""
        from exporttiles.usecases.verify_package import VerifyPackage

        return VerifyPackage(self.objects, self.clock)

    @cached_property
    def export_at_once(self) -> "ExportAtOnce":
        """Return the use case that plans, exports and packs a small job in one step."""
        from exporttiles.usecases.export_at_once import ExportAtOnce

        return ExportAtOnce(self.objects, self.plan_export, self.export_tile_range, self.pack_tile_package)

    @cached_property
    def close_job(self) -> "CloseJob":
        """Return the use case that writes the final status of a job."""
        from exporttiles.usecases.close_job import CloseJob

        return CloseJob(
            self.jobs,
            self.objects,
            self.packages,
            self.clock,
            self.settings.job_lifetime,
            self.settings.resume_window,
            self.reuse_package,
            self.remove_leftovers,
            self.close_batch,
        )

    @cached_property
    def close_batch(self) -> "CloseBatch":
        """Return the use case that ends a batch."""
        from exporttiles.usecases.close_batch import CloseBatch

        return CloseBatch(self.jobs, self.objects, self.clock, self.settings.resume_window, self.list_packages)

    @cached_property
    def watch_jobs(self) -> "WatchJobs":
        """Return the use case that closes orphaned jobs."""
        from exporttiles.usecases.watch_jobs import WatchJobs

        return WatchJobs(self.jobs, self.workflow, self.close_job, self.clock, self.settings.export_timeout)

    @cached_property
    def delete_orphans(self) -> "DeleteOrphans":
        """Return the use case that removes orphaned objects and uploads."""
        from exporttiles.usecases.delete_orphans import DeleteOrphans

        return DeleteOrphans(self.jobs, self.packages, self.remove_leftovers)

    @cached_property
    def remove_leftovers(self) -> "RemoveLeftovers":
        """Return the use case that removes the intermediate files of a finished job."""
        from exporttiles.usecases.remove_leftovers import RemoveLeftovers

        return RemoveLeftovers(self.jobs, self.objects, self.clock)

    @cached_property
    def browse_job(self) -> "BrowseJob":
        """Return the use case that finds the delivered files and the parameters of a job."""
        from exporttiles.usecases.browse_job import BrowseJob

        return BrowseJob(self.objects)

    @cached_property
    def map_job(self) -> "MapJob":
        """Return the use case that maps the area and the progress of a job."""
        from exporttiles.usecases.map_job import MapJob

        return MapJob(self.objects, self.list_packages)

    @cached_property
    def browse_service(self) -> "BrowseService":
        """Return the use case that reads tiles of a service."""
        from exporttiles.usecases.browse_service import BrowseService

        return BrowseService(self.sources)

    @cached_property
    def meter(self) -> UsageMeter:
        """Return the meter of this process, which counts its use of AWS."""
        from exporttiles.adapters.process import METER

        return METER


def new_job_id() -> str:
    """Return a random job id, which nobody can guess."""
    return f"j{uuid4().hex}"
