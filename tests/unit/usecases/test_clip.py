"""Exports that are clipped to their area: tiles of the border are painted, all others stay as they are."""

import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.domain.area import Area
from exporttiles.domain.errors import InvalidParameterError
from exporttiles.domain.export import Clip
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.plan import worker_seconds
from exporttiles.domain.service import TileFormat
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.packages.outputs import output_of
from exporttiles.formats.tiles import clip as clip_module
from exporttiles.formats.tiles.codec import estimate_jpeg_quality
from exporttiles.formats.tiles.image import sniff
from exporttiles.messages.export import Export
from tests.builders import WEB_MERCATOR, a_request, a_service, a_tile, put_files
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.usecases.test_export import OUTPUTS, package_of, tiles_of

LEVEL = 4
HALF = 20037508.342787
TILE = 2 * HALF / 2**LEVEL
WHITE = (255, 255, 255)


def a_triangle():
    """Return an area of some tiles in the middle of the world, whose right side is no edge of tiles."""
    return Area.from_rings([[[(-5 * TILE, -5 * TILE), (-5 * TILE, 5 * TILE), (5 * TILE, -5 * TILE)]]], WEB_MERCATOR)


def a_box(width):
    """Return an area one tile high, from the middle of the world to the right."""
    return Area.from_rings([[[(0, 0), (0, TILE), (width, TILE), (width, 0)]]], WEB_MERCATOR)


def in_triangle(row, column):
    """Return the pixels of a tile of the level in the triangle."""
    y, x = np.mgrid[:256, :256] + 0.5
    x, y = column + x / 256 - 2**LEVEL / 2, 2**LEVEL / 2 - row - y / 256
    return (x > -5) & (y > -5) & (x + y < 0)


@pytest.fixture
def cache():
    tiles = memory()
    put_files(tiles, LEVEL)
    return tiles


@pytest.fixture
def decoded(monkeypatch):
    """The tiles that were decoded to be clipped."""
    seen = []

    def counting(data):
        seen.append(bytes(data))
        return decode(data)

    decode = clip_module.decode_whole
    monkeypatch.setattr(clip_module, "decode_whole", counting)
    return seen


def export(objects, levels=(LEVEL,), **changes):
    runtime, service = a_runtime(objects), a_service(objects)
    area = changes.pop("area", None) or a_triangle()
    request = replace(a_request(service, levels, area=area), **{"clip": Clip()} | changes)
    job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
    assert job.status is JobStatus.SUCCEEDED, job.messages
    return job, package_of(runtime, job), service, request


def pixels(tile):
    return np.asarray(Image.open(BytesIO(tile)).convert("RGBA"))


def test_tiles_inside_stay_byte_for_byte_and_those_of_the_border_lose_what_is_outside(cache, decoded):
    _, package, _, _ = export(cache)

    found = tiles_of(package)
    for (level, row, column), tile in found.items():
        inside, source = in_triangle(row, column), a_tile(level, row, column)
        if inside.all():
            assert tile == source
        else:
            np.testing.assert_array_equal(pixels(tile)[inside], pixels(source)[inside])
            assert not pixels(tile)[~inside].any()
    border = {(row, column) for _, row, column in found if not in_triangle(row, column).all()}
    assert (len(found), len(border)) == (55, 10)  # those that the diagonal crosses
    assert set(decoded[: len(border)]) == {a_tile(LEVEL, row, column) for row, column in border}


def test_only_tiles_of_the_border_are_decoded(cache, decoded):
    export(cache, tile_package=False)  # without a thumbnail

    assert len(decoded) == 10


def test_an_extent_clips_by_its_rectangle(cache):
    box = Area.from_rings(
        [[[(x, y) for x, y in ((0, 0), (0, TILE), (1.5 * TILE, TILE), (1.5 * TILE, 0))]]], WEB_MERCATOR
    )

    _, package, _, _ = export(cache, area=box)

    found = tiles_of(package)
    assert found[LEVEL, 7, 8] == a_tile(LEVEL, 7, 8)
    assert (pixels(found[LEVEL, 7, 9])[..., 3] == np.where(np.arange(256) < 128, 255, 0)).all()


