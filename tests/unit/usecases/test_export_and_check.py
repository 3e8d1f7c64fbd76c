"""Exports without warnings pass `exporttiles check`, for any cache."""

import io
from dataclasses import replace
from functools import cache

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.adapters.tile_sources import read_cache
from exporttiles.domain.area import Area
from exporttiles.domain.errors import ExportTilesError
from exporttiles.domain.export import ESRI_FORMATS, ExportArea, StorageFormat
from exporttiles.domain.extent import Extent
from exporttiles.domain.job import JobStatus, MessageKind
from exporttiles.domain.service import TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.domain.tiling import LevelOfDetail, TilingScheme
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.check import check_archive_file, check_folder
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.packages.conf import write_conf_cdi, write_conf_xml
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.builders import a_request
from tests.caches import v1_files, v2_files
from tests.fakes import a_runtime, memory, run_workflow
from tests.unit.usecases.test_outputs import OUTPUTS, files_of

GRIDS = {
    # wkid, latest wkid -> origin, and the resolution of the coarsest level
    (102100, 3857): (-20037508.342787, 20037508.342787, 156543.033928),
    (4326, 4326): (-180.0, 90.0, 0.703125),
    (2193, 2193): (-4020900.0, 19998100.0, 132291.9312505292),
    (25832, 25832): (-5120900.0, 9998100.0, 66145.9656252646),
}
MISSING = "do not exist in the cache"


@cache
def a_tile(image_format, side, colour):
    body = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 128, 255 - colour)).save(body, image_format)
    return body.getvalue()


@st.composite
def schemes(draw):
    """Esri's levels, computed ones, and schemes of any steps; numbered from 0 or not."""
    (wkid, latest), (x, y, coarsest) = draw(st.sampled_from(sorted(GRIDS.items())))
    first, count, begin = draw(st.integers(0, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    dpi = draw(st.sampled_from([96, 90]))
    exact = wkid == 102100 and draw(st.booleans())
    if exact:
        lods = tuple(replace(lod, level=first + at) for at, lod in enumerate(WEB_MERCATOR_256.lods[begin:][:count]))
    else:
        steps = draw(st.lists(st.sampled_from([1.5, 2.0, 2.0, 2.5, 4.0]), min_size=count, max_size=count))
        nudge = draw(st.sampled_from([1.0, 1 + 3e-13, 1 - 2e-9, 1 + 1e-4, 1.1]))
        lods, resolution = (), coarsest * nudge / 2 ** (begin + 1)
        per_metre = 111319.49 if wkid == 4326 else 1.0
        for at, step in enumerate(steps):
            lods += (LevelOfDetail(first + at, resolution, resolution * per_metre * dpi / 0.0254),)
            resolution /= step
    side = draw(st.sampled_from([128, 256, 512]))
    return TilingScheme(SpatialReference(wkid, latest), x, y, side, dpi, lods)


@st.composite
def tiles_of(draw, scheme, tile_format):
    """A few tiles of some levels, near each other as a map's are; one may have another size."""
    middle_x, middle_y = (scheme.origin_x + 0.6 * abs(scheme.origin_x), scheme.origin_y - 0.6 * abs(scheme.origin_y))
    levels = draw(st.lists(st.sampled_from(scheme.lods), min_size=1, max_size=4, unique=True))
    tiles = {}
    for lod in levels:
        span = lod.resolution * scheme.tile_size
        row, column = int((scheme.origin_y - middle_y) / span), int((middle_x - scheme.origin_x) / span)
        for at in range(draw(st.integers(1, 3))):
            odd = draw(st.sampled_from([0] * 9 + [8]))
            kind = draw(st.sampled_from({"MIXED": ["JPEG", "PNG"]}.get(tile_format, [tile_format.removesuffix("24")])))
            tiles[lod.level, row + at % 2, column + at // 2] = a_tile(kind, scheme.tile_size + odd, at)
    return tiles


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_exports_without_warnings_pass_the_check(data):
    scheme, storage = data.draw(schemes()), data.draw(st.sampled_from(sorted(ESRI_FORMATS)))
    tile_format = data.draw(st.sampled_from([TileFormat.JPEG, TileFormat.PNG24, TileFormat.MIXED]))
    tiles = data.draw(tiles_of(scheme, tile_format))
    objects = memory()
    files = v1_files(tiles) if storage is StorageFormat.COMPACT else v2_files(tiles, 16_384)
    for path, body in files:
        objects.write(f"_alllayers/{path}", body)
    objects.write("conf.xml", write_conf_xml(scheme, storage, tile_format, compression_quality=75))
    place = data.draw(st.sampled_from(sorted(tiles)))
    box = scheme.tile_extent(*place)
    beyond = 0.05 * abs(scheme.origin_x)  # of the origin, as the extents of many services of ArcGIS reach
    far = Extent(scheme.origin_x - beyond, box.ymin, box.xmax, scheme.origin_y + beyond, box.spatial_reference)
    if told := data.draw(st.sampled_from([None, box, far])):
        objects.write("conf.cdi", write_conf_cdi(told))
    try:
        found = InspectCache(objects, read_cache, WEB_MERCATOR_256)("Map", "memory:///")
    except ExportTilesError:
        event("refused")
        return
    service, output = found.service, data.draw(st.sampled_from(sorted(OUTPUTS)))
    levels = sorted(data.draw(st.sets(st.sampled_from([lod.level for lod in scheme.lods]), min_size=1)))
    quality = data.draw(st.sampled_from([None, 30])) if tile_format is TileFormat.JPEG else None
    runtime = a_runtime(objects)
    try:
        request = a_request(service, tuple(levels), quality=quality)
        tile_package, storage_format = OUTPUTS[output]
        request = replace(request, tile_package=tile_package, storage_format=storage_format)
        if data.draw(st.booleans()):
            xmin, ymin, xmax, ymax = box.sides
            share = data.draw(st.sampled_from([1.0, 0.5, 1e-4]))
            part = Extent(xmin, ymin, xmin + (xmax - xmin) * share, ymin + (ymax - ymin) * share, box.spatial_reference)
            request = replace(request, areas=(ExportArea(Area.from_extent(part), tuple(levels)),))
        job = run_workflow(runtime, runtime.submit_export(service, request, {}).job_id)
    except ExportTilesError as error:
        event(str(error)[:40])
        return
    if job.status is not JobStatus.SUCCEEDED:
        assert "damaged" not in job.messages[-1].text
        event("nothing there")
        return

    archive = RangedFile.of(io.BytesIO(runtime.objects.read(job.package.key)))
    reports = [check_archive_file(archive, f".{output.rpartition('.')[2]}", Scope())]
    if not tile_package:
        delivered = files_of(runtime, job)
        sizes_bytes = {name: len(body) for name, body in delivered.items()}
        reports.append(check_folder(sizes_bytes, lambda name: io.BytesIO(delivered[name])))
    warnings = [m.text for m in (*found.messages, *job.messages) if m.kind is MessageKind.WARNING]
    warnings = [text for text in warnings if MISSING not in text]
    event("warned" if warnings else "sound")
    assert warnings or [finding for report in reports for finding in report.findings] == []
