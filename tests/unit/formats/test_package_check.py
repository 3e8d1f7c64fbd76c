"""Checking tile packages: every single fault is reported."""

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from exporttiles.domain.service import TileFormat
from exporttiles.formats.archives.zip_writer import ZipMember, central_directory, local_header
from exporttiles.formats.checks.findings import MAX_FINDINGS_PER_PATH, Finding
from exporttiles.formats.checks.package_check import check_package
from tests.oracles.build_package import a_service, a_tile, build_members, build_package, pack

GOLDEN = Path(__file__).parents[2] / "golden"
PLACES = [(4, 3, 5), (4, 4, 5), (4, 4, 6), (5, 7, 11)]
BUNDLE = "tile/L04/R0000C0000.bundle"
MEMBERS = build_members(a_service(), {place: a_tile(place) for place in PLACES})
SOUND = pack(MEMBERS)
SLOT = 64 + 8 * (128 * 3 + 5)  # of tile (4, 3, 5)


def found(data):
    return check_package(BytesIO(data)).findings


def changed(name, change):
    """The sound package with one member changed."""
    return pack({**MEMBERS, name: change(MEMBERS[name])})


def with_json(name, *path, value=None, drop=False):
    def change(data):
        document = inner = json.loads(data)
        for key in path[:-1]:
            inner = inner[key]
        if drop:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        return json.dumps(document).encode()

    return changed(name, change)


def with_bytes(name, at, new):
    return changed(name, lambda data: data[:at] + new + data[at + len(new) :])


def with_raw(at, new):
    """The sound package with some bytes of the archive itself changed; `at` may count from the end."""
    at %= len(SOUND)
    return SOUND[:at] + new + SOUND[at + len(new) :]


def renamed(old, new):
    return pack({new if name == old else name: data for name, data in MEMBERS.items()})


def rezipped(**options):
    body = BytesIO()
    with zipfile.ZipFile(body, "w", **options) as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
    return body.getvalue()


def streamed():
    """As a writer makes it that cannot seek: sizes follow the members."""

    class Pipe(BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError

    body = Pipe()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
    return body.getvalue()


def with_gap():
    first, *others = MEMBERS
    pieces, entries, offset = [], [], 0
    for name in (first, *others):
        member = ZipMember(name, len(MEMBERS[name]), zipfile.crc32(MEMBERS[name]))
        entries.append((member, offset))
        pieces += [local_header(member), MEMBERS[name]]
        offset += len(pieces[-2]) + len(pieces[-1])
    directory = bytearray(central_directory(entries))
    at = 0
    for _ in entries:  # move all members 7 bytes back
        name_size = struct.unpack_from("<H", directory, at + 28)[0]
        (old,) = struct.unpack_from("<I", directory, at + 42)
        struct.pack_into("<I", directory, at + 42, old + 7)
        at += 46 + name_size
    struct.pack_into("<I", directory, len(directory) - 6, offset + 7)
    return b"1234567" + b"".join(pieces) + bytes(directory)


def with_zip64_end(place=None):
    """The sound package with the end records of a large one."""
    size, end = len(SOUND) - 22 - DIRECTORY, len(SOUND) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 20, 45, 0, 0, 5, 5, size, DIRECTORY)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end if place is None else place, 1)
    return SOUND[:end] + record + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 5, 5, size, 0xFFFFFFFF, 0)


def with_zip64_sizes():
    """As a writer makes it that expects large members: wide sizes in the local headers."""
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, data in MEMBERS.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(data)
    return body.getvalue()


def with_a_long_last_member():
    data = bytearray(SOUND)
    for at in (SOUND.rindex(b"PK\3\4") + 18, SOUND.rindex(b"PK\1\2") + 20):
        (size,) = struct.unpack_from("<I", data, at)
        struct.pack_into("<2I", data, at, size + 10, size + 10)
    return bytes(data)


