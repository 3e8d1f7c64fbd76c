"""Every output of an export: its files, their contents, and their delivery."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporttiles.domain.export import StorageFormat
from exporttiles.domain.job import JobStatus, MessageKind, PackageFolder
from exporttiles.domain.service import TileFormat
from exporttiles.formats.bundles.v1 import read_bundlx, read_record
from exporttiles.formats.bundles.v2 import read_index
from exporttiles.formats.caches.documents import read_conf_xml
from exporttiles.messages.keys import JobKeys
from exporttiles.messages.plan import WorkItem
from tests.builders import a_request, a_service, a_tile, an_extent, put_files
from tests.fakes import a_runtime, memory, run_workflow

GOLDEN = Path(__file__).parents[2] / "golden" / "states_filled.tpk"
COMPACT, COMPACT_V2 = StorageFormat.COMPACT, StorageFormat.COMPACT_V2
OUTPUTS = {
    "World_Imagery.tpkx": (True, COMPACT_V2),
    "World_Imagery.tpk": (True, COMPACT),
    "V2/World_Imagery.zip": (False, COMPACT_V2),
    "V1/World_Imagery.zip": (False, COMPACT),
}
DATASETS = [name for name in OUTPUTS if name.endswith(".zip")]
WORLD = memory()
put_files(WORLD, 4)


def export(name, *, tiles=WORLD, service=None, levels=range(5), **options):
    """Run an export of one output; return its runtime and its job."""
    runtime, service = a_runtime(tiles), service or a_service(tiles)
    tile_package, storage_format = OUTPUTS[name]
    request = a_request(service, levels, **options)
    request = replace(request, tile_package=tile_package, storage_format=storage_format)
    return runtime, run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)


def files_of(runtime, job):
    """Return the files of the archive that a job delivered, by name and in their order."""
    assert job.status is JobStatus.SUCCEEDED, job.messages
    with zipfile.ZipFile(io.BytesIO(runtime.objects.read(job.package.key))) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        return {name: archive.read(name) for name in archive.namelist()}


def tiles_of(files):
    """Return level, row, column -> bytes, out of bundles of either kind."""
    tiles = {}
    for name, body in files.items():
        if not name.endswith(".bundle"):
            continue
        level, place = int(name.split("/")[-2][1:]), name.rpartition("/R")[2].removesuffix(".bundle")
        first_row, first_column = (int(part, 16) for part in place.split("C"))
        offsets = files.get(f"{name.removesuffix('.bundle')}.bundlx")
        starts = read_index(body).offset if offsets is None else read_bundlx(offsets)
        sizes = read_index(body).size if offsets is None else starts
        for row, column in np.argwhere(sizes > 0).tolist():
            at = int(starts[row, column])
            view = memoryview(body)[at:]
            tile = view[: int(sizes[row, column])] if offsets is None else read_record(view)
            tiles[level, first_row + row, first_column + column] = bytes(tile)
    return tiles


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_tile_lies_in_every_output_as_it_lies_in_the_cache(output):
    runtime, job = export(output)

    assert job.package.name == output.rpartition("/")[2]
    assert tiles_of(files_of(runtime, job)) == {
        (level, row, column): a_tile(level, row, column)
        for level in range(5)
        for row in range(2**level)
        for column in range(2**level)
    }


def test_a_tpk_has_the_members_of_one_by_arcmap_in_its_order():
    runtime, job = export("World_Imagery.tpk")
    with zipfile.ZipFile(GOLDEN) as archive:
        by_arcmap = [name for name in archive.namelist() if not name.endswith(".lyr")]

    assert list(files_of(runtime, job)) == by_arcmap


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("levels", "words"), [((0, 2), "level 1"), ((0, 3, 4), "levels 1-2"), ((0, 2, 4), "levels 1, 3"), ((2, 3), "")]
)
def test_levels_without_tiles_between_others_are_named(output, levels, words):
    _, job = export(output, levels=levels)

    warnings = [message.text for message in job.messages if message.kind is MessageKind.WARNING]
    assert warnings == ([f"The export holds no tiles of {words}, but of coarser and of finer levels."] if words else [])


@pytest.mark.parametrize("output", DATASETS)
def test_a_dataset_is_the_folder_of_a_cache(output):
    runtime, job = export(output)
    files = files_of(runtime, job)

    names = [name for name in files if "_alllayers" not in name]
    assert names == [f"World_Imagery/Layers/conf.{part}" for part in ("cdi", "properties", "xml")]
    bundles = {name for name in files if "_alllayers" in name}
    suffixes = (".bundle",) if "V2" in output else (".bundle", ".bundlx")
    assert bundles == {
        f"World_Imagery/Layers/_alllayers/L{level:02d}/R0000C0000{suffix}" for level in range(5) for suffix in suffixes
    }


@pytest.mark.parametrize("output", DATASETS)
def test_a_dataset_is_delivered_file_by_file_as_well(output):
    runtime, job = export(output)
    keys = JobKeys(job.job_id)

    for name, body in files_of(runtime, job).items():
        assert runtime.objects.read(keys.delivered(name)) == body


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_files_of_a_job_can_be_browsed_from_the_top(output):
    runtime, job = export(output)
    found = {}

    def walk(path):
        here = runtime.browse_job.files(job, path)
        if isinstance(here, PackageFolder):
            for name in (*here.files, *here.folders):
                walk(f"{path}/{name}" if path else name)
        else:
            found[path] = runtime.objects.read(here.key)
            assert here.size_bytes == len(found[path])

    walk("")

    archive = found.pop(job.package.name)
    assert archive == runtime.objects.read(job.package.key)
    assert found == (files_of(runtime, job) if output in DATASETS else {})


@pytest.mark.parametrize(
    "path",
    [
        *("../", "..", ".", "../../jobs", "World_Imagery/..", "World_Imagery/../World_Imagery.zip"),
        *("World_Imagery//Layers", "World_Imagery/Layers/conf", "World_Imag", "/World_Imagery.zip"),
        *("World_Imagery.zip/", "world_imagery"),
    ],
)
def test_paths_outside_of_a_job_are_not_found(path):
    runtime, job = export("V2/World_Imagery.zip", levels=(0,))

    assert runtime.browse_job.files(job, path) is None


def test_a_job_that_is_not_finished_shows_nothing():
    runtime = a_runtime(WORLD)
    service = a_service(WORLD)
    job_id = runtime.submit_export(service, a_request(service, (0,)), {}).job_id

    assert runtime.browse_job.files(runtime.jobs.get(job_id)) is None


def test_a_cancelled_dataset_leaves_nothing():
    runtime, service = a_runtime(WORLD), a_service(WORLD)
    request = replace(a_request(service, range(3)), tile_package=False)
    job_id = runtime.submit_export(service, request, {}).job_id
    for item in json.loads(runtime.objects.read(runtime.plan_export(job_id).work_items_key)):
        runtime.export_tile_range(WorkItem.from_json(item))
    assert list(runtime.objects.list(JobKeys(job_id).packages))

    runtime.cancel_export(job_id)
    job = run_workflow(runtime, job_id)

    assert job.status is JobStatus.CANCELLED
    assert list(runtime.objects.list("packages/")) == []
    assert list(runtime.objects.list(JobKeys(job_id).fragments)) == []


@pytest.mark.parametrize("output", ["World_Imagery.tpk", *DATASETS])
def test_conf_xml_lists_the_levels_from_0_to_the_finest_packed_one(output):
    service = a_service(WORLD)
    runtime, job = export(output, service=service, levels=(2, 3))
    files = files_of(runtime, job)
    (conf,) = (name for name in files if name.endswith("conf.xml"))

    info = read_conf_xml(files[conf], files[conf.replace(".xml", ".cdi")])

    assert info.tiling_scheme.lods == service.tiling_scheme.lods[:4]
    assert info.storage_format == OUTPUTS[output][1]
    assert (info.tile_format, info.compression_quality) == (TileFormat.JPEG, service.compression_quality)
    assert info.full_extent.sides == pytest.approx(service.full_extent.sides)


def test_levels_that_do_not_begin_at_0_are_counted_from_0():
    service = a_service(WORLD)
    scheme = service.tiling_scheme
    service = replace(service, tiling_scheme=replace(scheme, lods=scheme.lods[2:]), min_level=2)
    runtime, job = export("World_Imagery.tpk", service=service, levels=(3, 4))

    files = files_of(runtime, job)

    assert {level for level, _, _ in tiles_of(files)} == {1, 2}
    lods = read_conf_xml(files["v101/Layers/conf.xml"], None).tiling_scheme.lods
    assert [(lod.level, lod.resolution) for lod in lods] == [
        (level, scheme.lods[2 + level].resolution) for level in range(3)
    ]


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_same_export_gives_the_same_bytes(output):
    bodies = []
    for _ in range(2):
        runtime, service = a_runtime(WORLD), a_service(WORLD)
        object.__setattr__(runtime.submit_export, "new_job_id", lambda: "j1")
        tile_package, storage_format = OUTPUTS[output]
        request = replace(a_request(service, range(3)), tile_package=tile_package, storage_format=storage_format)
        job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
        bodies.append(runtime.objects.read(job.package.key))

    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_sparse_export_holds_the_levels_that_have_tiles(output):
    tiles = memory()
    for place in [(2, 1, 1), (4, 7, 7), (4, 7, 9)]:
        tiles.write(f"World/{place[0]}/{place[2]}/{place[1]}.jpg", a_tile(*place))
    runtime, job = export(output, tiles=tiles, levels=range(5), extent=an_extent(-180, 0, 180, 85))

    assert set(tiles_of(files_of(runtime, job))) == {(2, 1, 1), (4, 7, 7), (4, 7, 9)}
    assert any("do not exist" in message.text for message in job.messages)


def png(*, transparent):
    image = Image.effect_noise((256, 256), 60).convert("RGBA")
    image.putalpha(0 if transparent else 255)
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


def jpeg(mode, **options):
    noise = np.random.default_rng(7).integers(0, 256, (32, 32, 3), np.uint8)
    image = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC).convert(mode)
    body = io.BytesIO()
    image.save(body, "JPEG", **{"quality": 95, "comment": b"metadata", **options})
    return body.getvalue()


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_mixed_cache_keeps_its_pngs_and_its_damaged_tiles(output):
    lerc, damaged = b"Lerc2 " + bytes(90), a_tile(2, 3, 3)[:600]
    plain = {
        "color": jpeg("RGB"),
        "gray": jpeg("L"),
        "cmyk": jpeg("CMYK"),
        "progressive": jpeg("RGB", progressive=True),
        "restart": jpeg("RGB", restart_marker_rows=2),
        "png": png(transparent=False),
        "edge": png(transparent=True),
        "damaged": damaged,
        "lerc": lerc,
        "page": b"<html>503</html>",
    }
    tiles = memory()
    for number, tile in enumerate(plain.values()):
        tiles.write(f"World/2/{number % 4}/{number // 4}.jpg", tile)
    service = replace(a_service(tiles), tile_format=TileFormat.MIXED)
    runtime, job = export(output, tiles=tiles, service=service, levels=(2,), quality=40)

    packed = {4 * row + column: tile for (_, row, column), tile in tiles_of(files_of(runtime, job)).items()}
    found = {name: packed.get(number) for number, name in enumerate(plain)}

    for name in ("cmyk", "png", "edge", "damaged"):
        assert found[name] == plain[name], name
    for name in ("lerc", "page"):
        assert found[name] is None
    for name in ("color", "gray", "progressive", "restart"):
        before, after = (Image.open(io.BytesIO(part[name])) for part in (plain, found))
        assert len(found[name]) < 0.7 * len(plain[name]), name
        assert (after.mode, after.size, "comment" in after.info) == (before.mode, before.size, False)
        assert np.abs(np.asarray(after, int) - np.asarray(before, int)).mean() < 12
    warnings = [message.text for message in job.messages if message.kind is MessageKind.WARNING]
    assert any(text.startswith("Selected tiles that cannot be used and are left out: 2 (level") for text in warnings)
    assert any(
        text.startswith("Tiles that cannot be recompressed and are left as they are: 1 (level") for text in warnings
    )


@pytest.mark.parametrize("tile_format", ["PNG", "PNG8", "PNG24", "PNG32", "LERC"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_other_formats_are_copied_with_a_message(output, tile_format):
    tile = b"Lerc2 " + bytes(range(200)) if tile_format == "LERC" else png(transparent=tile_format == "PNG32")
    tiles = memory()
    tiles.write("World/1/0/0.jpg", tile)
    service = replace(
        a_service(WORLD), min_level=1, max_level=1, tile_format=TileFormat(tile_format), compression_quality=0
    )
    service = replace(service, lerc_error=0.5 if tile_format == "LERC" else 0.0)
    runtime, job = export(output, tiles=tiles, service=service, levels=(1,))

    files = files_of(runtime, job)

    assert tiles_of(files) == {(1, 0, 0): tile}
    if output.endswith(".tpkx"):
        image = json.loads(files["root.json"])["tileImageInfo"]
        assert (image["format"], image["lercError"]) == (tile_format, service.lerc_error)
    else:
        (conf,) = (name for name in files if name.endswith("conf.xml"))
        info = read_conf_xml(files[conf], None)
        assert (info.tile_format, info.lerc_error, info.compression_quality) == (tile_format, service.lerc_error, 0)
