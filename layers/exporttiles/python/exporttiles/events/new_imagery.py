"""New imagery in a cache: the exports that are subscribed to it are asked for when it has come to rest."""

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
from exporttiles.ports.tiles import Mask
from exporttiles.rest.parameters import read_export_request


@dataclass(frozen=True, slots=True)
class Stir:
    """What new imagery stirred up.

    Attributes:
        put_off: subscriptions whose exports wait until it is quiet.
        troubles: subscriptions that cannot be used, and why.
    """

    put_off: tuple[str, ...]
    troubles: tuple[tuple[str, str], ...]


def stir(events: Iterable[Mapping[str, Any]], runtime: Runtime) -> Stir:
    """Set the timers of the exports that hold some of the tiles that came; each event puts them off again.

    Args:
        events: of S3, each of an object that was created.
        runtime: what it is done with.

    Raises:
        KeyError: it is no such event.
    """
    urls = {f"s3://{event['detail']['bucket']['name']}/{event['detail']['object']['key']}" for event in events}
    now = runtime.clock.now()
    put_off, troubles = [], []
    for name in runtime.subscriptions.names():
        try:
            subscription = runtime.subscriptions.get(name)
            document = read_request_document(subscription.request.encode(), now)
            if _concerns(document, urls, runtime):
                event = Event(REQUESTED, json.loads(subscription.request))
                runtime.timers.set(name, now + subscription.quiet, event)
                put_off.append(name)
        except RequestError as error:  # its own fault, and no reason to keep the others waiting
            troubles.append((name, str(error)))
    return Stir(tuple(put_off), tuple(troubles))


def _concerns(document: RequestDocument, urls: Iterable[str], runtime: Runtime) -> bool:
    """Tell whether an export holds a tile of some objects: levels and area decide."""
    from exporttiles.domain.selection import TileSelection
    from exporttiles.formats.cache_paths import tiles_at

    service = runtime.services.get(document.service_name)
    found = {tiles_at(service.cache, url) for url in urls} - {None}
    if not found:
        return False
    request = read_export_request(document.parameters, service)
    selection = TileSelection(service.tiling_scheme, request.area, service.full_extent)
    by_bundle = defaultdict[BundleIndex, list[TileRange]](list)
    for tiles in found:
        if not isinstance(tiles, TileRange):
            return True
        if tiles.level in request.levels:
            by_bundle[BundleIndex.of_tile(tiles.level, tiles.row_start, tiles.column_start)].append(tiles)
    return any(_selects(selection.mask(bundle), bundle, by_bundle[bundle]) for bundle in sorted(by_bundle))


def _selects(mask: Mask, bundle: BundleIndex, blocks: Iterable[TileRange]) -> bool:
    """Tell whether some tile of some blocks of a bundle is selected."""
    return any(
        mask[
            block.row_start - bundle.row : block.row_stop - bundle.row,
            block.column_start - bundle.column : block.column_stop - bundle.column,
        ].any()
        for block in blocks
    )
