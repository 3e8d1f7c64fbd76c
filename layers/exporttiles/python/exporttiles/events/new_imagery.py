"""New imagery in a cache: schedule the exports that subscribe to it, debounced."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exporttiles.bootstrap.runtime import Runtime
from exporttiles.domain.errors import RequestError
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.events.request_document import RequestDocument, read_request_document
from exporttiles.events.requests import REQUESTED
from exporttiles.ports.events import Event
from exporttiles.rest.parameters import read_export_request


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """The subscriptions that new imagery affects.

    Attributes:
        names: of the subscriptions whose exports were rescheduled.
        failures: name of each subscription that cannot be used, and the reason.
    """

    names: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]


def reschedule_exports(events: Iterable[Mapping[str, Any]], runtime: Runtime) -> Rescheduled:
    """Set the timers of the subscribed exports that contain a new tile.

    Each new tile sets the timer anew, so that an export starts once the imagery
    has been quiet for the time that its subscription names.

    Args:
        events: "Object Created" events of S3.
        runtime: provides the subscriptions, the services, the timers and the clock.

    Raises:
        KeyError: an event has another form.
    """
    urls = {f"s3://{event['detail']['bucket']['name']}/{event['detail']['object']['key']}" for event in events}
    now = runtime.clock.now()
    names, failures = [], []
    for name in runtime.subscriptions.names():
        try:
            subscription = runtime.subscriptions.get(name)
            document = read_request_document(subscription.request.encode(), now)
            if _is_affected(document, urls, runtime):
                event = Event(REQUESTED, json.loads(subscription.request))
                runtime.timers.set(name, now + subscription.quiet, event)
                names.append(name)
        except RequestError as error:  # one bad subscription must not hold up the others
            failures.append((name, str(error)))
    return Rescheduled(tuple(names), tuple(failures))


def _is_affected(document: RequestDocument, urls: Iterable[str], runtime: Runtime) -> bool:
    """Return True if the levels and the area of an export contain a tile at one of the URLs."""
    from exporttiles.domain.export_selection import ExportSelection
    from exporttiles.formats.caches.paths import tiles_at

    service = runtime.services.get_with_rasters(document.service_name)
    found = {tiles_at(service.cache, url) for url in urls} - {None}
    if not found:
        return False
    request = read_export_request(document.parameters, service)
    selection = ExportSelection(service, request)
    by_bundle = defaultdict[BundleIndex, list[TileRange]](list)
    for tiles in found:
        if not isinstance(tiles, TileRange):
            return True
        if tiles.level in request.levels:
            by_bundle[BundleIndex.of_tile(tiles.level, tiles.row_start, tiles.column_start)].append(tiles)
    for bundle in sorted(by_bundle):
        mask = selection.mask(bundle)
        if any(mask[bundle.slices(tiles)].any() for tiles in by_bundle[bundle]):
            return True
    return False
