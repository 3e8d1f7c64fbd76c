"""Every parser of external bytes, as a function of bytes, with examples of valid input.

All have the same contract: the parser returns, or raises an error of ours, in bounded time and memory.
`test_targets.py` checks it with hypothesis; `make fuzz` searches for longer, guided by coverage.
"""

import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

import numpy as np
from PIL import Image, TiffImagePlugin

from exporttiles.adapters.archives import within
from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.tile_sources import read_cache
from exporttiles.cli.vector_source import (
    drivers_of,
    encoding_of_attributes,
    put_into,
    read_head,
    rewrite_xml,
    suffix_of,
)
from exporttiles.domain.errors import ExportTilesError, SourceError
from exporttiles.domain.job import JobStatus
from exporttiles.domain.mosaic import OpenedFile, RasterFile
from exporttiles.domain.mosaic_files import MosaicFiles
from exporttiles.domain.service import CacheLayout, TileCache
from exporttiles.domain.tiling import BundleIndex, TileRange
from exporttiles.events.request_document import read_request_document
from exporttiles.formats.archives.ranged_file import RangedFile
from exporttiles.formats.bundles.v1 import BUNDLX_BYTES
from exporttiles.formats.bundles.v1 import RECORDS_OFFSET as V1_RECORDS_OFFSET
from exporttiles.formats.bundles.v2 import HEADER_BYTES, INDEX_BYTES, RECORDS_OFFSET
from exporttiles.formats.caches.documents import read_conf_xml, read_root_json
from exporttiles.formats.caches.mosaic_index import read_index, write_index
from exporttiles.formats.caches.service_descriptor import service_to_json
from exporttiles.formats.caches.tms_documents import read_tile_json, read_tile_map
from exporttiles.formats.checks.archive_check import Scope
from exporttiles.formats.checks.cache_check import check_cache_archive
from exporttiles.formats.checks.check import check_archive_file, check_folder
from exporttiles.formats.checks.database_check import check_database
from exporttiles.formats.checks.findings import Findings
from exporttiles.formats.checks.item_check import check_iteminfo, check_thumbnail
from exporttiles.formats.checks.package_check import check_package
from exporttiles.formats.checks.root_check import check_extents, check_root, check_scheme
from exporttiles.formats.esri.tiling_schemes import WEB_MERCATOR_256
from exporttiles.formats.packages import conf
from exporttiles.formats.packages.geopackage import write_geopackage
from exporttiles.formats.packages.mbtiles import write_mbtiles
from exporttiles.formats.packages.tpkx import thumbnail
from exporttiles.formats.tiles import codec, image
from exporttiles.ports.objects import StoredObject
from exporttiles.rest.areas import area_of_extent, area_of_interest
from exporttiles.rest.buffer import Buffer
from exporttiles.rest.buffered_areas import buffered_area_of_interest
from exporttiles.rest.http import Request
from exporttiles.rest.levels import ExportBy, read_levels
from exporttiles.rest.package_by import split_area
from exporttiles.rest.parameters import read_export_request
from exporttiles.rest.routes import find_route, refuse, respond
from exporttiles.usecases.inspection.inspect_cache import InspectCache
from tests.builders import a_tile
from tests.builders_rest import WORLD, a_job, a_rest_runtime, a_service
from tests.caches import put_pmtiles, put_tpk, put_tpkx, v1_files, v2_files
from tests.fakes import FakeClock, memory

GOLDEN = Path(__file__).parents[1] / "golden"
TILES = {(1, row, column): a_tile(1, row, column, quality=20) for row in range(2) for column in range(2)}
BUNDLE = BundleIndex(1, 0, 0)
BUNDLE_PATH = "L01/R0000C0000.bundle"
ALL = np.ones((128, 128), np.bool_)
SEPARATOR = b"\n--\n"
_V1_HEADER_BYTES, _BUNDLX_HEADER_BYTES = 60, 16


