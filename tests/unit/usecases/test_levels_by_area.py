"""Exports of several areas, each with its own levels: tiles, messages, extents, estimates, limits, reuse and resume."""

import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.tiling import BundleIndex
from exporttiles.formats.bundles.v2 import bundle_path
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.rest.parameters import read_export_request
from tests.builders import a_service, put_bundles, put_files
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.usecases.test_export import package_of, tiles_of


def square(level, row, column, rows=1, columns=1):
    """Return a rectangle within some tiles."""
    first, last = (
        WEB_MERCATOR_256.tile_extent(level, *place) for place in ((row, column), (row + rows - 1, column + columns - 1))
    )
    inset = (first.xmax - first.xmin) / 8
    xmin, ymax, xmax, ymin = first.xmin + inset, first.ymax - inset, last.xmax - inset, last.ymin + inset
    return {
        "rings": [[[xmin, ymin], [xmin, ymax], [xmax, ymax], [xmax, ymin], [xmin, ymin]]],
        "spatialReference": {"wkid": 102100},
    }


COUNTY, FIRE = square(3, 2, 3, 2, 2), square(4, 6, 6)
AREAS = [
    {"areaOfInterest": COUNTY, "levels": "2-3", "name": "County"},
    {"areaOfInterest": FIRE, "levels": "3-4"},
]
LEVELS_BY_AREA = {"tilePackage": "true", "areas": json.dumps(AREAS), "overviewLevels": "0-1"}


def places(level, rows, columns):
    return {(level, row, column) for row in rows for column in columns}


WORLD_AT_0_TO_1 = places(0, [0], [0]) | places(1, range(2), range(2))
EXPECTED = WORLD_AT_0_TO_1 | places(2, [1], [1, 2]) | places(3, [2, 3], [3, 4]) | places(4, [6], [6])


@pytest.fixture(params=[put_files, put_bundles], ids=["files", "bundles"])
def tiles(request):
    tiles = memory()
    request.param(tiles, 4)
    return tiles


@pytest.fixture
def runtime(tiles):
    runtime = a_runtime(tiles)
    return replace(runtime, settings=replace(runtime.settings, reuse_window=timedelta(hours=12)))


def submit(runtime, tiles, parameters, **changes):
    service = replace(a_service(tiles), published_at="2026-11-23T18:00:00+00:00", **changes)
    return runtime.submit_export(service, read_export_request(parameters, service), parameters)


def export(runtime, tiles, parameters):
    job = run_workflow(runtime, submit(runtime, tiles, parameters).job_id)
    assert job.status is JobStatus.SUCCEEDED, job.messages
    return job


def texts(job, kind=MessageKind.INFORMATIVE):
    return [message.text for message in job.messages if message.kind is kind]


def test_a_package_holds_the_tiles_of_each_area_at_its_levels_once(runtime, tiles):
    job = export(runtime, tiles, LEVELS_BY_AREA)

    assert tiles_of(package_of(runtime, job)).keys() == EXPECTED
    assert job.tile_count == len(EXPECTED) == job.delivery.tile_count


def test_a_package_is_the_union_of_single_exports(runtime, tiles):
    singles = [{"areaOfInterest": json.dumps(each["areaOfInterest"]), "levels": each["levels"]} for each in AREAS] + [
        {"levels": "0-1"}
    ]
    found = {}
    for single in singles:
        found |= tiles_of(package_of(runtime, export(runtime, tiles, {"tilePackage": "true", **single})))

    assert tiles_of(package_of(runtime, export(runtime, tiles, LEVELS_BY_AREA))) == found


def test_the_job_counts_the_tiles_of_each_area(runtime, tiles):
    job = submit(runtime, tiles, LEVELS_BY_AREA)

    assert texts(job)[1:] == [
        "overviewLevels: The overview covers the full extent of the service.",
        "areas[0] (County): 6 tiles of levels 2-3.",
        "areas[1]: 2 tiles of levels 3-4.",
        "overviewLevels: 5 tiles of levels 0-1.",
        "1 tile of several areas is exported once.",
        "The extent of the package covers all areas; at each level, only the tiles of the areas of that level exist.",
        "12 tiles of levels 0-4 are selected.",
    ]
    assert texts(job, MessageKind.WARNING) == []


def test_an_export_of_one_area_says_nothing_of_areas(runtime, tiles):
    job = submit(runtime, tiles, {"areaOfInterest": json.dumps(COUNTY), "levels": "2-3"})

    assert texts(job)[1:] == ["6 tiles of levels 2-3 are selected."]