def test_an_area_on_edges_of_tiles_leaves_every_tile_as_it_is(cache, decoded):
    box = a_box(2 * TILE)

    _, package, _, _ = export(cache, area=box)

    assert tiles_of(package) == {(LEVEL, 7, column): a_tile(LEVEL, 7, column) for column in (8, 9)}
    assert decoded == []


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize(("clip", "declared"), [(Clip(), TileFormat.MIXED), (Clip(WHITE), TileFormat.JPEG)])
def test_a_jpeg_cache_becomes_mixed_if_pixels_are_transparent_and_the_package_is_sound(cache, suffix, clip, declared):
    tile_package, storage_format = OUTPUTS[suffix]

    job, package, service, request = export(
        cache, range(LEVEL + 1), clip=clip, tile_package=tile_package, storage_format=storage_format
    )

    file = RangedFile(len(package), lambda spans: (memoryview(package)[start:stop] for start, stop in spans))
    report = output_of(service, request).check(file, Scope())
    with zipfile.ZipFile(BytesIO(package)) as archive:
        documents = b"".join(
            archive.read(name) for name in archive.namelist() if name.endswith(("root.json", "conf.xml"))
        )
    assert (report.damage, report.remarks) == ((), ())
    assert declared.encode() in documents
    assert not [message for message in job.messages if message.kind is MessageKind.WARNING]


def test_with_a_color_jpeg_stays_jpeg_in_the_quality_that_is_asked_for(cache):
    _, package, _, _ = export(cache, clip=Clip(WHITE), compression_quality=40)

    for (_, row, column), tile in tiles_of(package).items():
        outside = ~in_triangle(row, column)
        assert (sniff(tile), estimate_jpeg_quality(tile)) == ("jpeg", 40)
        if outside.any():
            assert np.median(pixels(tile)[outside]) >= 250


def test_with_transparency_the_border_is_cut_from_the_tiles_of_the_cache_and_the_rest_recompressed(cache):
    _, package, _, _ = export(cache, compression_quality=40)
    _, without_quality, _, _ = export(cache)

    border = tiles_of(without_quality)
    for place, tile in tiles_of(package).items():
        if sniff(tile) == "png":
            assert tile == border[place]
        else:
            assert estimate_jpeg_quality(tile) == 40


def test_a_tile_that_cannot_be_clipped_is_left_out_and_named(cache):
    cache.write("World/4/8/8.jpg", a_tile(LEVEL, 8, 8)[:2000])  # on the border
    cache.write("World/4/4/8.jpg", a_tile(LEVEL, 8, 4)[:2000])  # inside

    job, package, _, _ = export(cache)

    found = tiles_of(package)
    assert (LEVEL, 8, 8) not in found
    assert (LEVEL, 8, 4) in found
    (warning,) = [message.text for message in job.messages if message.kind is MessageKind.WARNING]
    assert warning.startswith("Selected tiles that cannot be used and are left out: 1 (level 4, row 8, column 8: ")


def test_a_delta_is_clipped_like_the_whole(cache):
    _, package, _, _ = export(cache, since=datetime(2020, 1, 1, tzinfo=UTC))
    _, whole, _, _ = export(cache)

    assert tiles_of(package) == tiles_of(whole)


def test_the_thumbnail_shows_nothing_outside_the_area(cache):
    box = a_box(0.1 * TILE)

    _, package, _, _ = export(cache, area=box)

    with zipfile.ZipFile(BytesIO(package)) as archive:
        drawn = np.asarray(Image.open(BytesIO(archive.read("thumbnail.png"))))
    assert (drawn[:, 40:] == 238).all()


def test_a_package_is_reused_only_for_an_equal_clip(cache):
    service = a_service(cache)
    clips = (None, Clip(), Clip(WHITE), Clip((0, 0, 0)))
    keys = {Export(service, replace(a_request(service, (0,)), clip=clip)).reuse_key for clip in clips}

    assert len(keys) == len(clips)