@dataclass(frozen=True)
class Target:
    """A parser and examples."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Objects:
    """Objects in memory, read without threads."""

    bodies: Mapping[str, bytes]

    def read(self, key):
        return self.bodies[key]

    def read_start(self, key, size_bytes):
        return memoryview(self.bodies[key])[:size_bytes], len(self.bodies[key])

    def read_many(self, keys):
        return map(self.bodies.get, keys)

    def read_ranges(self, key, ranges, version=None):
        del version
        body = memoryview(self.bodies[key])
        for start, stop in ranges:
            if not start < min(stop, len(body)):
                raise SourceError(f"{start}-{stop} of {len(body)}")
            yield body[start:stop]

    def version(self, key):
        return "1" if key in self.bodies else None

    def sizes_bytes(self, keys: Sequence[str]):
        return (len(self.bodies[key]) if key in self.bodies else None for key in keys)

    def list(self, prefix):
        return (StoredObject(key, len(body)) for key, body in sorted(self.bodies.items()) if key.startswith(prefix))


def read_tiles(bodies: Mapping[str, bytes], layout: CacheLayout, path_template: str = "") -> None:
    source = read_cache(Objects(bodies), TileCache("file:///", layout, path_template, 1))
    source.tile_sizes(BUNDLE, ALL)
    for _ in source.read_bundle(BUNDLE, ALL):
        pass


def inspect(bodies: Mapping[str, bytes], name: str = "") -> None:
    objects = within(Objects(bodies), name)
    InspectCache(objects, read_cache, WEB_MERCATOR_256)("Name", f"file:///{name}")


# Bundles: an index is long and mostly empty. The fuzzer has a few entries of it, and the rest of the file.


def packed(header: bytes, entries: Mapping[int, int], rest: bytes) -> bytes:
    return header + bytes([len(entries)]) + b"".join(struct.pack("<HQ", *each) for each in entries.items()) + rest


def unpacked(data: bytes, header_bytes: int) -> tuple[bytes, list[tuple[int, int]], bytes]:
    header, count = data[:header_bytes], data[header_bytes] if len(data) > header_bytes else 0
    table, rest = data[header_bytes + 1 :][: 10 * count], data[header_bytes + 1 + 10 * count :]
    return header, list(struct.iter_unpack("<HQ", table[: len(table) // 10 * 10])), rest


def read_bundle_v2(data: bytes) -> None:
    header, entries, rest = unpacked(data, HEADER_BYTES)
    index = np.full(INDEX_BYTES // 8, 4, "<u8")
    for slot, entry in entries:
        index[slot % len(index)] = entry
    bundle = header + index.tobytes() + rest
    with suppress(ExportTilesError):
        read_tiles({BUNDLE_PATH: bundle}, CacheLayout.COMPACT_V2)
    check_folder({f"_alllayers/{BUNDLE_PATH}": len(bundle), **_CONF_SIZES}, _opener(bundle))


def bundles_v2() -> Iterable[bytes]:
    ((_, body),) = v2_files(TILES, 16_384)
    index = np.frombuffer(body, "<u8", INDEX_BYTES // 8, HEADER_BYTES)
    entries = {int(slot): int(index[slot]) for slot in np.flatnonzero(index != 4)}
    yield packed(body[:HEADER_BYTES], entries, body[RECORDS_OFFSET:])


def read_bundle_v1(data: bytes) -> None:
    header, entries, rest = unpacked(data, _V1_HEADER_BYTES)
    bundlx_header, rest = rest[:_BUNDLX_HEADER_BYTES], rest[_BUNDLX_HEADER_BYTES:]
    offsets = np.zeros((16_384, 8), np.uint8)
    offsets.view("<u8")[:, 0] = _V1_HEADER_BYTES + 4 * np.arange(16_384)
    for slot, entry in entries:
        offsets.view("<u8")[slot % 16_384, 0] = entry
    bundlx = bundlx_header + offsets[:, :5].tobytes() + bytes(BUNDLX_BYTES - 16 - 5 * 16_384)
    bundle = header + bytes(V1_RECORDS_OFFSET - _V1_HEADER_BYTES) + rest
    read_tiles({BUNDLE_PATH: bundle, BUNDLE_PATH.replace(".bundle", ".bundlx"): bundlx}, CacheLayout.COMPACT_V1)


def bundles_v1() -> Iterable[bytes]:
    (_, body), (_, bundlx) = v1_files(TILES)
    slots = np.zeros((16_384, 8), np.uint8)
    slots[:, :5] = np.frombuffer(bundlx, np.uint8, 5 * 16_384, _BUNDLX_HEADER_BYTES).reshape(-1, 5)
    offsets = slots.view("<u8")[:, 0]
    used = np.flatnonzero(offsets >= V1_RECORDS_OFFSET)
    entries = {int(slot): int(offsets[slot]) for slot in used}
    yield packed(body[:60], entries, bundlx[:_BUNDLX_HEADER_BYTES] + body[V1_RECORDS_OFFSET:])


# Archives


def read_pmtiles(data: bytes) -> None:
    with suppress(ExportTilesError):
        read_tiles({"World.pmtiles": data}, CacheLayout.PMTILES, "World.pmtiles")
    inspect({"World.pmtiles": data}, "World.pmtiles")
    check_archive_file(RangedFile.of(BytesIO(data)), ".pmtiles", Scope())


def read_mosaic_index(data: bytes) -> None:
    files = read_index(RangedFile(len(data), lambda spans: (data[start:stop] for start, stop in spans)))
    list(files.near(WEB_MERCATOR_256, TileRange(3, 0, 8, 0, 8)))
    files.opened(range(min(len(files), 10)))


def mosaic_indexes() -> Iterable[bytes]:
    files = [RasterFile(f"{number}.tif", ((0.0, 0.0, 9e6, 9e6 + number),)) for number in range(3)]
    opened = [OpenedFile('"etag"', 1_000, {0: b"II*\0", 8: bytes(20)}) for _ in files]
    return [write_index(MosaicFiles.of(files, opened)), write_index(MosaicFiles.of([], []))]


def read_raster(data: bytes) -> None:
    inspect({"ortho.tif": data}, "ortho.tif")


def rasters() -> Iterable[bytes]:
    picture = Image.linear_gradient("L").resize((64, 48))
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)
    place = {33550: (1.0, 1.0, 0.0), 33922: (0.0, 0.0, 0.0, 500_000.0, 5_200_000.0, 0.0), 34735: keys}
    kinds = (
        ("RGB", "raw"),
        ("RGB", "tiff_adobe_deflate"),
        ("L", "tiff_lzw"),
        ("P", "zstd"),
        ("1", "raw"),
        ("RGBA", "packbits"),
        ("CMYK", "raw"),
        ("I;16", "raw"),
    )
    for mode, compression in kinds:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, values in place.items():
            tags[tag] = values
            tags.tagtype[tag] = 3 if tag == 34735 else 12
        body = BytesIO()
        picture.convert(mode).save(body, "TIFF", compression=compression, tiffinfo=tags)
        yield body.getvalue()
    jpeg = BytesIO()
    picture.convert("RGB").save(jpeg, "TIFF", compression="jpeg", tiffinfo=tags)
    yield jpeg.getvalue()


def read_database(data: bytes) -> None:
    with NamedTemporaryFile(suffix=".mbtiles") as file:
        file.write(data)
        file.flush()
        check_database(Path(file.name), Scope())
        with suppress(ExportTilesError):
            service = InspectCache(memory(), read_cache, WEB_MERCATOR_256)("World", f"file://{file.name}").service
            source, everything = read_cache(memory(), service.cache), np.ones((128, 128), np.bool_)
            for level in range(service.min_level, service.max_level + 1):
                for bundle in list(source.find_bundles(TileRange(level, 0, 256, 0, 256), 1, 1) or ())[:4]:
                    list(source.read_bundle(bundle, everything))


@cache
def databases() -> Iterable[bytes]:
    rows = [(*place, tile) for place, tile in TILES.items()]
    with TemporaryDirectory() as folder:
        mbtiles, geopackage = Path(folder, "a.mbtiles"), Path(folder, "a.gpkg")
        write_mbtiles(mbtiles, rows, {"name": "World", "format": "jpg"}, max_bytes=10**6)
        write_geopackage(geopackage, rows, a_service(), [1], WORLD, max_bytes=10**6)
        return [mbtiles.read_bytes(), geopackage.read_bytes()]


def archives_pmtiles() -> Iterable[bytes]:
    store = memory()
    put_pmtiles(store, TILES)
    yield store.read("World.pmtiles")


def read_zip(data: bytes) -> None:
    check_package(BytesIO(data))
    check_cache_archive(BytesIO(data), is_package=True)
    members = within(Objects({"World.zip": data}), "World.zip")
    for member in members.list(""):
        with suppress(ExportTilesError):
            members.read(member.key)
            list(members.read_ranges(member.key, [(0, member.size_bytes)] if member.size_bytes else []))
    inspect({"World.zip": data}, "World.zip")


@cache
def archives_zip() -> Iterable[bytes]:
    store, tile = memory(), {(1, 0, 0): TILES[1, 0, 0]}
    put_tpkx(store, tile)
    put_tpk(store, tile)
    return [store.read("World.tpkx"), store.read("World.tpk"), small_zip(), small_zip64()]


def small_zip() -> bytes:
    """An archive with some of everything."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("conf.xml", _CONF_XML[:200])
        archive.writestr("root.json", b"{}" * 100, zipfile.ZIP_DEFLATED)
        archive.writestr("tile/", b"")
        archive.writestr("0/0/0.png", blank_png())
        archive.comment = b"PK"
    return body.getvalue()


