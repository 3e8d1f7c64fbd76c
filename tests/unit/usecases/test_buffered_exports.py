"""Exports of corridors and circles: tiles, messages, estimates, reuse."""

import json
from dataclasses import replace
from datetime import timedelta

import mercantile
import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer

from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.pixels import PixelSelection
from exporttiles.domain.tiling import BundleIndex
from exporttiles.rest.parameters import read_export_request
from tests.builders import a_service, put_files
from tests.builders_rest import a_service as an_endless_service
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.usecases.test_export import tiles_of

GEOD = Geod(ellps="WGS84")
MERCATOR_TO_DEGREES = Transformer.from_crs(3857, 4326, always_xy=True)
NOTE = "areaOfInterest: 1 line was buffered by 500 km."


def of_line(places, distance, **more):
    line = json.dumps({"type": "LineString", "coordinates": places})
    return {"tilePackage": "true", "areaOfInterest": line, "bufferDistance": str(distance), **more}


@pytest.fixture
def tiles():
    tiles = memory()
    put_files(tiles, 3)
    return tiles


@pytest.fixture
def runtime(tiles):
    runtime = a_runtime(tiles)
    return replace(runtime, settings=replace(runtime.settings, reuse_window=timedelta(hours=12)))


def submit(runtime, tiles, parameters):
    service = replace(a_service(tiles), published_at="2026-11-23T18:00:00+00:00")
    return runtime.submit_export(service, read_export_request(parameters, service), parameters)


ACROSS = of_line([[1, 10], [44, 10]], 500, bufferUnit="km", levels="3")


def test_a_corridor_is_exported_and_its_job_says_what_was_buffered(runtime, tiles):
    job = run_workflow(runtime, submit(runtime, tiles, ACROSS).job_id)

    assert job.status is JobStatus.SUCCEEDED
    assert [message.kind for message in job.messages if message.text == NOTE] == [MessageKind.INFORMATIVE]
    assert tiles_of(runtime.objects.read(job.package.key)).keys() == {(3, 3, 3), (3, 3, 4), (3, 3, 5)}


def test_an_estimate_counts_the_tiles_of_the_buffer_and_says_what_was_buffered(runtime, tiles):
    service = a_service(tiles)

    job = runtime.estimate_export(service, read_export_request(ACROSS, service), ACROSS)

    assert job.estimate.tile_count == 3
    assert NOTE in [message.text for message in job.messages]


def test_a_buffer_is_reused_for_the_same_distance_in_any_unit_and_for_no_other(runtime, tiles):
    run_workflow(runtime, submit(runtime, tiles, ACROSS).job_id)

    again = submit(runtime, tiles, ACROSS | {"bufferDistance": "500000", "bufferUnit": "esriMeters"})
    assert again.status is JobStatus.SUCCEEDED
    assert submit(runtime, tiles, ACROSS | {"bufferDistance": "501"}).status is JobStatus.SUBMITTED


def region(places, metres):
    """Return all within a distance of a line, as the union of geodesic circles, in degrees."""
    along = np.linspace(0, len(places) - 1, 2_000)
    x, y = (np.interp(along, range(len(places)), [place[axis] for place in places]) for axis in (0, 1))
    azimuths = np.linspace(0, 360, 120, endpoint=False)
    east, north, _ = GEOD.fwd(
        *(np.repeat(side, len(azimuths)) for side in (x, y)), np.tile(azimuths, len(x)), np.full(len(x) * 120, metres)
    )
    return shapely.union_all(shapely.polygons(np.stack([east, north], axis=1).reshape(len(x), -1, 2)))


def tiles_within(places, metres, level):
    """Return columns and rows of the tiles that lie within a distance of a line."""
    shape = region(places, metres)
    tiles = mercantile.tiles(*shape.bounds, level)
    return {(tile.x, tile.y) for tile in tiles if shape.intersects(shapely.box(*mercantile.bounds(tile)))}


@pytest.mark.parametrize(
    ("places", "metres", "level"),
    [
        ([[8, 47], [8.4, 47.1], [8.3, 47.4]], 5_000, 13),
        ([[25, 70], [26, 70.1]], 10_000, 12),
        ([[-70, -54], [-69.7, -54.2]], 2_000, 14),
    ],
)
def test_a_corridor_selects_the_tiles_within_its_geodesic_distance(places, metres, level):
    service = an_endless_service()
    request = read_export_request(of_line(places, metres), service)
    runs = ExportSelection(service, request).at(level).rows(level, 0, 2**level)
    found = {
        (column, row)
        for row, start, stop in zip(runs.row, runs.column_start, runs.column_stop, strict=True)
        for column in range(start, stop)
    }

    assert tiles_within(places, metres * 0.995, level) <= found <= tiles_within(places, metres * 1.005, level)
    assert len(found) > 50


def test_clipped_tiles_show_the_pixels_within_the_geodesic_distance():
    """A long track, so that buffers of several parts of it overlap."""
    along = np.linspace(0, 1, 300)
    places = np.column_stack([8 + along * 0.02, 47 + np.sin(along * 40) * 0.003]).tolist()
    service = an_endless_service()
    area = read_export_request(of_line(places, 500), service).area_at(14)
    near, far = region(places, 498), region(places, 502)
    tiles = list(mercantile.tiles(*far.bounds, 14))
    bundles = {(tile.y // 128 * 128, tile.x // 128 * 128) for tile in tiles}

    bits = {}
    for row, column in bundles:
        bundle = BundleIndex(14, row, column)
        bits |= PixelSelection(service.tiling_scheme, area).cut(bundle, np.ones((128, 128), bool))

    assert len(area.polygons) > 1
    for tile in tiles:
        left, bottom, right, top = mercantile.xy_bounds(tile)
        centres = (np.arange(256) + 0.5) / 256
        x, y = np.meshgrid(left + centres * (right - left), top - centres * (top - bottom))
        points = shapely.points(*MERCATOR_TO_DEGREES.transform(x, y))
        inside = np.unpackbits(np.frombuffer(bits[tile.y, tile.x], np.uint8)).reshape(256, 256).astype(bool)
        assert inside[shapely.contains_properly(near, points)].all()
        assert not inside[~shapely.intersects(far, points)].any()