def a_jpeg_thumbnail(_):
    body = BytesIO()
    Image.new("RGB", (200, 133)).save(body, "JPEG")
    return body.getvalue()


def a_large_thumbnail(_):
    body = BytesIO()
    Image.new("RGB", (400, 266)).save(body, "PNG")
    return body.getvalue()


def recomputed(lods):
    return [{**lod, "resolution": 156543.03392804097 / 2 ** lod["level"]} for lod in lods]


def jpeg_tiles(places):
    return {place: a_tile(place, image_format="JPEG", mode="RGB") for place in places}


LODS = json.loads(MEMBERS["root.json"])["tileInfo"]["lods"]
DIRECTORY = SOUND.index(b"PK\1\2")

FAULTS = {
    # the archive
    "not a zip": (b"GIF89a" * 100, "", "not a zip archive"),
    "cut short": (SOUND[:-1000], "", "zip archive whose end is missing"),
    "with a comment": (SOUND + b"hello", "", "a comment or bytes behind its end"),
    "deflated": (rezipped(compression=zipfile.ZIP_DEFLATED), "root.json", "only stored members"),
    "deflated at level 0": (
        rezipped(compression=zipfile.ZIP_DEFLATED, compresslevel=0),
        "root.json",
        "only stored members",
    ),
    "data descriptors": (streamed(), "root.json", "data descriptor"),
    "flags": (with_raw(DIRECTORY + 8, b"\0\x08"), "iteminfo.json", "flags are 0x0800"),
    "encrypted": (with_raw(DIRECTORY + 8, b"\x01\0"), "iteminfo.json", "encrypted"),
    "version": (with_raw(DIRECTORY + 6, b"\x3f"), "iteminfo.json", "asks for zip version 6.3"),
    "two sizes": (with_raw(DIRECTORY + 24, b"\0\0"), "iteminfo.json", "two sizes differ"),
    "a name beyond ASCII": (with_raw(DIRECTORY + 46, b"\xc3"), "\\xc3teminfo.json", "not plain ASCII"),
    "a name twice": (pack({**MEMBERS, "ROOT.json": b"{}"}), "ROOT.json", "differs from it in capitals alone"),
    "local flags": (with_raw(6, b"\0\x08"), "iteminfo.json", "differ in flags"),
    "local name": (with_raw(30, b"I"), "iteminfo.json", "differ in name"),
    "local checksum": (with_raw(14, b"\0\0\0\0"), "iteminfo.json", "differ in crc32"),
    "checksum": (with_raw(60, b"?"), "iteminfo.json", "checksum (CRC-32) is wrong"),
    "no local header": (with_raw(0, b"XX"), "iteminfo.json", "no local header at byte 0"),
    "overlap": (
        with_raw(SOUND.rindex(b"PK\1\2") + 42, b"\0\0\0\0"),
        BUNDLE.replace("L04", "L05"),
        "inside the member before",
    ),
    "gap": (with_gap(), "iteminfo.json", "7 bytes before it belong to no member"),
    "member count": (with_raw(-12, b"\6"), "", "holds 5 of 6 members"),
    "place of the directory": (with_raw(-6, b"\xff\xff\xff\x7f"), "", "central directory is not where"),
    "place of the ZIP64 end": (with_zip64_end(1234), "", "ZIP64 end record is not where"),
    "no ZIP64 end": (with_raw(-6, b"\xff\xff\xff\xff"), "", "central directory is not where"),
    "a member over the directory": (
        with_a_long_last_member(),
        BUNDLE.replace("L04", "L05"),
        "reaches into the central directory",
    ),
    "several files": (with_raw(-18, b"\1"), "", "split into several files"),
    # names
    "root.json in capitals": (renamed("root.json", "Root.json"), "Root.json", "look for root.json, in lower case"),
    "no iteminfo.json": (renamed("iteminfo.json", "tile/x"), "iteminfo.json", "missing"),
    "no thumbnail": (renamed("thumbnail.png", "thumb.png"), "thumbnail.png", "missing"),
    "a strange member": (pack({**MEMBERS, "readme.txt": b"hi"}), "readme.txt", "no place"),
    "level without padding": (
        renamed(BUNDLE, BUNDLE.replace("L04", "L4")),
        BUNDLE.replace("L04", "L4"),
        "not the path",
    ),
    "bundle in capitals": (renamed(BUNDLE, "tile/L04/R00A0C0000.bundle"), "tile/L04/R00A0C0000.bundle", "not the path"),
    "bundle off the grid": (
        renamed(BUNDLE, "tile/L04/R0040C0000.bundle"),
        "tile/L04/R0040C0000.bundle",
        "not the path",
    ),
    # root.json
    "not JSON": (changed("root.json", lambda data: data[:-600]), "root.json", "not JSON"),
    "byte order mark": (changed("root.json", lambda data: b"\xef\xbb\xbf" + data), "root.json", "byte order mark"),
    "deep JSON": (changed("root.json", lambda _: b"[" * 200_000), "root.json", "not JSON"),
    "list": (changed("root.json", lambda _: b"[]" + b" " * 600), "root.json", "not a JSON object"),
    "short": (changed("root.json", lambda _: b"{}"), "root.json", "2 bytes; GDAL needs 512"),
    "very late path": (
        changed("root.json", lambda data: b'{"layers":[],"tileInfo":{},"x":"' + b"x" * 9000 + b'",' + data[1:]),
        "root.json",
        "not in the first 8,192 bytes",
    ),
    "late path": (
        changed("root.json", lambda data: b'{"layers":[],"x":"' + b"x" * 2000 + b'",' + data[1:]),
        "root.json",
        "not in the first 1,024 bytes",
    ),
    "path with a slash": (with_json("root.json", "tileBundlesPath", value="./tile/"), "root.json", "'./tile/'"),
    "packet size": (with_json("root.json", "storageInfo", "packetSize", value=64), "root.json", "packetSize is 64"),
    "storage format": (
        with_json("root.json", "storageInfo", "storageFormat", value="esriMapCacheStorageModeCompact"),
        "root.json",
        "storageFormat is",
    ),
    "spelling of a key": (with_json("root.json", "storageInfo", drop=True), "root.json", "storageInfo is missing"),
    "type of a key": (with_json("root.json", "minLOD", value="4"), "root.json", "minLOD is '4'"),
    "truth as a number": (with_json("root.json", "minLOD", value=True), "root.json", "minLOD is True"),
    "version of root.json": (with_json("root.json", "version", value=2.0), "root.json", "version is 2.0"),
    "format": (with_json("root.json", "tileImageInfo", "format", value="webp"), "root.json", "format is 'webp'"),
    "WebP": (with_json("root.json", "tileImageInfo", "format", value="WEBP"), "root.json", "format is 'WEBP'"),
    "quality": (
        with_json("root.json", "tileImageInfo", "compressionQuality", value=101),
        "root.json",
        "101, not 0-100",
    ),
    "minLOD": (
        with_json("root.json", "minLOD", value=0),
        "root.json",
        "minLOD is 0; the first level with bundles is 4",
    ),
    "maxLOD": (
        with_json("root.json", "maxLOD", value=19),
        "root.json",
        "maxLOD is 19; the last level with bundles is 5",
    ),
    "units": (with_json("root.json", "units", value="esriFeet"), "root.json", "not 'esriMeters'"),
    "one id": (
        with_json("root.json", "spatialReference", "latestWkid", drop=True),
        "root.json",
        "spatialReference has a spatial reference without wkid and latestWkid",
    ),
    "another reference": (
        with_json("root.json", "spatialReference", value={"wkid": 4326, "latestWkid": 4326}),
        "root.json",
        "not the one of tileInfo",
    ),
    "no such reference": (
        with_json("root.json", "tileInfo", "spatialReference", value={"wkid": 1, "latestWkid": 1}),
        "root.json",
        "tileInfo cannot be used",
    ),
    "a reference that is a number": (
        with_json("root.json", "tileInfo", "spatialReference", value=102100),
        "root.json",
        "tileInfo has a spatial reference without wkid",
    ),
    "an extent's reference that is a number": (
        with_json("root.json", "fullExtent", "spatialReference", value=7),
        "root.json",
        "fullExtent cannot be used: No coordinate system is known as '7'",
    ),
    "oblong tiles": (with_json("root.json", "tileInfo", "cols", value=512), "root.json", "must be square"),
    "no lods": (with_json("root.json", "tileInfo", "lods", value=[]), "root.json", "tileInfo.lods has 0 levels"),
    "negative resolution": (
        with_json("root.json", "tileInfo", "lods", 3, "resolution", value=-1.0),
        "root.json",
        "tileInfo cannot be used: resolution of level 3 '-1.0' is not a number greater than 0.",
    ),
    "infinite origin": (
        with_json("root.json", "tileInfo", "origin", "x", value=1e999),
        "root.json",
        "tileInfo cannot be used: tileInfo.origin.x 'Infinity' is not a number.",
    ),
    "levels from fine to coarse": (
        with_json("root.json", "tileInfo", "lods", value=LODS[::-1]),
        "root.json",
        "not in order and without gaps: level 4 stands behind level 5",
    ),
    "packed level not in the scheme": (
        with_json("root.json", "tileInfo", "lods", value=LODS[:5]),
        "root.json",
        "tiles of level 5, for which the tiling scheme has no place",
    ),
    "levels upside down": (
        with_json("root.json", "tileInfo", "lods", 5, "resolution", value=LODS[4]["resolution"]),
        "root.json",
        "Level 5 is not finer than level 4",
    ),
    "recomputed levels": (
        with_json("root.json", "tileInfo", "lods", value=recomputed(LODS)),
        "root.json",
        "Level 0: resolution 156543.03392804097 is almost Esri's 156543.033928",
    ),
    "empty extent": (with_json("root.json", "fullExtent", "xmax", value=-3e7), "root.json", "fullExtent is empty"),
    "extent without a side": (with_json("root.json", "fullExtent", "xmax", drop=True), "root.json", "cannot be used"),
    "extent in degrees": (
        with_json("root.json", "initialExtent", "spatialReference", value={"wkid": 4326, "latestWkid": 4326}),
        "root.json",
        "initialExtent is in another spatial reference",
    ),
    "extent beyond the grid": (
        with_json("root.json", "fullExtent", "xmin", value=-2.1e7 - 156543),
        "root.json",
        "beyond the origin",
    ),
    "extent that is not of this world": (
        with_json("root.json", "fullExtent", "xmax", value=1e12),
        "iteminfo.json",
        "not the fullExtent of root.json in degrees",
    ),
    "endless document": (changed("root.json", lambda data: data.ljust(2**24 + 1)), "root.json", "is not read"),
    # iteminfo.json
    "another name": (with_json("iteminfo.json", "name", value="Mars"), "iteminfo.json", "name is 'Mars', not 'World'"),
    "lower-case id": (
        with_json("iteminfo.json", "guid", value="8ed51a33-c519-4ad5-8cc8-dc4045deb4ce"),
        "iteminfo.json",
        "guid",
    ),
    "id in braces": (with_json("iteminfo.json", "guid", value="{8ED51A33}"), "iteminfo.json", "not an upper-case UUID"),
    "keywords": (with_json("iteminfo.json", "typeKeywords", value=["tpkx"]), "iteminfo.json", "typeKeywords lacks"),
    "tags as a list": (with_json("iteminfo.json", "tags", value=[]), "iteminfo.json", "tags is []"),
    "type": (with_json("iteminfo.json", "type", value="Tile Package"), "iteminfo.json", "not 'Compact Tile Package'"),
    "extent as a list": (
        with_json("iteminfo.json", "extent", value=[0, 0, 1, 1]),
        "iteminfo.json",
        "extent is [0, 0, 1, 1]",
    ),
    "extent in metres": (
        with_json("iteminfo.json", "extent", value=json.loads(MEMBERS["root.json"])["fullExtent"]),
        "iteminfo.json",
        "another spatial reference",
    ),
    "the world as extent": (
        with_json(
            "iteminfo.json",
            "extent",
            value={
                **dict(zip(("xmin", "ymin", "xmax", "ymax"), (-180, -90, 180, 90), strict=True)),
                "spatialReference": {"wkid": 4326, "latestWkid": 4326},
            },
        ),
        "iteminfo.json",
        "not the fullExtent of root.json in degrees",
    ),
    # thumbnail.png
    "thumbnail is a JPEG": (changed("thumbnail.png", a_jpeg_thumbnail), "thumbnail.png", "not a PNG"),
    "large thumbnail": (changed("thumbnail.png", a_large_thumbnail), "thumbnail.png", "not 200 x 133 pixels"),
    "damaged thumbnail": (changed("thumbnail.png", lambda data: data[:60]), "thumbnail.png", "cannot be decoded"),
    # bundles
    "no bundles": (pack({name: MEMBERS[name] for name in list(MEMBERS)[:3]}), "", "no bundles"),
    "bundle too short": (
        changed(BUNDLE, lambda data: data[:100]),
        BUNDLE,
        "cut off in its index: it has 100 bytes",
    ),
    **{
        f"header word {at}": (with_bytes(BUNDLE, at, b"\x63"), BUNDLE, "header has the")
        for at in (0, 4, 8, 12, 16, 24, 32, 36, 40, 44, 48, 52, 56, 60)
    },
    "record count of the specification": (
        with_bytes(BUNDLE, 4, b"\0\x40"),
        BUNDLE,
        "record count 16384; ArcGIS writes 0",
    ),
    "empty slot 0": (with_bytes(BUNDLE, 64, bytes(8)), BUNDLE, "1 empty slots of the index are not 4"),
    "empty bundle": (
        changed(BUNDLE, lambda data: data[:64] + struct.pack("<Q", 4) * 16_384 + data[131_136:]),
        BUNDLE,
        "holds no tiles",
    ),
    "tile outside": (with_bytes(BUNDLE, SLOT, b"\xff\xff\xff\xff"), BUNDLE, "tile lies outside the bundle's records"),
    "tile before the records": (with_bytes(BUNDLE, SLOT, bytes(5)), BUNDLE, "row 3, column 5 of the bundle"),
    "size in the index": (with_bytes(BUNDLE, SLOT + 5, b"\x10\0\0"), BUNDLE, "Row 3, column 5: the size prefix is"),
    "size prefix": (with_bytes(BUNDLE, 131_136, bytes(4)), BUNDLE, "Row 3, column 5: the size prefix is 0"),
    "shared record": (with_bytes(BUNDLE, 64, MEMBERS[BUNDLE][SLOT : SLOT + 8]), BUNDLE, "1 records overlap"),
    "no image": (with_bytes(BUNDLE, 131_140, b"XXXX"), BUNDLE, "the tile is in an unknown format"),
    "another format": (
        build_package(a_service(tile_format=TileFormat.PNG), jpeg_tiles(PLACES)),
        BUNDLE,
        "the tile is JPEG; the package's format is PNG",
    ),
    "another tile size": (
        build_package(a_service(), {place: a_tile(place, size=512) for place in PLACES}),
        BUNDLE,
        "the tile has 512 x 512 pixels instead of 256 x 256",
    ),
    "outside fullExtent": (
        renamed(BUNDLE, "tile/L04/R0080C0000.bundle"),
        "tile/L04/R0080C0000.bundle",
        "3 of 3 tiles lie outside fullExtent",
    ),
}