def test_an_estimate_counts_the_tiles_of_each_area(runtime, tiles):
    service = a_service(tiles)

    job = runtime.estimate_export(service, read_export_request(LEVELS_BY_AREA, service), LEVELS_BY_AREA)

    assert job.estimate.tile_count == len(EXPECTED)
    assert texts(job)[1] == "areas[0] (County): 6 tiles of levels 2-3."


def test_an_area_without_tiles_is_named_in_a_warning_and_the_others_are_exported(runtime, tiles):
    outside = {"areaOfInterest": square(3, 9, 3), "levels": "4"}

    job = export(runtime, tiles, {"tilePackage": "true", "areas": json.dumps([AREAS[0], outside])})

    assert job.tile_count == 6
    assert texts(job, MessageKind.WARNING)[0] == (
        "areas[1]: No tile is selected: the area lies outside the service's full extent."
    )


def test_the_limit_of_tiles_is_for_all_areas_together(runtime, tiles):
    job = submit(runtime, tiles, LEVELS_BY_AREA, max_export_tiles_count=11)

    assert job.status is JobStatus.FAILED
    assert texts(job, MessageKind.ERROR)[0].startswith("ERROR 001564: Requested tile count(12) exceeds the maximum")


def extents(package):
    with zipfile.ZipFile(BytesIO(package)) as archive:
        root = json.loads(archive.read("root.json"))
    return root["fullExtent"], root["minLOD"], root["maxLOD"]


def test_the_full_extent_covers_all_that_the_levels_hold(runtime, tiles):
    world = a_service(tiles).full_extent

    extent, *levels = extents(package_of(runtime, export(runtime, tiles, LEVELS_BY_AREA)))

    assert [extent[side] for side in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(world.sides)
    assert levels == [0, 4]


def test_without_an_overview_the_full_extent_is_that_around_the_areas(runtime, tiles):
    parameters = {"tilePackage": "true", "areas": json.dumps(AREAS)}

    extent, *levels = extents(package_of(runtime, export(runtime, tiles, parameters)))

    rings = np.array([vertex for each in (COUNTY, FIRE) for vertex in each["rings"][0]])
    assert [extent["xmin"], extent["ymin"]] == pytest.approx(rings.min(axis=0).tolist())
    assert [extent["xmax"], extent["ymax"]] == pytest.approx(rings.max(axis=0).tolist())
    assert levels == [2, 4]


def test_tiles_are_clipped_to_the_areas_of_their_level(tiles):
    runtime = a_runtime(tiles)

    found = tiles_of(package_of(runtime, export(runtime, tiles, LEVELS_BY_AREA | {"clip": "true"})))

    def shown(place):
        return np.asarray(Image.open(BytesIO(found[place])).convert("RGBA"))[:, :, 3] > 0

    assert found.keys() == EXPECTED
    assert shown((1, 0, 0)).all()  # of the overview
    assert not shown((3, 2, 3))[0, 0]  # outside of the county
    assert shown((3, 3, 3))[:128, :].any()  # in the county, outside of the fire
    assert not shown((4, 6, 6))[0, 0]
    assert shown((4, 6, 6))[128, 128]


def test_a_resumed_export_makes_the_package_of_an_undisturbed_run(monkeypatch):
    monkeypatch.setattr("exporttiles.domain.plan.FRAGMENT_TARGET_BYTES", 1)  # a work item of each bundle
    tiles, torn = memory(), f"World/{bundle_path(BundleIndex(3, 0, 0))}"
    put_bundles(tiles, 4)
    runtime, bundle = a_runtime(tiles), tiles.read(torn)
    undisturbed = package_of(runtime, export(runtime, tiles, LEVELS_BY_AREA))
    job_id = submit(runtime, tiles, LEVELS_BY_AREA).job_id
    tiles.write(torn, bundle[:1000])
    assert run_workflow(runtime, job_id).status is JobStatus.FAILED
    tiles.write(torn, bundle)

    runtime.resume_export(job_id)

    resumed = run_workflow(runtime, job_id)
    assert resumed.attempt == 2
    assert tiles_of(package_of(runtime, resumed)) == tiles_of(undisturbed)


def test_equal_areas_are_reused_whatever_their_names_are(runtime, tiles):
    export(runtime, tiles, LEVELS_BY_AREA)
    renamed = [{**each, "name": f"Area {number}"} for number, each in enumerate(AREAS)]
    other_levels = [AREAS[0], {**AREAS[1], "levels": "4"}]

    again = submit(runtime, tiles, LEVELS_BY_AREA | {"areas": json.dumps(renamed)})
    assert again.status is JobStatus.SUCCEEDED
    assert "areas[0] (Area 0): 6 tiles of levels 2-3." in texts(again)
    assert submit(runtime, tiles, LEVELS_BY_AREA | {"areas": json.dumps(other_levels)}).status is JobStatus.SUBMITTED