def test_an_area_that_is_too_complex_to_clip_is_refused_before_work(cache):
    runtime, service = a_runtime(cache), a_service(cache)
    teeth = [(HALF * (number / 50_000 - 1), (-1) ** number * HALF / 2) for number in range(99_000)]
    request = a_request(service, (7,), area=Area.from_rings([[teeth]], WEB_MERCATOR))

    assert runtime.submit_export(service, request, {}).tile_count
    with pytest.raises(InvalidParameterError, match="clip"):
        runtime.submit_export(service, replace(request, clip=Clip()), {})


def noise():
    """Return the tile that grows most if it is clipped."""
    body = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(pixels).save(body, "JPEG", quality=95, subsampling=0)
    return body.getvalue()


def a_comb(teeth, depth, gap):
    """Return an area with teeth from the top of the world down, each with a gap after it."""
    width = 2 * HALF / teeth
    lefts = [-HALF + number * width for number in range(teeth)]
    boxes = [(left, HALF * (1 - depth), left + width * (1 - gap), HALF) for left in lefts]
    return Area.from_rings([[[(a, b), (a, d), (c, d), (c, b)]] for a, b, c, d in boxes], WEB_MERCATOR)


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 24), st.floats(0.1, 2), st.floats(0.01, 0.9), st.integers(1, 24), st.booleans())
def test_a_fragment_of_clipped_tiles_is_never_larger_than_a_worker_may_hold(teeth, depth, gap, megabytes, is_even):
    objects, tile = memory(), noise()
    for row, column in np.ndindex(8, 8):
        objects.write(f"World/3/{column}/{row}.jpg", tile)
    runtime, service = a_runtime(objects), a_service(objects)
    limit = megabytes * 10**6
    memory_bytes = 200 * 10**6 + limit
    runtime = replace(runtime, settings=replace(runtime.settings, worker_memory_bytes=memory_bytes))
    area = a_comb(teeth, depth, gap if is_even else gap / 100)
    request = replace(a_request(service, (3,), area=area), clip=Clip())

    job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)

    if job.status is JobStatus.SUCCEEDED:
        assert job.package.size_bytes <= limit + 10**5  # one bundle, so one fragment; and the documents
    else:
        assert f"of at most {megabytes} MB" in job.messages[-1].text


def test_an_estimate_says_that_it_ignores_the_clip(cache):
    runtime, service = a_runtime(cache), a_service(cache)
    request = replace(a_request(service, (LEVEL,), area=a_triangle()), clip=Clip())

    (message,) = runtime.estimate_export(service, request, {}).messages

    assert message.text.endswith(" Tiles of the border are counted as they are before they are clipped.")


def test_tiles_of_the_border_count_as_work():
    def seconds(count):
        return worker_seconds(1_000, 0, from_files=False, recompressed=False, clipped_count=count)

    assert seconds(500) > seconds(0) == 0


@pytest.mark.parametrize(
    ("cached", "transparent", "colored"),
    [
        ("JPEG", "MIXED", "JPEG"),
        ("MIXED", "MIXED", "MIXED"),
        ("PNG", "PNG", "PNG"),
        ("PNG8", "PNG", "PNG"),
        ("PNG24", "PNG", "PNG24"),
        ("PNG32", "PNG32", "PNG32"),
    ],
)
def test_the_format_of_the_package_allows_its_tiles(cached, transparent, colored):
    assert Clip().tile_format(TileFormat(cached)) == transparent
    assert Clip(WHITE).tile_format(TileFormat(cached)) == colored


def test_a_clip_comes_back_from_the_document_of_the_export(cache):
    service = a_service(cache)
    for clip in (None, Clip(), Clip(WHITE)):
        export = Export(service, replace(a_request(service, (0,)), clip=clip))
        assert Export.from_json(export.to_json()).request.clip == clip
        assert json.loads(export.to_json())["clip"] == (clip and {"color": clip.color and list(clip.color)})