def blank_png() -> bytes:
    body = BytesIO()
    Image.new("P", (256, 256)).save(body, "PNG")
    return body.getvalue()


def small_zip64() -> bytes:
    """An archive of one document, its directory told by a ZIP64 end record."""
    name, body = b"root.json", b"{}"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, 0, len(body), len(body), len(name), 0) + name + body
    extra = struct.pack("<2H3Q", 1, 24, len(body), len(body), 0)
    sizes = (0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF)
    central = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", 45, 3, 45, 0, 0, 0, 0, 0, *sizes) + name + extra
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(local) + len(central), 1)
    return local + central + end64 + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2**32 - 1, 2**32 - 1, 0)


# Documents


def read_conf(data: bytes) -> None:
    conf, _, cdi = data.partition(SEPARATOR)
    with suppress(ExportTilesError):
        read_conf_xml(conf, cdi or None)
    bodies = {"conf.xml": conf, "conf.cdi": cdi, "_alllayers/L00/R0000C0000.bundle": _A_BUNDLE}
    check_folder({name: len(body) for name, body in bodies.items()}, lambda name: BytesIO(bodies[name]))
    inspect(bodies)


def confs() -> Iterable[bytes]:
    yield _CONF_XML + SEPARATOR + conf.write_conf_cdi(WORLD)