def test_a_package_of_ours_is_sound():
    report = check_package(BytesIO(SOUND))

    assert report.findings == ()
    assert report.tile_counts == {4: 3, 5: 1}
    assert report.size_bytes == len(SOUND)


@pytest.mark.parametrize(("data", "path", "text"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_reported(data, path, text):
    findings = found(data)

    assert any(finding.path == path and text in finding.text for finding in findings), findings


@pytest.mark.parametrize("data", [with_zip64_end(), with_zip64_sizes()], ids=["end records", "local headers"])
def test_zip64_is_no_fault(data):
    assert found(data) == ()


@pytest.mark.parametrize(
    ("tile_format", "tiles"),
    [
        (TileFormat.JPEG, jpeg_tiles(PLACES)),
        (TileFormat.MIXED, {**jpeg_tiles(PLACES[:2]), **{place: a_tile(place) for place in PLACES[2:]}}),
        (TileFormat.PNG24, {place: a_tile(place, mode="RGB") for place in PLACES}),
        (TileFormat.LERC, {place: b"Lerc2 " + bytes(90) for place in PLACES}),
    ],
)
def test_every_format_can_be_sound(tile_format, tiles):
    assert found(build_package(a_service(tile_format=tile_format, quality=75), tiles)) == ()


@pytest.mark.parametrize("first", [1, 4])
def test_levels_may_begin_with_any_number(first):
    """GDAL reads such packages: it looks for the folders minLOD to maxLOD."""
    assert found(with_json("root.json", "tileInfo", "lods", value=LODS[first:])) == ()


def test_levels_that_are_not_packed_may_be_missing():
    assert found(with_json("root.json", "tileInfo", "lods", value=LODS[:2] + LODS[4:])) == ()


def test_packages_by_arcgis_have_only_known_findings():
    def members(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "LICENSE.txt")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    assert set(found(pack(members(GOLDEN / "arcgis-pro")))) == {
        Finding("root.json", "maxLOD is 5; the last level with bundles is 0."),  # only level 0 is kept as a golden file
        Finding("thumbnail.png", "It is not a PNG."),
    }
    assert set(found(pack(members(GOLDEN / "esri-usa")))) == {
        Finding("root.json", "maxLOD is 5; the last level with bundles is 2."),
        Finding("root.json", "There are no bundles of level 1, though of coarser and of finer levels."),
        Finding(
            "tile/L00/R0000C0000.bundle",
            "Row 0, column 0: the tile is in an unknown format; the package's format is PNG.",
        ),
    }


def test_the_findings_of_one_member_are_limited():
    places = [(9, row, column) for row in range(16) for column in range(16)]

    findings = found(build_package(a_service(), jpeg_tiles(places)))

    assert len(findings) == MAX_FINDINGS_PER_PATH + 1
    assert "More faults" in findings[-1].text


def test_members_that_share_bytes_are_not_read():
    """Else a small file could cost hours: thousands of members, each as long as the file."""
    member = ZipMember("tile/a", 1000, 0)
    body = local_header(member) + bytes(1000)
    header = central_directory([(member, 0)])[:52]

    findings = found(body + header * 500 + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 500, 500, 52 * 500, len(body), 0))

    assert Finding("tile/a", "It begins at byte 0, inside the member before it.") in findings


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_bytes_upset_the_checker(data):
    start, stop = data.draw(st.sampled_from([(0, 6_000), (DIRECTORY, len(SOUND)), (len(SOUND) - 22, len(SOUND))]))
    package = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 5))):
        package[data.draw(st.integers(start, stop - 1))] = data.draw(st.integers(0, 255))

    assert isinstance(found(bytes(package)), tuple)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        [("tileInfo",), ("tileInfo", "lods"), ("fullExtent",), ("spatialReference",), ("tileInfo", "origin")]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["x", "y", "xmin", "wkid", "level", "resolution", "scale"]), inner, max_size=4
            )
        ),
        max_leaves=6,
    ),
)
def test_no_document_upsets_the_checker(path, value):
    assert found(with_json("root.json", *path, value=value))
