"""What is still to do of an export that was planned before: a job that is resumed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporttiles.domain.job import Progress
from exporttiles.formats.outputs import output_of
from exporttiles.messages.export import Export
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from exporttiles.ports.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class Rest:
    """Where the missing work items lie, how many they are, and what is done."""

    key: str
    item_count: int
    progress: Progress


def plan_rest(objects: ObjectStore, job_id: str, attempt: int) -> Rest | None:
    """Write the work items that left nothing, or nothing that is still there; None if there never was a plan.

    Args:
        objects: the package bucket.
        job_id: the job.
        attempt: the one that begins.
    """
    keys = JobKeys(job_id)
    try:
        items = [WorkItem.from_json(item) for item in json.loads(objects.read(keys.work_items))]
    except KeyError:
        return None
    done = {report.number: report for report in _reports_that_hold(objects, keys, len(items))}
    # What a Map makes of no items at all is nowhere promised: then one is done again.
    missing = [item for item in items if item.number not in done] or items[-1:]
    for item in missing:
        done.pop(item.number, None)
    # A report that speaks of what is gone would keep its successor out.
    objects.delete(keys.report(item.number) for item in missing)
    for key in (keys.parameters, keys.export, keys.work_items):
        objects.write(key, objects.read(key))  # the bucket forgets by age, and these are needed as long as the job
    key = keys.rest_of_work_items(attempt)
    objects.write(key, json.dumps([replace(item, attempt=attempt).to_json() for item in missing]).encode())
    progress = Progress(
        work_items=len(items),
        done_work_items=len(done),
        done_tile_count=sum(report.selected_count for report in done.values()),
        done_bytes=sum(report.fragment_bytes for report in done.values()),
    )
    return Rest(key, len(missing), progress)


def _reports_that_hold(objects: ObjectStore, keys: JobKeys, count: int) -> Iterator[FragmentReport]:
    """Yield the reports whose fragments, and files of a dataset, are where they say."""
    export = Export.from_json(objects.read(keys.export))
    is_folder = output_of(export.service, export.request).is_folder
    prefixes = [keys.fragments, keys.packages] if is_folder else [keys.fragments]
    sizes = {stored.key: stored.size_bytes for prefix in prefixes for stored in objects.list(prefix)}
    for body in objects.read_many([keys.report(number) for number in range(count)]):
        if body is None:
            continue
        report = FragmentReport.from_json(body)
        written = {keys.delivered(member.name): member.size_bytes for member in report.members} if is_folder else {}
        if report.members:
            written[keys.fragment(report.number, report.members)] = report.fragment_bytes
        if written.items() <= sizes.items():
            yield report
