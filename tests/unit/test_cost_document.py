"""The tables of docs/cost.md equal the cost model."""

import math
from pathlib import Path

import pytest

from exporttiles.domain.cost import (
    BUNDLE_TILE_DOLLARS,
    DRAWN_TILE_DOLLARS,
    EGRESS_GIGABYTE_DOLLARS,
    FILE_TILE_DOLLARS,
    Usage,
    bill,
)
from exporttiles.domain.plan import FragmentSize, worker_seconds
from exporttiles.domain.service import DRAWN_TILE_BYTES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
TILE_BYTES = 14_000
SMALL_EXPORT_BYTES = 100_000_000  # the template's default
GIGABYTES = 1769 / 1024
PACKER_SECONDS = 3
GETS_A_TILE = {
    "bundles": 0.003,
    "files": 1.0,
    "GeoTIFFs": 0.02,
}  # as counted in test_cost_of_exports.py, and RESULTS.md
WRITES_A_WORK_ITEM = 3  # fragment, report, and its copy into the package


def row(tile_count, source):
    size_bytes = tile_count * TILE_BYTES
    at_once = size_bytes < SMALL_EXPORT_BYTES
    planned_bytes = tile_count * DRAWN_TILE_BYTES if source == "GeoTIFFs" else size_bytes
    work_items = math.ceil(planned_bytes / FragmentSize.of(planned_bytes).target)
    seconds = worker_seconds(
        tile_count, size_bytes, from_files=source == "files", recompressed=False, drawn=source == "GeoTIFFs"
    )
    used = Usage(
        gets=math.ceil(tile_count * GETS_A_TILE[source]) + 2 * work_items + 1,
        puts=WRITES_A_WORK_ITEM * work_items + 7,
        gigabyte_seconds=(seconds + PACKER_SECONDS) * GIGABYTES,
    )
    return size_bytes, bill(used, work_items, at_once=at_once)


def lines(source):
    for power in range(3, 8):
        size_bytes, billed = row(10**power, source)
        egress = size_bytes / 1e9 * EGRESS_GIGABYTE_DOLLARS
        yield (
            f"| {10**power:,} | {billed.used.gets:,} | {billed.used.puts:,} | {billed.used.gigabyte_seconds:,.0f} "
            f"| {billed.invocations:,} | {billed.transitions:,} | ${billed.dollars:,.4f} | ${egress:,.2f} |"
        )


@pytest.mark.parametrize("source", GETS_A_TILE)
def test_the_worked_table_is_what_the_model_says(source):
    assert [line for line in lines(source) if line not in DOCUMENT] == []


@pytest.mark.parametrize(
    ("source", "tile_dollars", "promised"),
    [
        ("bundles", BUNDLE_TILE_DOLLARS, "at most $0.003 per 100,000"),
        ("files", FILE_TILE_DOLLARS, "at most $0.045"),
        ("GeoTIFFs", DRAWN_TILE_DOLLARS, "at most $0.020"),
    ],
)
def test_the_table_keeps_what_is_promised_for_a_hundred_thousand_tiles(source, tile_dollars, promised):
    assert row(100_000, source)[1].dollars <= 100_000 * tile_dollars
    assert promised in DOCUMENT
    assert f"${100_000 * tile_dollars:.3f}" in promised


@pytest.mark.parametrize("source", GETS_A_TILE)
def test_cost_grows_no_faster_than_the_tiles(source):
    each = [row(10**power, source)[1].dollars / 10**power for power in range(3, 9)]

    assert each == sorted(each, reverse=True)
