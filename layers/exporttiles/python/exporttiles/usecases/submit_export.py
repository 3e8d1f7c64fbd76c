"""Accept an export: count its tiles, store the job, start the workflow."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

from exporttiles.domain.errors import AreaError, InvalidParameterError, JobNotFoundError
from exporttiles.domain.export import LAST, ExportRequest
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import (
    NO_OPTIONS,
    Job,
    JobStatus,
    Message,
    MessageKind,
    Operation,
    Series,
    SubmitOptions,
    in_words,
    job_id_of,
)
from exporttiles.domain.pixels import require_clippable
from exporttiles.domain.quota import UNLIMITED, Quota
from exporttiles.domain.service import ImageService, ServiceType
from exporttiles.domain.wording import counted, level_names
from exporttiles.messages.batch import BatchItem, PackageRequest
from exporttiles.messages.export import Export
from exporttiles.messages.keys import JobKeys, owner_of
from exporttiles.ports.jobs import JobChange, JobTable
from exporttiles.ports.objects import ObjectStore
from exporttiles.ports.process import Clock
from exporttiles.ports.workflow import Starter
from exporttiles.usecases.area_messages import area_messages
from exporttiles.usecases.reuse_package import ReusePackage


@dataclass(frozen=True, slots=True)
class SubmitExport:
    """Turns a checked request into a job.

    Attributes:
        objects: the package bucket.
        new_job_id: returns ``j`` and 32 hexadecimal digits that no one can guess.
        job_lifetime: how long a job and its package are kept.
        kept_lifetime: how long at most, if its series keeps them.
        reuse: finds finished packages.
        max_open_jobs, max_tiles_per_day: limits of each caller; see `Quota`.
    """

    jobs: JobTable
    objects: ObjectStore
    workflow: Starter
    clock: Clock
    new_job_id: Callable[[], str]
    job_lifetime: timedelta
    kept_lifetime: timedelta
    reuse: ReusePackage
    max_open_jobs: int = 0
    max_tiles_per_day: int = 0

    def __call__(
        self,
        service: ImageService,
        request: ExportRequest,
        parameters: Mapping[str, str],
        options: SubmitOptions = NO_OPTIONS,
        packages: Sequence[PackageRequest] = (),
    ) -> Job:
        """Create a job and start it. As on ArcGIS, it fails at once if it selects too many tiles or none.

        The job of a batch makes several packages, each in a job of its own; the limits hold for all together.

        Args:
            service: the request was checked against it.
            request: the parameters, parsed and checked.
            parameters: as the client sent them, stored as the inputs of the job.
            options: owner, idempotency, callback data and series.
            packages: of a batch; their areas are parts of the area of the request.

        Raises:
            AreaError: the area is too complex to count at a level.
            InvalidParameterError: it is too complex for all levels together, or to clip tiles; `since` names no
                earlier job or a time to come; or the client token was used for another request.
            QuotaExceededError: the caller has too many open jobs, or too few tiles left today.
        """
        if options.client_token:
            job_id = job_id_of("clientToken", service.name, options.owner, options.client_token)
            self._claim(job_id, options.client_token, parameters)
            options = replace(options, job_id=job_id)
        if options.job_id and (existing := self._find(options.job_id)):
            return existing
        request = _doubted(self._dated(request, options.owner, options.series), service)
        job_id = options.job_id or self.new_job_id()
        packages = [_dated_package(each, request) for each in packages]
        items = _batch_items(job_id, service, [each.export for each in packages], options.service_type)
        if len(items) < len(packages):
            counted_packages = f"the first {len(items):,} of {counted(len(packages), 'package')}"
            request = replace(request, notes=(*request.notes, f"packageBy: Only {counted_packages} were counted."))
        job = self._new_job(service, request, replace(options, job_id=job_id), items)
        keys = JobKeys(job.job_id)
        if not options.client_token:  # else they are there
            self.objects.write(keys.parameters, _parameters_json(parameters))
        if items and not job.status.is_final:
            self._store_batch(keys, items, packages)
        else:
            export = Export(service, request)
            self.objects.write(keys.export, export.to_json())
            if not job.status.is_final:
                job = self.reuse(job, export, job.submitted_at)
        self.jobs.create(job, self._quota(job))
        if options.job_id:  # if this fails, the request is delivered again
            return self._find(options.job_id) or job
        if not job.status.is_final:
            self._start(job)
        return job

    def _quota(self, job: Job) -> Quota:
        """Return the limits of the caller; none for a job that has ended already and costs nothing."""
        if job.status.is_final:
            return UNLIMITED
        return Quota(job.counted_for, self.max_open_jobs, self.max_tiles_per_day)

    def _store_batch(self, keys: JobKeys, items: Sequence[BatchItem], packages: Sequence[PackageRequest]) -> None:
        """Store the packages of a batch, for the steps that start their jobs."""
        bodies: dict[str, bytes] = {}
        for item, package in zip(items, packages, strict=True):
            bodies[JobKeys(item.job_id).export] = package.export.to_json()
            bodies[JobKeys(item.job_id).parameters] = _parameters_json(package.parameters)
        self.objects.write_many(bodies)
        self.objects.write(keys.batch, json.dumps([item.to_json() for item in items]).encode())

    def _new_job(
        self, service: ImageService, request: ExportRequest, options: SubmitOptions, packages: Sequence[BatchItem]
    ) -> Job:
        """Return a job with the number of its tiles: submitted, or failed if that number is refused."""
        selection = ExportSelection(service, request)
        tile_count = sum(package.tile_count for package in packages) if packages else selection.count()
        if request.clip and not packages:
            require_clippable(service, request.areas)
        now = self.clock.now()
        refusal = _refusal(service, options.service_type, selection, tile_count)
        messages = (
            Message(MessageKind.INFORMATIVE, f"Start Time: {in_words(now)}"),
            *(Message(MessageKind.INFORMATIVE, text) for text in request.notes),
            *(Message(MessageKind.WARNING, text) for text in request.warnings),
            *area_messages(selection),
            Message(MessageKind.ERROR, refusal)
            if refusal
            else Message(MessageKind.INFORMATIVE, _selected(tile_count, level_names(request.levels), len(packages))),
        )
        return Job(
            job_id=options.job_id,
            service_name=service.name,
            status=JobStatus.FAILED if refusal else JobStatus.SUBMITTED,
            submitted_at=now,
            finished_at=now if refusal else None,
            expires_at=now + (self.kept_lifetime if options.series else self.job_lifetime),
            tile_count=tile_count,
            messages=messages,
            owner=options.owner,
            caller=options.caller,
            name=request.package_name,
            callback_data=options.callback_data,
            expected_bytes=tile_count * service.cache.work_bytes,
            series=options.series,
            package_count=0 if refusal else len(packages),
        )

    def _claim(self, job_id: str, client_token: str, parameters: Mapping[str, str]) -> None:
        """Bind a client token to the parameters of a request."""
        key, sent = JobKeys(job_id).parameters, _parameters_json(parameters)
        if not self.objects.create(key, sent) and self.objects.read(key) != sent:
            legal = "It was used for an export with other parameters; take a new one for each export."
            raise InvalidParameterError("clientToken", client_token, legal)

    def _dated(self, request: ExportRequest, owner: str, series: Series | None) -> ExportRequest:
        """Return a request with `since_job` replaced by the time of that job.

        What changed while that job ran may be in its package or not: the time
        is that of its submission.
        """
        if request.since and request.since > self.clock.now():
            raise InvalidParameterError("since", request.since.isoformat(), "It must lie in the past.")
        if request.skipped and (request.since or request.since_job):
            legal = "With since, a tile that has become blank would be left out, and readers would keep the older one."
            raise InvalidParameterError(request.skipped, "true", legal)
        if not request.since_job:
            return request
        if request.since_job == LAST:
            earlier_jobs = self.jobs.series(series.key) if series else ()
            last = next((job for job in earlier_jobs if job.status is JobStatus.SUCCEEDED and job.is_whole), None)
            if last:
                return replace(request, since=last.submitted_at, since_job="")
            warning = "There is no earlier export of this series: all tiles are exported."
            return replace(request, since_job="", warnings=(*request.warnings, warning))
        try:
            earlier = self.jobs.get(request.since_job)
        except JobNotFoundError:
            earlier = None
        if earlier is None or (earlier.service_name, earlier.owner, earlier.operation, earlier.status) != (
            request.service_name,
            owner,
            Operation.EXPORT_TILES,
            JobStatus.SUCCEEDED,
        ):
            legal = "It must be a time, or the id of an export of this service that succeeded and is still kept."
            raise InvalidParameterError("since", request.since_job, legal)
        if not earlier.is_whole:
            legal = "Some packages of this batch failed, and a delta would lack their changes: resume the batch first."
            raise InvalidParameterError("since", request.since_job, legal)
        if earlier.package and (maker := owner_of(earlier.package.key)) != earlier.job_id:
            earlier = self.jobs.get(maker)  # which read the tiles of the package
        return replace(request, since=earlier.submitted_at, since_job="")

    def _find(self, job_id: str) -> Job | None:
        """Return an existing job; start it if an earlier start failed."""
        try:
            job = self.jobs.get(job_id)
        except JobNotFoundError:
            return None
        if job.status is JobStatus.SUBMITTED:
            self.workflow.start(job)
        return job

    def _start(self, job: Job) -> None:
        try:
            self.workflow.start(job)
        except Exception:
            # No workflow will ever end this job, and the client is to try again with the tiles of its day.
            failed = Message(MessageKind.ERROR, "The export could not be started. Try again later.")
            change = JobChange(
                JobStatus.FAILED, messages=[failed], finished_at=self.clock.now(), refund=self._quota(job)
            )
            self.jobs.advance(job.job_id, change)
            raise


def _parameters_json(parameters: Mapping[str, str]) -> bytes:
    return json.dumps(dict(sorted(parameters.items()))).encode()


def _refusal(service: ImageService, service_type: ServiceType, selection: ExportSelection, tile_count: int) -> str:
    """Return why the job fails at once; '' if it does not.

    Clients look for the number 001564 and its words.
    """
    if tile_count > service.max_export_tiles_count:
        return (
            f"ERROR 001564: Requested tile count({tile_count}) exceeds the maximum allowed number "
            f"of tiles({service.max_export_tiles_count}) to be exported for service "
            f"{service.name}:{service_type}."
        )
    if tile_count == 0:
        return f"The area and levels select no tile of the service {service.name}: {selection.why_empty}."
    return ""


def _doubted(request: ExportRequest, service: ImageService) -> ExportRequest:
    """Return a request with a warning if its delta may lack tiles of GeoTIFFs: publishing writes none of them."""
    if not (service.cache.mosaic and request.since):
        return request
    if service.published_at < request.since.astimezone(UTC).isoformat():  # both are in ISO 8601
        return request
    warning = (
        f"since: The service was published after {request.since:%Y-%m-%d %H:%M:%S} UTC. If that added GeoTIFFs that "
        "were written before, removed some, or changed their order, bands or range of values, those tiles are not in "
        "the package: export once without since."
    )
    return replace(request, warnings=(*request.warnings, warning))


def _selected(tile_count: int, levels: str, package_count: int) -> str:
    packages = f"{counted(package_count, 'package')}: " if package_count else ""
    return f"{packages}{counted(tile_count, f'tile of {levels} is', f'tiles of {levels} are')} selected."


def _dated_package(package: PackageRequest, request: ExportRequest) -> PackageRequest:
    """Return a package of a batch with the time since which tiles are exported."""
    dated = replace(package.export.request, since=request.since, since_job="")
    return replace(package, export=replace(package.export, request=dated))


def _batch_items(
    batch_id: str, service: ImageService, exports: Sequence[Export], service_type: ServiceType
) -> list[BatchItem]:
    """Return the packages of a batch, as far as they hold no more tiles together than an export may."""
    items: list[BatchItem] = []
    left = service.max_export_tiles_count
    for export in exports:
        items.append(_batch_item(batch_id, export, service_type))
        left -= items[-1].tile_count
        if left < 0:  # the batch is refused, and counting the others could take long
            break
    return items


def _batch_item(batch_id: str, export: Export, service_type: ServiceType) -> BatchItem:
    """Return a package of a batch, with the number of its tiles."""
    service, request = export.service, export.request
    selection = ExportSelection(service, request)
    try:
        tile_count = selection.count()
        if request.clip:
            require_clippable(service, request.areas)
    except AreaError as error:
        raise AreaError(f"Package {service.map_title}: {error}") from error
    return BatchItem(
        batch_id=batch_id,
        name=request.package_name,
        value=service.map_title,
        tile_count=tile_count,
        expected_bytes=tile_count * service.cache.work_bytes,
        notes=request.notes,
        warnings=request.warnings,
        refusal=_refusal(service, service_type, selection, tile_count),
    )