def read_root(data: bytes) -> None:
    findings = Findings()
    root = check_root(data, findings)
    if scheme := check_scheme(root, findings):
        check_extents(root, scheme, findings)
    check_iteminfo(data, root, None, findings)
    with suppress(ExportTilesError):
        read_root_json(data)
    inspect({"root.json": data, "tile/L00/R0000C0000.bundle": _A_BUNDLE})


def roots() -> Iterable[bytes]:
    for folder in ("arcgis-pro", "esri-usa"):
        yield (GOLDEN / folder / "root.json").read_bytes()
        yield (GOLDEN / folder / "iteminfo.json").read_bytes()


def read_tms(data: bytes) -> None:
    read_tile_json(data)
    with suppress(ExportTilesError):
        read_tile_map(data)
    for name in ("tilemapresource.xml", "metadata.json"):
        inspect({name: data, "3/4/1.png": b"\x89PNG\r\n\x1a\n"})


def tms_documents() -> Iterable[bytes]:
    yield b'{"scheme": "tms", "bounds": "0,0,90,66"}'
    for srs, profile in ((b"EPSG:3857", b"raster"), (b"EPSG:4326", b"geodetic"), (b"OSGEO:41001", b"mercator")):
        yield (
            b"<TileMap><SRS>" + srs + b'</SRS><BoundingBox minx="0" miny="0" maxx="9" maxy="9"/><Origin x="0" y="0"/>'
            b'<TileFormat width="256" height="256"/><TileSets profile="' + profile + b'">'
            b'<TileSet href="3" units-per-pixel="0.087890625" order="3"/></TileSets></TileMap>'
        )


