"""Plan the remaining work items of a job that is resumed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporttiles.domain.job import Progress
from exporttiles.formats.packages.outputs import output_of
from exporttiles.messages.documents import read_document
from exporttiles.messages.export import Export
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.jobs import JobTable
from exporttiles.ports.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class RemainingItems:
    """The key of the remaining work items, and their number."""

    key: str
    item_count: int


def plan_remaining(jobs: JobTable, objects: ObjectStore, job_id: str, attempt: int) -> RemainingItems | None:
    """Write the work items whose output is missing. Return None if the job was never planned.

    An attempt is planned once, even if its planner runs twice: work that is done
    since must not be repeated.

    Args:
        jobs: the progress in it is recounted.
        objects: the package bucket.
        job_id: the job.
        attempt: the one that begins.
    """
    keys = JobKeys(job_id)
    items = _items(objects, keys.work_items)
    if not items:
        return None
    if items[0].attempt == attempt:
        return RemainingItems(keys.work_items, len(items))
    key = keys.remaining_work_items(attempt)
    done = {report.number: report for report in _intact_reports(objects, keys, len(items))}
    # The behaviour of a Map without items is not documented: then one is repeated.
    missing = [item for item in items if item.number not in done] or items[-1:]
    for item in missing:
        done.pop(item.number, None)
    if planned := _items(objects, key):  # read last: another planner may have written it meanwhile
        return RemainingItems(key, len(planned))
    # A stale report would win over the new one: only the first counts.
    objects.delete(keys.report(item.number) for item in missing)
    places = [keys.places(item.number) for item in missing if item.has_places]
    for kept in (keys.parameters, keys.export, keys.work_items, *places):
        objects.write(kept, objects.read(kept))  # renewed: the bucket expires objects by age
    progress = Progress(
        work_items=len(items),
        done_work_items=len(done),
        done_tile_count=sum(report.selected_count for report in done.values()),
        done_bytes=sum(report.fragment_bytes for report in done.values()),
    )
    jobs.recount(job_id, progress)
    objects.write(key, json.dumps([replace(item, attempt=attempt).to_json() for item in missing]).encode())
    return RemainingItems(key, len(missing))


def _items(objects: ObjectStore, key: str) -> list[WorkItem]:
    """Return the work items of a plan; an empty list if there is none."""
    try:
        return [WorkItem.from_json(item) for item in read_document(objects.read(key))]
    except KeyError:
        return []


def _intact_reports(objects: ObjectStore, keys: JobKeys, count: int) -> Iterator[FragmentReport]:
    """Yield the reports whose fragments, and files of a dataset, exist in full."""
    export = Export.from_json(objects.read(keys.export))
    is_folder = output_of(export.service, export.request).is_folder
    prefixes = [keys.fragments, keys.packages] if is_folder else [keys.fragments]
    sizes = {stored.key: stored.size_bytes for prefix in prefixes for stored in objects.list(prefix)}
    for body in objects.read_many([keys.report(number) for number in range(count)]):
        if body is None:
            continue
        report = FragmentReport.from_json(body)
        written = {keys.delivered(member.name): member.size_bytes for member in report.members} if is_folder else {}
        if report.fragment_bytes:
            written[keys.fragment(report.number, report.crc32)] = report.fragment_bytes
        if written.items() <= sizes.items():
            yield report
