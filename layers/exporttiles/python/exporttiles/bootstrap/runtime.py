"""The use cases, on whatever the ports are."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from exporttiles.ports.clock import Clock
from exporttiles.ports.events import Announcer, Inbox, Subscriptions, Timers
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.meter import Meter
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.packages import PackageStore
from exporttiles.ports.services import ApiKeyStore
from exporttiles.ports.services import ServiceCatalog as Services
from exporttiles.ports.tiles import TileSources as Sources
from exporttiles.ports.workflow import Workflow
from exporttiles.settings import Settings

if TYPE_CHECKING:
    from exporttiles.usecases.authenticate import Authenticate
    from exporttiles.usecases.browse_package import BrowsePackage
    from exporttiles.usecases.browse_service import ReadTile, ReadTilemap
    from exporttiles.usecases.cancel_export import CancelExport
    from exporttiles.usecases.close_job import CloseJob
    from exporttiles.usecases.estimate_export import EstimateExport
    from exporttiles.usecases.export_at_once import ExportAtOnce
    from exporttiles.usecases.export_tile_range import ExportTileRange
    from exporttiles.usecases.pack_tile_package import PackTilePackage
    from exporttiles.usecases.plan_export import PlanExport
    from exporttiles.usecases.read_parameters import ReadParameters
    from exporttiles.usecases.remove_leftovers import RemoveLeftovers
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
        from exporttiles.domain.plan import largest_fragment_bytes
        from exporttiles.usecases.plan_export import PlanExport

        largest_bytes = largest_fragment_bytes(self.settings.worker_memory_bytes)
        settings = self.settings
        return PlanExport(self.jobs, self.objects, self.sources, self.meter, settings.max_concurrency, largest_bytes)

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

        return CloseJob(
            self.jobs,
            self.objects,
            self.packages,
            self.clock,
            self.settings.job_lifetime,
            self.settings.resume_window,
            self.reuse_package,
            self.remove_leftovers,
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

        return SweepLeftovers(self.jobs, self.packages, self.remove_leftovers)

    @cached_property
    def remove_leftovers(self) -> "RemoveLeftovers":
        """Return what removes what an ended job needs no more."""
        from exporttiles.usecases.remove_leftovers import RemoveLeftovers

        return RemoveLeftovers(self.jobs, self.objects, self.clock)

    @cached_property
    def browse_package(self) -> "BrowsePackage":
        """Return what finds the files that a job delivered."""
        from exporttiles.usecases.browse_package import BrowsePackage

        return BrowsePackage(self.objects)

    @cached_property
    def read_parameters(self) -> "ReadParameters":
        """Return what knows how a job was asked for."""
        from exporttiles.usecases.read_parameters import ReadParameters

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


def new_job_id() -> str:
    """Return a job id that no one can guess."""
    return f"j{uuid4().hex}"