def read_descriptor(data: bytes) -> None:
    service = ServiceCatalog(Objects({"services/Name.json": data})).get("Name")
    service_to_json(service)


def descriptors() -> Iterable[bytes]:
    yield service_to_json(a_service())


def read_paths(data: bytes) -> None:
    """Names of objects, one a line: the paths of a stranger's cache."""
    tile = TILES[1, 0, 0]
    keys = [line for line in data.decode(errors="replace").split("\n")[:64] if line]
    objects = Objects(dict.fromkeys(keys, tile))
    service = InspectCache(objects, read_cache, WEB_MERCATOR_256)("Name", "file:///x").service
    source = read_cache(objects, service.cache)
    for level in range(service.min_level, service.max_level + 1):
        source.tile_sizes(BundleIndex(level, 0, 0), np.eye(128, dtype=np.bool_))


def paths() -> Iterable[bytes]:
    yield b"World/0/0/0.png\nWorld/1/0/1.png"
    yield b"Layers/_alllayers/L00/R00000000/C00000000.jpg"
    yield b"Layers/_alllayers/L00/R0000C0000.bundle\nconf.xml"
    yield b"a/00/0/0/0.png\na/11/1/1/1.png\na/01/1/0/1.png"
    yield b"tilejson.json\nx/0/0/0.jpg\nx/1/1/1.png"


# Tiles


def read_tile(data: bytes) -> None:
    for read in (
        image.sniff,
        image.image_size,
        codec.decode,
        lambda tile: codec.recompress_jpeg(tile, 50),
        codec.estimate_jpeg_quality,
        lambda tile: thumbnail({(0, 0): tile}),
        lambda tile: check_thumbnail(tile, Findings()),
    ):
        with suppress(ExportTilesError):
            read(data)


