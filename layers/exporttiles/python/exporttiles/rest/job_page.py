"""The page of a job: its state in words, progress, messages, and what can be done next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from html import escape
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_url

from exporttiles.domain.job import Job, JobStatus, MessageKind
from exporttiles.domain.wording import counted, duration_text, size_text
from exporttiles.rest import pages
from exporttiles.rest.addresses import JobUrls, service_url
from exporttiles.rest.job_documents import RESULT_NAME, VERIFICATION, completed_messages

if TYPE_CHECKING:  # which the pages of other jobs do not need
    from exporttiles.usecases.list_packages import BatchPackage

_STATES: Mapping[JobStatus, tuple[str, str, str]] = {
    JobStatus.SUBMITTED: ("running", "…", "Waiting to start"),
    JobStatus.EXECUTING: ("running", "…", "Collecting tiles"),
    JobStatus.CANCELLING: ("running", "…", "Being cancelled"),
    JobStatus.SUCCEEDED: ("good", "✓", "Done"),
    JobStatus.FAILED: ("bad", "✗", "Failed"),
    JobStatus.CANCELLED: ("bad", "✗", "Cancelled"),
    JobStatus.TIMED_OUT: ("bad", "✗", "Stopped: it took too long"),
    JobStatus.DELETED: ("bad", "✗", "Removed"),
}
"""CSS class, icon and words of each state."""

_KINDS: Mapping[MessageKind, tuple[str, str]] = {
    MessageKind.INFORMATIVE: ("i", "Information"),
    MessageKind.WARNING: ("!", "Warning"),
    MessageKind.ERROR: ("✗", "Error"),
}
"""Icon and name of each kind of message."""


def job_sections(job: Job, urls: JobUrls, now: datetime, *, has_tokens: bool) -> tuple[str, ...]:
    """Return the HTML of a job above its data.

    Args:
        job: the job.
        urls: its addresses.
        now: in UTC.
        has_tokens: the API requires tokens, also of curl.
    """
    css_class, icon, words = _state(job)
    state = f'<p class="state {css_class}" role="status">{_icon(icon)}{escape(words)}</p>'
    parts = [state, *_progress(job, now)]
    if job.package_count:
        packages = f"See the {counted(job.package_count, 'package')}"
        parts.append(f'<p><a class="primary" href="{escape(urls.status)}/packages?f=html">{packages}</a></p>')
    parts += _outcome(job, urls, has_tokens=has_tokens)
    parts += [_messages(job), *_actions(job, urls)]
    facts = {
        "state": words,
        "summary": _summary(job),
        "final": str(job.status.is_final).lower(),
        "expires": job.expires_at.isoformat(),
    }
    attributes = " ".join(f'data-{name}="{escape(text)}"' for name, text in facts.items())
    renewed = f"<div data-job {attributes}>{''.join(parts)}</div>"
    return renewed, _map(job, urls)


def _summary(job: Job) -> str:
    """Return the name and size of the package of a job, or its number of packages or tiles, for lists."""
    if job.package:
        return f"{job.package.name} ({size_text(job.package.size_bytes)})"
    return counted(job.package_count, "package") if job.package_count else counted(job.tile_count, "tile")


def _map(job: Job, urls: JobUrls) -> str:
    """Return the place of the map, which the script fills, and a link to the same facts in words."""
    label = f"Map of the area in {job.service_name}. Move it with the arrow keys, zoom with plus and minus."
    shown = f'<div class="map" role="application" aria-label="{escape(label)}" tabindex="0"></div>'
    in_words = pages.link("Area and levels", f"{urls.map}?f=html")
    return (
        f'<section data-job-map hidden><h2>Area</h2>{shown}<p class="legend"></p>{in_words}</section>'
        f"<noscript><p>{in_words}</p></noscript>"
    )


def _progress(job: Job, now: datetime) -> list[str]:
    if job.status.is_final:
        return []
    if not job.progress.work_items:
        return [pages.progress_bar(None)]
    done = f"{job.progress.done_tile_count:,} of {counted(job.tile_count, 'tile')}"
    if job.package_count:
        done = f"{job.progress.done_work_items:,} of {counted(job.package_count, 'package')}, {done}"
    numbers = f"{done}, {size_text(job.progress.done_bytes)}"
    remaining_seconds = job.remaining_seconds(now)
    if remaining_seconds is not None:
        numbers += f". {duration_text(remaining_seconds).capitalize()} left."
    return [pages.progress_bar(job.percent), pages.paragraph(numbers)]


def _outcome(job: Job, urls: JobUrls, *, has_tokens: bool) -> list[str]:
    """Return the links to the results of a job that has succeeded."""
    if job.status is not JobStatus.SUCCEEDED:
        return []
    if job.estimate:
        found = f"{counted(job.estimate.tile_count, 'tile')}, about {size_text(job.estimate.size_bytes)}"
        seconds = job.estimate.seconds
        time = "" if seconds is None else f"An export takes {duration_text(seconds)}."
        return [pages.paragraph(found, "figure"), pages.paragraph(time)]
    result = {"Result": f"{urls.status}/results/{RESULT_NAME}?f=html"}
    if not job.package or not urls.package:
        return [pages.links({**result, "Files": f"{urls.files}?f=html"})]
    download = f'<p><a class="primary" href="{escape(urls.package)}">Download {escape(_summary(job))}</a></p>'
    # This header, as curl does not send it on to S3.
    token = '-H "Authorization: Bearer $TOKEN" ' if has_tokens else ""
    command = f"curl -LO {token}{quote(urls.package)}"
    on_a_terminal = f"<p>On a terminal:</p><pre><code>{escape(command)}</code></pre>"
    kept = pages.paragraph(f"The package is kept until {job.expires_at:%-d %B %Y, %H:%M} UTC.")
    return [
        download,
        kept,
        on_a_terminal,
        pages.links({"Verification": f"{urls.status}/results/{VERIFICATION}?f=html", **result}),
    ]


def packages_section(packages: Sequence["BatchPackage"], urls: JobUrls) -> str:
    """Return the packages of a batch as a list: name, state, and how to download it or why there is none.

    Args:
        packages: those of the batch.
        urls: of the batch.
    """
    return f'<ul class="packages">{"".join(_package(package, urls) for package in packages)}</ul>'


def _package(package: "BatchPackage", urls: JobUrls) -> str:
    job = package.job
    css_class, icon, words = _state(job) if job else _STATES[JobStatus.SUBMITTED]
    facts = [counted(package.item.tile_count, "tile")]
    if job and job.package and package.is_finished:
        download = f"{urls.files}/{quote_url(job.package.name)}"
        facts.insert(0, pages.link(f"Download {job.package.name} ({size_text(job.package.size_bytes)})", download))
    if job:
        facts.append(pages.link("Details", f"{replace(urls, job=job).status}?f=html"))
        if job.status.is_final and package.failure:
            facts.append(escape(package.failure))
    state = f'<span class="{css_class}">{_icon(icon)}{escape(words)}</span>'
    return f"<li><h2>{escape(package.item.value)}</h2>{state}<br>{'<br>'.join(facts)}</li>"


def _state(job: Job) -> tuple[str, str, str]:
    """Return the CSS class, the icon and the words of the state of a job."""
    if job.is_up_to_date:
        return "good", "✓", "Nothing has changed"
    css_class, icon, words = _STATES[job.status]
    if job.status is JobStatus.EXECUTING and job.percent == 100:
        words = "Writing the package"
    return css_class, icon, words


def _messages(job: Job) -> str:
    lines = "".join(
        f'<li class="{message.kind.lower()}">{_icon(*_KINDS[message.kind])}{escape(message.text)}</li>'
        for message in completed_messages(job)
    )
    return f'<h2>Messages</h2><ul class="messages">{lines}</ul>' if lines else ""


def _actions(job: Job, urls: JobUrls) -> list[str]:
    if not job.status.is_final:
        return [pages.button("Cancel", f"{urls.status}/cancel")]
    service = service_url(urls.rest_url, job.service_name, urls.service_type)
    another = pages.paragraph_of(pages.link("Choose another area on the map", f"{service}?f=html"))
    return [*([pages.button("Resume", f"{urls.status}/resume")] if job.resumable_until else []), another]


def verification_sections(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the verification report of a package: the outcome in words, and all of it."""
    tiles, read_back = report["tiles"], report["checksums"]["readBack"]
    state = f'<p class="state good">{_icon("✓")}The package is intact</p>'
    size, packed, missing = report["sizeBytes"], tiles["packed"], tiles["missing"]["count"]
    absent = f"; the cache lacks {missing:,} of those that were selected" if missing else ""
    facts = [
        f"{report['package']}, {size_text(size)}, {counted(packed, 'tile')}{absent}.",
        f"S3 compared the checksum of all of it, and {size_text(read_back['bytes'])} were read again.",
        f"Checked at {report['verifiedAt']}.",
    ]
    return (state, *map(pages.paragraph, facts), pages.details("The whole report", pages.value(report)))


def _icon(icon: str, name: str = "") -> str:
    """Return an icon, and its name for screen readers."""
    spoken = f'<span class="spoken">{escape(name)}: </span>' if name else ""
    return f'<span class="icon" aria-hidden="true">{icon}</span>{spoken}'
