"""What an export costs on AWS, besides storage and download.

Prices of us-east-1, November 2026, in US dollars.
"""

from exporttiles.domain.service import CacheLayout

GET_DOLLARS = 0.0004 / 1000
PUT_DOLLARS = 0.005 / 1000
GIGABYTE_SECOND_DOLLARS = 0.0000133334  # Lambda on arm64
INVOCATION_DOLLARS = 0.20 / 1_000_000
TRANSITION_DOLLARS = 0.025 / 1000  # Step Functions, Standard

WORKER_GIGABYTES = 3538 / 1024  # as the template sets it
_GETS_PER_TILE = {
    CacheLayout.FILES: 1.0,
    CacheLayout.COMPACT_V1: 0.03,
    CacheLayout.COMPACT_V2: 0.03,
    CacheLayout.PMTILES: 0.03,
}
_STEPS = 4  # plan, map, pack, close


def estimated_dollars(layout: CacheLayout, tile_count: int, work_items: int, worker_seconds: float) -> float:
    """Return about what a finished job cost.

    Args:
        layout: of the cache; tiles of bundles share requests.
        tile_count: tiles that were looked for.
        work_items: workers that ran, each writing a fragment and a report and
            being copied once into the package.
        worker_seconds: what all of them took together.
    """
    gets = tile_count * _GETS_PER_TILE[layout] + 3 * work_items
    puts = 3 * work_items + 2 * _STEPS
    return (
        gets * GET_DOLLARS
        + puts * PUT_DOLLARS
        + worker_seconds * WORKER_GIGABYTES * GIGABYTE_SECOND_DOLLARS
        + (work_items + _STEPS) * (INVOCATION_DOLLARS + 2 * TRANSITION_DOLLARS)
    )
