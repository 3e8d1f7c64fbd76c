"""Exports of GeoTIFFs: tiles are drawn in the format and quality that the request asks for, and encoded once."""

from dataclasses import replace

import pytest
from pmtiles.reader import MemorySource, all_tiles

from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.service import TileFormat
from exporttiles.rest.parameters import read_export_request
from tests.fakes import a_runtime, run_workflow
from tests.rasters import an_orthophoto, drawn_tiles, inspected

LEVELS = "13-15"


@pytest.fixture(scope="module")
def ortho(tmp_path_factory):
    """A folder with one GeoTIFF, turned against the tiles: some of them have transparent pixels."""
    folder = tmp_path_factory.mktemp("ortho")
    an_orthophoto(folder / "ortho.tif", size=(700, 900), pixel=2.0)
    return folder


def exported(folder, **parameters):
    """Return the tiles of an export as PMTiles, its job, and the job of its estimate."""
    objects, found = inspected(folder, "ortho.tif")
    runtime = a_runtime(objects)
    runtime.services.put(found.service)
    service = runtime.services.get(found.service.name)
    request = read_export_request(
        {"tilePackage": "true", "storageFormatType": "PMTiles", "levels": LEVELS} | parameters, service
    )
    estimate = runtime.estimate_export(service, request, {})
    job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
    assert job.status is JobStatus.SUCCEEDED, job.messages
    archive = runtime.objects.read(job.package.key)
    return {(z, y, x): tile for (z, x, y), tile in all_tiles(MemorySource(archive))}, job, estimate


def drawn(folder, **rendering):
    """Return the same tiles, drawn by a service that was published in that format and quality."""
    objects, found = inspected(folder, "ortho.tif", **rendering)
    tiles = {}
    for level in range(13, 16):
        block = found.service.tiling_scheme.tile_range(found.service.full_extent, level)
        tiles |= {(level, *place): tile for place, tile in drawn_tiles(objects, found.service, block).items()}
    return tiles


@pytest.mark.parametrize(
    ("parameters", "rendering"),
    [
        ({}, {}),
        ({"tileFormat": "PNG"}, {"tile_format": TileFormat.PNG}),
        ({"tileFormat": "JPEG"}, {"tile_format": TileFormat.JPEG}),
        ({"optimizeTilesForSize": "true", "compressionQuality": "40"}, {"quality": 40}),
        ({"optimizeTilesForSize": "true", "compressionQuality": "95"}, {"quality": 95}),
        (
            {"tileFormat": "JPEG", "optimizeTilesForSize": "true", "compressionQuality": "60"},
            {"tile_format": TileFormat.JPEG, "quality": 60},
        ),
    ],
)
def test_a_requested_format_is_drawn_and_not_converted_from_another(ortho, parameters, rendering):
    assert exported(ortho, **parameters)[0] == drawn(ortho, **rendering)


def test_the_messages_say_how_tiles_are_drawn(ortho):
    def said(**parameters):
        _, job, estimate = exported(ortho, **parameters)
        return " ".join(message.text for message in (*job.messages, *estimate.messages))

    png = said(tileFormat="PNG")
    assert "tileFormat: Tiles are drawn as PNG, without loss." in png
    assert "before any recompression" not in png
    assert "Tiles are drawn as JPEG of quality 80; transparent pixels become white." in said(tileFormat="JPEG")
    smaller = said(optimizeTilesForSize="true", compressionQuality="50")
    assert "compressionQuality: Tiles are drawn as JPEG of quality 50, or PNG if they have transparent" in smaller
    assert "Recompressed" not in smaller


@pytest.mark.parametrize("tile_format", ["PNG", "JPEG"])
def test_the_estimate_of_another_format_is_that_of_a_few_tiles_drawn_in_it(ortho, tile_format):
    _, job, estimate = exported(ortho, tileFormat=tile_format)

    assert estimate.estimate.size_bytes == pytest.approx(job.package.size_bytes, rel=0.3)


@pytest.mark.parametrize(
    ("published_at", "is_warned"), [("2026-11-20T10:00:00+00:00", True), ("2026-11-10T10:00:00+00:00", False)]
)
def test_a_delta_across_a_publication_warns_of_files_that_were_added_without_being_written(
    ortho, published_at, is_warned
):
    objects, found = inspected(ortho, "ortho.tif")
    runtime = a_runtime(objects)
    service = replace(found.service, published_at=published_at)
    runtime.services.put(service)
    request = read_export_request({"tilePackage": "true", "levels": "13", "since": "2026-11-15"}, service)

    messages = runtime.submit_export(service, request, {}).messages

    warnings = [message.text for message in messages if message.kind is MessageKind.WARNING]
    assert any("since: The service was published after 2026-11-15" in text for text in warnings) is is_warned
