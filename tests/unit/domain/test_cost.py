"""What a job costs, as far as its own figures tell."""

import pytest

from exporttiles.domain.cost import estimated_dollars
from exporttiles.domain.service import CacheLayout

TILES = 100_000


def test_files_cost_a_request_each():
    assert estimated_dollars(CacheLayout.FILES, TILES, work_items=90, worker_seconds=60) == pytest.approx(
        0.045, rel=0.25
    )


def test_bundles_cost_a_small_part_of_that():
    bundles = estimated_dollars(CacheLayout.COMPACT_V2, TILES, work_items=90, worker_seconds=30)

    assert bundles < estimated_dollars(CacheLayout.FILES, TILES, work_items=90, worker_seconds=30) / 3


def test_more_of_anything_costs_more():
    least = estimated_dollars(CacheLayout.FILES, 1, 1, 1)

    assert least < estimated_dollars(CacheLayout.FILES, 2, 1, 1)
    assert least < estimated_dollars(CacheLayout.FILES, 1, 2, 1)
    assert least < estimated_dollars(CacheLayout.FILES, 1, 1, 2)