def tiles() -> Iterable[bytes]:
    grey = Image.linear_gradient("L").resize((64, 64))
    for mode, image_format, options in (
        ("L", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"subsampling": 0, "restart_marker_blocks": 1}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("P", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("I;16", "PNG", {}),
    ):
        body = BytesIO()
        grey.convert(mode).save(body, image_format, **options)
        yield body.getvalue()
    yield b"Lerc2 \4\0\0\0" + bytes(60)


# Requests


def read_area(data: bytes) -> None:
    text = data.decode(errors="replace")
    with suppress(ExportTilesError):
        area_of_extent("exportExtent", text, a_service())
    with suppress(ExportTilesError):
        buffered_area_of_interest("areaOfInterest", text, a_service(), Buffer(10_000.0, "10 km"))
    area_of_interest("areaOfInterest", text, a_service())


def areas() -> Iterable[bytes]:
    ring = "[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]"
    yield f'{{"rings":{ring},"spatialReference":{{"wkid":4326,"latestWkid":4326}}}}'.encode()
    yield f'{{"features":[{{"geometry":{{"rings":{ring}}}}}]}},"spatialReference":{{"wkid":102100}}}}]}}'.encode()
    yield f'{{"type":"Polygon","coordinates":{ring},"crs":null}}'.encode()
    yield f'{{"type":"MultiPolygon","coordinates":[{ring},{ring}]}}'.encode()
    yield f'{{"type":"Polygon","coordinates":{ring},"crs":{{"properties":{{"name":"EPSG:4326"}}}}}}'.encode()
    yield b'{"curveRings":[[[0,0],{"c":[[1,1],[1,0]]},{"a":[[2,2],[1,2],0,1]},{"b":[[0,0],[1,5],[5,1]]}]]}'
    yield b'{"curveRings":[[[1,0,null],{"a":[[1,0],[0,0],0,1,0.5,2,0.5]}]],"spatialReference":4326}'
    yield b'{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}'
    yield b'{"paths":[[[-100,35],[-100,36]],[[1,2]]],"spatialReference":4326}'
    yield b'{"curvePaths":[[[0,0],{"c":[[1,1],[1,0]]}]],"spatialReference":4326}'
    yield b'{"features":[{"geometry":{"points":[[1,2],[3,4]]}},{"geometry":{"x":179.99,"y":"NaN"}}]}'
    yield b'{"type":"MultiLineString","coordinates":[[[179.99,89.9],[-179.99,89.9]]]}'
    yield f'{{"rings":{ring}}}\n{{"rings":{ring}}}'.encode()
    yield b'{"xmin":-100,"ymin":35,"xmax":170,"ymax":80,"spatialReference":{"wkt":"GEOGCS[]"}}'
    yield b"-1e6,0,1.5e+7,20000000"


def read_features(data: bytes) -> None:
    for part in split_area("areaOfInterest", data.decode(errors="replace"), "NAME"):
        read_area(part.text.encode())


def features() -> Iterable[bytes]:
    ring = "[[[-100,35],[-100,45],[-90,45],[-90,35],[-100,35]]]"
    a, b = (f'{{"attributes":{{"NAME":{value}}},"geometry":{{"rings":{ring}}}}}' for value in ('"a"', 7))
    yield f'{{"features":[{a},{b},{a}],"spatialReference":{{"wkid":4326}}}}'.encode()
    geometry = f'{{"type":"Polygon","coordinates":{ring}}}'
    feature = f'{{"type":"Feature","properties":{{"NAME":1e3}},"geometry":{geometry}}}'
    yield f'{{"type":"FeatureCollection","features":[{feature}],"crs":null}}'.encode()
    yield f"{feature}\n{feature}".encode()


def read_level_list(data: bytes) -> None:
    kind, _, text = data.decode(errors="replace").partition(":")
    by = {"s": ExportBy.SCALE, "r": ExportBy.RESOLUTION}.get(kind, ExportBy.LEVEL_ID)
    read_levels(text, by, WEB_MERCATOR_256)


def level_lists() -> Iterable[bytes]:
    return [b":1-4,7-9", b":0, 1, 2", b"s:591657527.591555-1e6", b"r:.5,1e-1"]


def read_several_areas(data: bytes) -> None:
    read_export_request({"areas": data.decode(errors="replace"), "overviewLevels": "0-1"}, a_service())


def several_areas() -> Iterable[bytes]:
    polygon = {"type": "Polygon", "coordinates": [[[8, 47], [9, 47], [9, 48], [8, 47]]]}
    point = {"x": 8, "y": 47, "spatialReference": 4326}
    yield json.dumps(
        [
            {"areaOfInterest": polygon, "levels": "8-14", "name": "County"},
            {"areaOfInterest": json.dumps(point), "bufferDistance": 500, "bufferUnit": "esriFeet", "levels": 15},
            {"exportExtent": "0,0,9,9", "levels": None},
            {"tiles": ["3/4/2", "120"]},
        ]
    ).encode()


def read_request_file(data: bytes) -> None:
    document = read_request_document(data, FakeClock().now())
    read_export_request(document.parameters, a_service())


def request_files() -> Iterable[bytes]:
    yield json.dumps(
        {
            "service": "World_Imagery",
            "levels": "0-7",
            "name": "district-{date}",
            "callbackData": {"order": 1},
            "optimizeTilesForSize": True,
            "compressionQuality": 60,
            "exportExtent": {"xmin": 0, "ymin": 0, "xmax": 10, "ymax": 10, "spatialReference": {"wkid": 4326}},
            "key": "survey",
            "keep": 3,
            "since": "last",
        }
    ).encode()


def read_http(data: bytes) -> None:
    """A request as a client sends it; every reply is whole, and none is an error of ours."""
    head, _, body = data.decode(errors="replace").partition("\n\n")
    line, *fields = head.split("\n")
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    request = Request(method, path, query, {"host": "tiles.example.org", **headers}, body)
    runtime = _runtime()
    done = a_job(JobStatus.SUCCEEDED)
    runtime.jobs.jobs.clear()
    runtime.jobs.create(replace(done, expires_at=datetime.max.replace(tzinfo=UTC)))
    try:
        response = respond(find_route(request), runtime)
    except ExportTilesError as error:
        response = refuse(find_route(request), error)
    if any("\n" in value or "\r" in value for value in response.headers.values()):
        raise ValueError("a header of two lines")
    if response.headers.get("content-type", "").startswith("text/html") and _STRANGE_SCRIPT.search(response.body):
        raise ValueError("a page with a script that is not ours")


def http_requests() -> Iterable[bytes]:
    service = "/arcgis/rest/services/World_Imagery/ImageServer"
    yield b"GET /arcgis/rest/services?f=html"
    yield f"GET {service}/tile/3/1/2".encode()
    yield f"GET {service}/tilemap/3/0/0/8/8?f=pjson".encode()
    yield f"POST {service}/exportTiles\ncontent-type: application/x-www-form-urlencoded\n\nlevels=0-3&f=json".encode()
    yield f"POST {service}/estimateExportTilesSize?f=json&levels=0-2&exportExtent=0,0,1,1".encode()
    yield f"GET {service}/exportTiles/jobs/jeeb938cbb2774269a7ca9910df4ee700/results/out_service_url?f=html".encode()
    files = "/arcgis/rest/directories/arcgisoutput/World_Imagery_ImageServer/jeeb938cbb2774269a7ca9910df4ee700"
    yield f"GET {files}?f=html\nhost: [::1]:80".encode()
    yield f"GET {files}/World_Imagery.tpkx".encode()
    yield f"HEAD {files}/World_Imagery/Layers/conf.xml".encode()
    yield b"POST /arcgis/rest/generateToken\naccept: text/html\n\nusername=a&password=b"


def read_vector_source(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file, empty = Path(folder, "a.shp"), Path(folder, "empty")
        file.write_bytes(data)
        empty.mkdir()
        unpacked, _ = put_into(empty, file, None)
        suffix = suffix_of(drivers_of(read_head(unpacked)))
        encoding_of_attributes(unpacked)
        if suffix in (".kml", ".gpx"):
            rewrite_xml(unpacked)


def vector_sources() -> Iterable[bytes]:
    placemark = b"<Placemark><Point><coordinates>1,2</coordinates></Point></Placemark><GroundOverlay/>"
    kml = b'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>' + placemark + b"</Document></kml>"
    yield kml
    yield b"<gpx><wpt lat='1' lon='2'/></gpx>"
    yield b"\0\0\x27\x0a" + bytes(96)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w", compression) as archive:
            archive.writestr("doc.kml", kml)
            archive.writestr("style/icon.png", b"")
        yield packed.getvalue()


_STRANGE_SCRIPT = re.compile(
    rb'<script(?! type="module" src="[^"<>]*/static/[A-Z0-9a-z-]+\.js"></script>)', re.IGNORECASE
)
_runtime = cache(a_rest_runtime)
_CONF_XML = conf.write_conf_xml(
    conf.scheme_from_0(WEB_MERCATOR_256, 3),
    "esriMapCacheStorageModeCompactV2",
    a_service().tile_format,
    compression_quality=75,
)
_CONF_SIZES = {"conf.xml": len(_CONF_XML)}
_A_BUNDLE = next(body for _, body in v2_files({(0, 0, 0): TILES[1, 0, 0]}, 16_384))


def _opener(bundle: bytes) -> Callable[[str], BytesIO]:
    return lambda name: BytesIO(_CONF_XML if name == "conf.xml" else bundle)


TARGETS = {
    "bundle_v2": Target(read_bundle_v2, bundles_v2),
    "bundle_v1": Target(read_bundle_v1, bundles_v1),
    "pmtiles": Target(read_pmtiles, archives_pmtiles),
    "raster": Target(read_raster, rasters),
    "mosaic_index": Target(read_mosaic_index, mosaic_indexes),
    "database": Target(read_database, databases),
    "zip": Target(read_zip, archives_zip),
    "conf": Target(read_conf, confs),
    "root_json": Target(read_root, roots),
    "tms": Target(read_tms, tms_documents),
    "descriptor": Target(read_descriptor, descriptors),
    "paths": Target(read_paths, paths),
    "tile": Target(read_tile, tiles),
    "area": Target(read_area, areas),
    "features": Target(read_features, features),
    "vector_source": Target(read_vector_source, vector_sources),
    "levels": Target(read_level_list, level_lists),
    "several_areas": Target(read_several_areas, several_areas),
    "request_file": Target(read_request_file, request_files),
    "http": Target(read_http, http_requests),
}
