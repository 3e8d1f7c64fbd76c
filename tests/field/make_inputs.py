"""Make small inputs as people have them, and state what is right to make of each.

    python -m tests.field.make_inputs --list
    python -m tests.field.make_inputs NAME FOLDER   # names/Conf.xml; or a kind, names: all of it, each in a folder of its own

Beside the input stands truth.json: the grid, and each tile's level, row and column in it with the MD5 of its bytes.
"""

import gzip
import hashlib
import io
import json
import math
import re
import sqlite3
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

# Grids

WEB_MERCATOR_LEVELS = (
    (156543.033928, 591657527.591555),
    (78271.5169639999, 295828763.795777),
    (39135.7584820001, 147914381.897889),
    (19567.8792409999, 73957190.948944),
    (9783.93962049996, 36978595.474472),
    (4891.96981024998, 18489297.737236),
    (2445.98490512499, 9244648.868618),
    (1222.99245256249, 4622324.434309),
    (611.49622628138, 2311162.217155),
    (305.748113140558, 1155581.108577),
    (152.874056570411, 577790.554289),
    (76.4370282850732, 288895.277144),
    (38.2185141425366, 144447.638572),
    (19.1092570712683, 72223.819286),
    (9.55462853563415, 36111.909643),
    (4.77731426794937, 18055.954822),
    (2.38865713397468, 9027.977411),
    (1.19432856685505, 4513.988705),
    (0.597164283559817, 2256.994353),
    (0.298582141647617, 1128.497176),
    (0.14929107082380833, 564.248588),
    (0.07464553541190416, 282.124294),
    (0.03732276770595208, 141.062147),
    (0.01866138385297604, 70.5310735),
)
DEGREES_WKT = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]]'
)
MERCATOR_WKT = (
    f'PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",{DEGREES_WKT},PROJECTION["Mercator_Auxiliary_Sphere"],'
    'PARAMETER["False_Easting",0.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",0.0],'
    'PARAMETER["Standard_Parallel_1",0.0],PARAMETER["Auxiliary_Sphere_Type",0.0],UNIT["Meter",1.0]]'
)
CUSTOM_WKT = (
    'PROJCS["Town_Grid",GEOGCS["GCS_Town",DATUM["D_Town",SPHEROID["GRS_1980",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",400000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",11.25],PARAMETER["Scale_Factor",0.9999],'
    'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)


@dataclass(frozen=True)
class Grid:
    """A tiling scheme: rows count down from the origin x, y, columns to the right; `resolutions` is {level: units a pixel}."""

    wkid: int | None
    x: float
    y: float
    resolutions: dict
    side: int = 256
    dpi: float = 96
    metres: float = 1.0
    latest: int | None = None
    wkt: str = ""
    scales: dict = field(default_factory=dict)

    def scale(self, level):
        return self.scales.get(level) or self.resolutions[level] * self.metres * self.dpi / 0.0254

    def box(self, level, row, column):
        span = self.resolutions[level] * self.side
        return self.x + column * span, self.y - (row + 1) * span, self.x + (column + 1) * span, self.y - row * span


def halved(first, count):
    return {level: first / 2**level for level in range(count)}


WEB_MERCATOR = Grid(
    102100,
    -20037508.342787,
    20037508.342787,
    {n: pair[0] for n, pair in enumerate(WEB_MERCATOR_LEVELS)},
    latest=3857,
    scales={n: pair[1] for n, pair in enumerate(WEB_MERCATOR_LEVELS)},
)
WGS84 = Grid(4326, -180.0, 90.0, halved(0.703125, 14), metres=111319.49079327355)
NZTM = Grid(
    2193,
    -4020900.0,
    19998100.0,
    dict(
        enumerate(
            (
                132291.9312505292,
                66145.9656252646,
                26458.386250105836,
                13229.193125052918,
                6614.596562526459,
                2645.8386250105837,
                1322.9193125052918,
                661.4596562526459,
                264.5838625010584,
                132.2919312505292,
                66.1459656252646,
            )
        )
    ),
)
LV95_STEPS = (
    4000,
    3750,
    3500,
    3250,
    3000,
    2750,
    2500,
    2250,
    2000,
    1750,
    1500,
    1250,
    1000,
    750,
    650,
    500,
    250,
    100,
    50,
    20,
    10,
    5,
    2.5,
)
NATIONAL = {  # name: (grid, tiles to have)
    "rd-new": (Grid(28992, -285401.92, 903401.92, halved(3440.64, 14)), ((11, 1038, 978), (12, 2076, 1956))),
    "british": (
        Grid(27700, -5220400.0, 4470200.0, halved(2645.8386250105837, 12)),
        ((9, 3160, 4274), (10, 6320, 8548)),
    ),
    "lambert-93": (Grid(2154, 0.0, 12000000.0, halved(104579.22454989408, 14)), ((11, 393, 49), (12, 787, 99))),
    "lv95": (Grid(2056, 2420000.0, 1350000.0, dict(enumerate(map(float, LV95_STEPS)))), ((20, 60, 95), (21, 121, 191))),
    "puwg92": (Grid(2180, -5120900.0, 9998100.0, halved(26458.386250105836, 12)), ((9, 721, 424), (10, 1442, 849))),
    "utm32-adv": (
        Grid(25832, -46133.17, 6301219.54, halved(4891.96981025128, 14)),
        ((11, 1246, 998), (12, 2492, 1997)),
    ),
    "sweref99": (Grid(3006, -1200000.0, 8500000.0, halved(4096.0, 12)), ((9, 902, 857), (10, 1804, 1714))),
    "nztm": (NZTM, ((8, 218, 82), (9, 437, 165))),
    "new-york-feet": (
        Grid(2263, -120039300.0, 96540300.0, halved(8675.0, 14), metres=0.3048006096012192),
        ((11, 88849, 111632), (12, 177698, 223264)),
    ),
    "wgs84": (WGS84, ((11, 455, 2161), (12, 910, 4323))),
    "web-mercator-30241100": (
        Grid(102100, -20037700.0, 30241100.0, halved(26458.386250105836, 16), latest=3857),
        ((13, 30698, 14116), (14, 61397, 28233)),
    ),
}

# Tiles: each has bytes and a colour of its own.


def colour(text):
    return tuple(hashlib.md5(text.encode()).digest()[:3])


def png(text, side=256):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = zlib.compress((b"\0" + bytes(colour(text)) * side) * side, 1)
    parts = (
        (b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)),
        (b"tEXt", b"Comment\0" + text.encode()),
        (b"IDAT", pixels),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def picture(text, kind="JPEG", mode="RGB", **options):
    out = io.BytesIO()
    Image.new("RGB", (256, 256), colour(text)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def lerc(text):
    height = float(sum(colour(text)))
    return b"Lerc2 " + struct.pack("<7i3di", 2, 257, 257, 257 * 257, 8, 0, 6, 0.1, height, height, 0)


def make(places, draw=png):
    return {place: draw("/".join(map(str, place))) for place in places}


def block(level, row, column, rows=2, columns=2):
    return [(level, row + down, column + right) for down in range(rows) for right in range(columns)]


def blocks(corners):
    return [place for corner in corners for place in block(*corner)]


def world(levels):
    return [(level, row, column) for level in levels for row in range(2**level) for column in range(2**level)]


def web_tile(level, lon, lat):
    y = math.asinh(math.tan(math.radians(lat))) / math.pi
    return level, int((1 - y) / 2 * 2**level), int((lon + 180) / 360 * 2**level)


# Caches

V2, V1, EXPLODED = (
    "esriMapCacheStorageModeCompactV2",
    "esriMapCacheStorageModeCompact",
    "esriMapCacheStorageModeExploded",
)
SPACES = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:typens='http://www.esri.com/schemas/ArcGIS/10.3'"


def bundle_v2(tiles):
    index, records, start = [4] * 16384, bytearray(), 64 + 131072
    for (row, column), data in sorted(tiles.items()):
        index[row % 128 * 128 + column % 128] = (start + len(records) + 4) | len(data) << 40
        records += struct.pack("<I", len(data)) + data
    largest = max([131092, *map(len, tiles.values())])
    head = struct.pack("<4I3Q6I", 3, 16384, largest, 5, 0, start + len(records), 40, 131092, 3, 0, 16384, 5, 131072)
    return head + struct.pack("<16384Q", *index) + records


def bundle_v1(tiles):
    offsets, records, start = [60 + 4 * slot for slot in range(16384)], bytearray(), 60 + 65536
    row0, column0 = (min(place[axis] for place in tiles) // 128 * 128 for axis in (0, 1))
    for (row, column), data in sorted(tiles.items()):
        offsets[column % 128 * 128 + row % 128] = start + len(records)
        records += struct.pack("<I", len(data)) + data
    head = struct.pack(
        "<4I3Q5I",
        3,
        16384,
        max(map(len, tiles.values())),
        5,
        4 * len(tiles),
        start + len(records),
        40,
        16,
        row0,
        row0 + 127,
        column0,
        column0 + 127,
    )
    index = b"".join(offset.to_bytes(5, "little") for offset in offsets)
    return head + bytes(65536) + records, struct.pack("<4I", 3, 16, 16384, 5) + index + struct.pack("<4I", 0, 16, 16, 0)


def bundles(tiles, storage=V2, name="L{level:02d}/R{row:04x}C{column:04x}.bundle"):
    grouped, made = {}, {}
    for (level, row, column), data in tiles.items():
        grouped.setdefault((level, row // 128 * 128, column // 128 * 128), {})[row, column] = data
    for (level, row, column), group in grouped.items():
        path = name.format(level=level, row=row, column=column)
        if storage == V2:
            made[path] = bundle_v2(group)
        else:
            made[path], made[path[:-1] + "x"] = bundle_v1(group)
    return made


def write(folder, contents):
    for path, body in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body.encode() if isinstance(body, str) else body)


def note(folder, grid, tiles):
    """Write truth.json."""
    sums = {"/".join(map(str, place)): hashlib.md5(data).hexdigest() for place, data in tiles.items()}
    write(
        folder,
        {
            "truth.json": json.dumps(
                {
                    "wkid": grid.latest or grid.wkid,
                    "wkt": grid.wkt,
                    "origin": [grid.x, grid.y],
                    "side": grid.side,
                    "resolutions": grid.resolutions,
                    "level/row/column": sums,
                },
                indent=1,
            )
        },
    )


def cache(folder, grid, tiles, storage=V2, name=None, documents=None, tiles_folder="_alllayers", **words):
    """Write FOLDER/cache as ArcGIS Server keeps a cache; `documents` are written instead of conf.xml."""
    if storage == EXPLODED:
        name = name or "L{level:02d}/R{row:08x}/C{column:08x}.{extension}"
        found = {
            name.format(level=z, row=row, column=column, extension="jpg" if data[:1] == b"\xff" else "png"): data
            for (z, row, column), data in tiles.items()
        }
    else:
        found = bundles(tiles, storage, *([name] if name else []))
    documents = {"conf.xml": conf_xml(grid, storage=storage, **words)} if documents is None else documents
    write(folder / "cache", documents | {f"{tiles_folder}/{path}": body for path, body in found.items()})
    note(folder, grid, tiles)


def reference_xml(grid):
    kind = "Geographic" if grid.wkid == 4326 or grid.wkt.startswith("GEOGCS") else "Projected"
    named = f"<WKID>{grid.wkid}</WKID><LatestWKID>{grid.latest or grid.wkid}</LatestWKID>" if grid.wkid else ""
    return f"<SpatialReference xsi:type='typens:{kind}CoordinateSystem'><WKT>{escape(grid.wkt)}</WKT>{named}</SpatialReference>"


def conf_xml(grid, image_format="PNG", quality=0, storage=V2, dpi=None):
    lods = "".join(
        f"<LODInfo xsi:type='typens:LODInfo'><LevelID>{level}</LevelID><Scale>{grid.scale(level)!r}</Scale>"
        f"<Resolution>{step!r}</Resolution></LODInfo>"
        for level, step in sorted(grid.resolutions.items())
    )
    packet = 0 if storage == EXPLODED else 128
    return (
        f"<?xml version='1.0' encoding='utf-8' ?><CacheInfo xsi:type='typens:CacheInfo' {SPACES}>"
        "<TileCacheInfo xsi:type='typens:TileCacheInfo'>"
        f"{reference_xml(grid)}<TileOrigin xsi:type='typens:PointN'><X>{grid.x!r}</X><Y>{grid.y!r}</Y></TileOrigin>"
        f"<TileCols>{grid.side}</TileCols><TileRows>{grid.side}</TileRows>{dpi or f'<DPI>{grid.dpi}</DPI>'}"
        f"<LODInfos xsi:type='typens:ArrayOfLODInfo'>{lods}</LODInfos></TileCacheInfo><TileImageInfo xsi:type='typens:TileImageInfo'>"
        f"<CacheTileFormat>{image_format}</CacheTileFormat><CompressionQuality>{quality}</CompressionQuality><Antialiasing>false</Antialiasing>"
        f"</TileImageInfo><CacheStorageInfo xsi:type='typens:CacheStorageInfo'><StorageFormat>{storage}</StorageFormat>"
        f"<PacketSize>{packet}</PacketSize></CacheStorageInfo></CacheInfo>"
    )


def conf_cdi(box, reference=None):
    sides = "".join(
        f"<{name}>{value}</{name}>" for name, value in zip(("XMin", "YMin", "XMax", "YMax"), box, strict=True)
    )
    named = reference_xml(reference) if reference else ""
    return f"<?xml version='1.0' encoding='utf-8' ?><EnvelopeN xsi:type='typens:EnvelopeN' {SPACES}>{sides}{named}</EnvelopeN>"


def root_json(grid, tiles):
    def reference():
        return {"wkid": grid.wkid, "latestWkid": grid.latest or grid.wkid}

    levels, boxes = sorted({place[0] for place in tiles}), [grid.box(*place) for place in tiles]
    box = *(min(b[i] for b in boxes) for i in (0, 1)), *(max(b[i] for b in boxes) for i in (2, 3))
    lods = [
        {"level": level, "resolution": step, "scale": grid.scale(level)}
        for level, step in sorted(grid.resolutions.items())
    ]
    return {
        "name": "Map",
        "version": "1.0",
        "tileBundlesPath": "./tile",
        "minLOD": levels[0],
        "maxLOD": levels[-1],
        "spatialReference": reference(),
        "tileImageInfo": {"format": "PNG", "compressionQuality": 0},
        "storageInfo": {"storageFormat": V2, "packetSize": 128},
        "tileInfo": {
            "rows": grid.side,
            "cols": grid.side,
            "dpi": grid.dpi,
            "origin": {"x": grid.x, "y": grid.y},
            "spatialReference": reference(),
            "lods": lods,
        },
        "fullExtent": dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)) | {"spatialReference": reference()},
    }


def package(folder, grid, tiles, root=None, encode=str.encode, tiles_folder="tile", name="map.tpkx"):
    """Write FOLDER/map.tpkx, or the folder that unpacking it leaves."""
    contents = {"root.json": encode(json.dumps(root or root_json(grid, tiles))), "iteminfo.json": b"{}"}
    contents |= {f"{tiles_folder}/{path}": body for path, body in bundles(tiles).items()}
    note(folder, grid, tiles)
    if not name.endswith(".tpkx"):
        write(folder / name, contents)
        return
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_STORED) as archive:
        for path, body in contents.items():
            archive.writestr(path, body)


def files(folder, tiles, name="{z}/{x}/{y}.png", documents=None, from_bottom=False, grid=WEB_MERCATOR, under="tiles"):
    """Write FOLDER/tiles, a file a tile."""
    called = name if callable(name) else lambda z, x, y: name.format(z=z, x=x, y=y)
    found = {
        called(z, column, 2**z - 1 - row if from_bottom else row): data for (z, row, column), data in tiles.items()
    }
    write(folder / under, found | (documents or {}))
    note(folder, grid, tiles)


def tile_map(srs, profile, box, origin, units):
    sets = "".join(
        f'<TileSet href="{level}" units-per-pixel="{step!r}" order="{level}"/>' for level, step in units.items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><TileMap version="1.0.0" tilemapservice="http://tms.osgeo.org/1.0.0"><Title>map.tif</Title>'
        f'<Abstract></Abstract><SRS>{escape(srs)}</SRS><BoundingBox minx="{box[0]}" miny="{box[1]}" maxx="{box[2]}" maxy="{box[3]}"/>'
        f'<Origin x="{origin[0]}" y="{origin[1]}"/><TileFormat width="256" height="256" mime-type="image/png" extension="png"/>'
        f'<TileSets profile="{profile}">{sets}</TileSets></TileMap>'
    )


def pmtiles(folder, tiles, kind=2, compression=1, box=(-180, -85, 180, 85), zooms=None, pack=bytes):
    """Write FOLDER/map.pmtiles, version 3; what its header says need not be true."""

    def number(level, row, column):
        n, found, x, y = 2**level, (4**level - 1) // 3, column, row
        while (n := n // 2) > 0:
            right, down = int(x & n > 0), int(y & n > 0)
            found += n * n * (3 * right ^ down)
            if not down:
                x, y = (n - 1 - x, n - 1 - y) if right else (x, y)
                x, y = y, x
        return found

    def varint(value):
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes(out) + bytes([value])

    entries = sorted((number(*place), pack(data)) for place, data in tiles.items())
    numbers = [entry[0] for entry in entries]
    columns = (
        [b - a for a, b in zip([0, *numbers], numbers, strict=False)],
        [1] * len(entries),
        [len(data) for _, data in entries],
        [1] + [0] * (len(entries) - 1),
    )
    root = gzip.compress(varint(len(entries)) + b"".join(varint(value) for column in columns for value in column))
    meta, data = gzip.compress(b"{}"), b"".join(data for _, data in entries)
    levels = zooms or (min(place[0] for place in tiles), max(place[0] for place in tiles))
    at = 127 + len(root) + len(meta)
    head = b"PMTiles\x03" + struct.pack(
        "<11Q", 127, len(root), 127 + len(root), len(meta), at, 0, at, len(data), *[len(entries)] * 3
    )
    head += struct.pack("<6B4iB2i", 1, 2, compression, kind, *levels, *(int(side * 1e7) for side in box), 0, 0, 0)
    write(folder, {"map.pmtiles": head + root + meta + data})
    note(folder, WEB_MERCATOR, tiles)


# The inputs


@dataclass(frozen=True)
class Input:
    """One input: how it is made, the command to try on it, and what is right."""

    name: str
    make: Callable
    command: str
    right: str


CACHE, TILES, TPKX, PMTILES = (f"export {name} out.tpkx" for name in ("cache", "tiles", "map.tpkx", "map.pmtiles"))
ALL, OR_NAMED = "all tiles at their places", "all tiles at their places, or refused, naming"
BLOCK, NEW_ZEALAND = block(3, 2, 4), block(7, 87, 33)


def names():
    for conf, cdi in (("Conf.xml", None), ("conf.xml", "Conf.cdi"), ("Conf.xml", "conf.cdi")):
        first, last = NZTM.box(*NEW_ZEALAND[0]), NZTM.box(*NEW_ZEALAND[-1])
        box = first[0] + 5e4, last[1] + 5e4, last[2] - 5e4, first[3] - 5e4
        documents = {conf: conf_xml(NZTM)} | ({cdi: conf_cdi(box, NZTM)} if cdi else {})
        right = "all tiles in New Zealand" + (f"; fullExtent {box}" if cdi else "")
        yield (
            f"names/{conf}" + (f"+{cdi}" if cdi else ""),
            lambda f, d=documents: cache(f, NZTM, make(NEW_ZEALAND), documents=d),
            CACHE,
            right,
        )

    def root(folder):
        package(folder, NZTM, make(NEW_ZEALAND), name="cache")
        (folder / "cache/root.json").rename(folder / "cache/Root.json")

    yield "names/Root.json", root, CACHE, "all tiles in New Zealand"
    mercator = tile_map("EPSG:3857", "mercator", (-2e7, -2e7, 2e7, 2e7), (-20037508.34, -20037508.34), {3: 19567.87924})
    for name, text in (("TileMapResource.xml", mercator), ("METADATA.JSON", '{"scheme": "tms"}')):
        yield (
            f"names/{name}",
            lambda f, d={name: text}: files(f, make(block(3, 1, 4)), documents=d, from_bottom=True),
            TILES,
            "rows 1 and 2",
        )


def bundle_names():
    for name, place, storage, called in (
        ("L9", (9, 170, 265), V2, "L{level}/R{row:04x}C{column:04x}.bundle"),
        ("upper-hex", (12, 0xA8C, 0xB0C), V2, "L{level:02d}/R{row:04X}C{column:04X}.bundle"),
        ("BUNDLE", (12, 0xA8C, 0xB0C), V2, "L{level:02d}/R{row:04x}C{column:04x}.BUNDLE"),
        ("l12", (12, 0xA8C, 0xB0C), V2, "l{level:02d}/R{row:04x}C{column:04x}.bundle"),
        ("exploded-upper-hex", (12, 0xA8C, 0xB0C), EXPLODED, "L{level:02d}/R{row:08X}/C{column:08X}.png"),
        ("exploded-upper-extension", (12, 0xA8C, 0xB0C), EXPLODED, "L{level:02d}/R{row:08x}/C{column:08x}.PNG"),
    ):
        yield (
            f"bundle-names/{name}",
            lambda f, p=place, s=storage, n=called: cache(f, WEB_MERCATOR, make(block(*p)), s, n),
            CACHE,
            f"{OR_NAMED} a file that is there",
        )
    yield (
        "bundle-names/xyz-upper-extension",
        lambda f: files(f, make(block(12, 1345, 2200)), "{z}/{x}/{y}.PNG"),
        TILES,
        ALL,
    )


def edited(folder, edit, draw=picture, encode=str.encode, storage=V2, **words):
    text = edit(conf_xml(WEB_MERCATOR, storage=storage, **({"image_format": "JPEG", "quality": 75} | words)))
    cache(folder, WEB_MERCATOR, make(BLOCK, draw), storage, documents={"conf.xml": encode(text)})


def encodings():
    for name, declared, encoding, letter in (
        ("gb2312", "gb2312", "gb2312", "图"),
        ("big5", "big5", "big5", "圖"),
        ("shift_jis", "shift_jis", "shift_jis", "図"),
        ("gbk-ascii-only", "gbk", "gbk", ""),
        ("windows-1252", "windows-1252", "cp1252", "ü"),
        ("utf-16", "utf-16", "utf-16", "図"),
        ("utf-8-bom", "utf-8", "utf-8-sig", "ü"),
        ("latin-1-said-utf-8", "utf-8", "latin-1", "ü"),
    ):
        edit = lambda text, d=declared, c=letter: text.replace("utf-8", d, 1).replace(
            "<CacheInfo", f"<!-- {c} --><CacheInfo", 1
        )
        right = f"{OR_NAMED} conf.xml, in words" if name.startswith("latin") else ALL
        yield (
            f"encodings/{name}",
            lambda f, e=edit, c=encoding: edited(f, e, encode=lambda text: text.encode(c)),
            CACHE,
            right,
        )


def formats():
    for said in ("JPG", "", "PNG8", "Mixed"):
        edit = lambda text, said=said: text.replace("Format>JPEG<", f"Format>{said}<")
        yield (
            f"format/{said or 'empty'}-said",
            lambda f, e=edit: edited(f, e),
            CACHE,
            f"{ALL}; format JPEG, or MIXED where that is said",
        )
    for element, storage in (("TileImageInfo", V2), ("CacheStorageInfo", EXPLODED)):
        edit = lambda text, e=element: re.sub(f"<{e} .*</{e}>", "", text)
        yield f"format/no-{element}", lambda f, e=edit, s=storage: edited(f, e, storage=s), CACHE, ALL
    for said in ("LERC", "LERC2D"):
        yield (
            f"format/{said}",
            lambda f, s=said: edited(f, str, lerc, image_format=s, quality=0),
            CACHE,
            f"{ALL}; format LERC; also as .tpk and .zip",
        )


def numbers():
    for element in ("TileCols", "X", "WKID", "CompressionQuality"):
        edit = lambda text, e=element: re.sub(rf"<({e})>([^<]+)", r"<\1>\n  \2\n", text)
        yield f"numbers/blanks-{element}", lambda f, e=edit: edited(f, e), CACHE, ALL
    yield (
        "numbers/quality-75.0",
        lambda f: edited(f, lambda text: text.replace("Quality>75<", "Quality>75.0<")),
        CACHE,
        f"{OR_NAMED} CompressionQuality",
    )
    comma = lambda text: re.sub(r"(?<=<Resolution>)(\d+)\.", r"\1,", text)
    yield "numbers/comma", lambda f: edited(f, comma), CACHE, f"{OR_NAMED} Resolution or its text"
    grid = replace(WEB_MERCATOR, dpi=90.71428571428571, scales={})
    for name, elements in (
        ("dpi", "<DPI>90.714285714285708</DPI>"),
        ("precise-dpi", "<DPI>91</DPI><PreciseDPI>90.714285714285708</PreciseDPI>"),
    ):
        yield (
            f"numbers/{name}",
            lambda f, e=elements, g=grid: cache(f, g, make(BLOCK), documents={"conf.xml": conf_xml(g, dpi=e)}),
            CACHE,
            "scale = resolution * dpi / 0.0254: dpi 90.714 (PreciseDPI in conf.xml; 91 may do in root.json); also as .tpk and .zip",
        )


def extents():
    half = 20037508.342787

    def degrees(box):
        def lat(y):
            return math.degrees(math.atan(math.sinh(y / half * math.pi)))

        return box[0] * 180 / half, lat(box[1]), box[2] * 180 / half, lat(box[3])

    def made(folder, grid, tiles, text):
        cache(folder, grid, make(tiles), documents={"conf.xml": conf_xml(grid), "conf.cdi": text})

    span = WEB_MERCATOR.resolutions[14] * 256
    by_text = replace(WGS84, wkt=DEGREES_WKT)
    for name, tiles, box in (
        ("degrees", BLOCK, (1e6, 1e6, 9e6, 9e6)),
        ("degrees-at-0", block(14, 8190, 8190, 4, 4), (-1.8 * span, -1.8 * span, 1.8 * span, 1.8 * span)),
    ):
        yield (
            f"conf.cdi/{name}",
            lambda f, t=tiles, b=box: made(f, WEB_MERCATOR, t, conf_cdi(degrees(b), by_text)),
            CACHE,
            f"all tiles; fullExtent {box} in metres",
        )
    first, last = NZTM.box(*NEW_ZEALAND[0]), NZTM.box(*NEW_ZEALAND[-1])
    own = first[0] + 5e4, last[1] + 5e4, last[2] - 5e4, first[3] - 5e4
    yield (
        "conf.cdi/own",
        lambda f: made(f, NZTM, NEW_ZEALAND, conf_cdi(own, NZTM)),
        CACHE,
        f"all tiles; fullExtent {own}",
    )
    for name, text, right in (
        ("zero", conf_cdi((0, 0, 0, 0)), f"{OR_NAMED} conf.cdi"),
        ("nan", conf_cdi(["NaN"] * 4), f"{OR_NAMED} conf.cdi"),
        ("swapped", conf_cdi((10018754, 10018754, 0, 0)), f"{OR_NAMED} conf.cdi"),
        ("garbage", "not xml", f"{OR_NAMED} conf.cdi"),
        ("no-bytes", "", ALL),
        (
            "small",
            conf_cdi((1000, 1000, 2000, 2000)),
            "all tiles, or a warning that those outside of conf.cdi are left out",
        ),
    ):
        yield f"conf.cdi/{name}", lambda f, t=text: made(f, WEB_MERCATOR, BLOCK, t), CACHE, right


def roots():
    degrees = {"xmin": 0, "ymin": 0, "xmax": 90, "ymax": 66.5, "spatialReference": {"wkid": 4326}}
    for name, edit, right in (
        ("plain", lambda r: None, ALL),
        ("rows-and-cols-texts", lambda r: r["tileInfo"].update(rows="256", cols="256"), ALL),
        ("rows-text", lambda r: r["tileInfo"].update(rows="256"), ALL),
        ("row-for-rows", lambda r: r["tileInfo"].update(row=r["tileInfo"].pop("rows")), f"{OR_NAMED} rows"),
        ("format-JPG", lambda r: r["tileImageInfo"].update(format="JPG"), f"{ALL}; format PNG"),
        ("format-png", lambda r: r["tileImageInfo"].update(format="png"), ALL),
        ("no-tileImageInfo", lambda r: r.pop("tileImageInfo"), ALL),
        ("quality-empty", lambda r: r["tileImageInfo"].update(compressionQuality=""), f"{OR_NAMED} compressionQuality"),
        ("no-storageInfo", lambda r: r.pop("storageInfo"), f"{OR_NAMED} storageInfo"),
        ("no-fullExtent", lambda r: r.pop("fullExtent"), ALL),
        ("fullExtent-degrees", lambda r: r.update(fullExtent=degrees), ALL),
        ("fullExtent-null", lambda r: r.update(fullExtent=None), f"{OR_NAMED} fullExtent"),
        ("fullExtent-null-side", lambda r: r["fullExtent"].update(xmin=None), f"{OR_NAMED} fullExtent"),
        ("no-dpi", lambda r: r["tileInfo"].pop("dpi"), ALL),
        ("lods-fine-to-coarse", lambda r: r["tileInfo"]["lods"].reverse(), f"{ALL}; the package passes check"),
        ("lods-without-scale", lambda r: [lod.pop("scale") for lod in r["tileInfo"]["lods"]], f"{OR_NAMED} scale"),
        ("levels-as-texts", lambda r: [lod.update(level=str(lod["level"])) for lod in r["tileInfo"]["lods"]], ALL),
        ("LatestWkid", lambda r: r["tileInfo"].update(spatialReference={"wkid": 102100, "LatestWkid": 3857}), ALL),
    ):

        def made(folder, edit=edit):
            tiles = make(BLOCK)
            root = root_json(WEB_MERCATOR, tiles)
            edit(root)
            package(folder, WEB_MERCATOR, tiles, root)

        yield f"root.json/{name}", made, TPKX, right
    for name, encoding in (("bom", "utf-8-sig"), ("utf-16", "utf-16")):
        yield (
            f"root.json/{name}",
            lambda f, c=encoding: package(f, WEB_MERCATOR, make(BLOCK), encode=lambda text: text.encode(c)),
            TPKX,
            ALL,
        )
    blank = root_json(WEB_MERCATOR, make(BLOCK)) | {"tileBundlesPath": "./my tiles"}
    yield (
        "root.json/folder-with-a-blank",
        lambda f: package(f, WEB_MERCATOR, make(BLOCK), blank, tiles_folder="my tiles"),
        TPKX,
        ALL,
    )


def foreign():
    near, tif, geopackage = make([(2, 1, 1)]), b"II*\0\x08\0\0\0", b"SQLite format 3\0"
    beside_files = {"old/2/1/1.png": near[2, 1, 1]}

    def mbtiles(folder, beside):
        write(folder / "data", beside)
        (folder / "data").mkdir(exist_ok=True)
        database = sqlite3.connect(folder / "data/World.mbtiles")
        database.execute("create table metadata (name text, value text)")
        database.execute(
            "create table tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
        )
        tiles = make(world((0, 1)))
        database.executemany(
            "insert into tiles values (?, ?, ?, ?)",
            [(z, x, 2**z - 1 - row, data) for (z, row, x), data in tiles.items()],
        )
        database.commit()
        note(folder, WEB_MERCATOR, tiles)

    for name, file, body, beside in (
        ("Photo.tif-beside-files", "Photo.tif", tif, beside_files),
        ("Photo.tif-beside-bundles", "Photo.tif", tif, bundles(near)),
        ("Photo.tif-alone", "Photo.tif", tif, {}),
        ("Map.gpkg-beside-files", "Map.gpkg", geopackage, beside_files),
        ("Area.geojson-beside-files", "Area.geojson", b'{"type": "FeatureCollection", "features": []}', beside_files),
    ):
        yield (
            f"foreign/{name}",
            lambda f, n=file, b=body, d=beside: write(f / "data", d | {n: b}),
            f"export data/{file} out.tpkx",
            f"refused, naming {file}",
        )
    for name, beside in (("beside-files", beside_files), ("beside-nothing", {})):
        yield (
            f"foreign/World.mbtiles-{name}",
            lambda f, d=beside: mbtiles(f, d),
            "export data/World.mbtiles out.tpkx",
            ALL,
        )
    yield (
        "foreign/conf.xml",
        lambda f: cache(f, NZTM, make(NEW_ZEALAND)),
        "export cache/conf.xml out.tpkx",
        f"{OR_NAMED} conf.xml",
    )


def says_tms():
    bounds, city = "-180,66.51,180,85.05", block(10, 614, 564)
    for name, places, document, text, from_bottom, right in (
        (
            "north",
            block(2, 0, 0, 1, 4),
            "metadata.json",
            {"scheme": "tms", "bounds": bounds},
            False,
            "row 0; or refused or warned, naming scheme or metadata.json",
        ),
        (
            "is-tms",
            city,
            "metadata.json",
            {"scheme": "tms", "bounds": "18.28,-34.02,18.98,-33.43"},
            True,
            "rows 614 and 615",
        ),
        (
            "is-tms-tilejson",
            city,
            "tilejson.json",
            {"scheme": "tms", "bounds": [18.28, -34.02, 18.98, -33.43]},
            True,
            "rows 614 and 615",
        ),
        (
            "says-xyz",
            city,
            "metadata.json",
            {"scheme": "xyz", "bounds": "18.28,-34.02,18.98,-33.43"},
            False,
            "rows 614 and 615",
        ),
    ):
        documents = {document: json.dumps({"name": "Map", "format": "png"} | text)}
        yield (
            f"says-tms/{name}",
            lambda f, p=places, d=documents, b=from_bottom: files(f, make(p), documents=d, from_bottom=b),
            TILES,
            right,
        )


def tile_maps():
    swiss = Grid(2056, 2600000.0, 1200000.0 + 256 * 80, halved(80.0, 4))
    own = Grid(3857, 1500000.0, 6800000.0 + 256 * 80, halved(80.0, 4))
    degrees, metres = (-180.0, -90.0), (-20037508.342787, -20037508.342787)
    by_text = (
        'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
        'UNIT["degree",0.0174532925199433]]'
    )
    for name, srs, profile, grid, origin, places in (
        ("geodetic", "EPSG:4326", "geodetic", WGS84, degrees, block(3, 2, 8)),
        ("geodetic-by-text", by_text, "geodetic", WGS84, degrees, block(4, 4, 5)),
        ("raster-2056", "EPSG:2056", "raster", swiss, (2600000.0, 1200000.0), block(2, 1, 1)),
        ("raster-3857", "EPSG:3857", "raster", own, (1500000.0, 6800000.0), block(2, 1, 1)),
        ("mercator-900913", "EPSG:900913", "mercator", WEB_MERCATOR, metres, block(3, 1, 4)),
        ("mercator-3857", "EPSG:3857", "mercator", WEB_MERCATOR, metres, block(3, 1, 4)),
    ):
        boxes = [grid.box(*place) for place in places]
        box = *(min(b[i] for b in boxes) for i in (0, 1)), *(max(b[i] for b in boxes) for i in (2, 3))
        document = {
            "tilemapresource.xml": tile_map(
                srs, profile, box, origin, {level: grid.resolutions[level] for level in {place[0] for place in places}}
            )
        }
        yield (
            f"tilemapresource/{name}",
            lambda f, p=places, d=document, g=grid: files(f, make(p), documents=d, from_bottom=True, grid=g),
            TILES,
            f"all tiles at {box} of {srs[:9]}; or refused, naming SRS, profile or tilemapresource.xml",
        )


def layouts():
    def quadkey(z, x, y):
        return "".join(str((x >> bit & 1) | (y >> bit & 1) << 1) for bit in reversed(range(z))) + ".png"

    def zipped(folder, method):
        files(folder, make(BLOCK))
        with zipfile.ZipFile(folder / "tiles.zip", "w", method) as archive:
            for path in sorted((folder / "tiles").rglob("*.png")):
                archive.write(path, path.relative_to(folder / "tiles"))

    far, near, either = block(12, 1345, 2200), block(9, 168, 275), f"{OR_NAMED} what is read: level/column/row"
    for name, places, template, command, right in (
        ("padded", far, "{z}/{x:05d}/{y:05d}.png", TILES, either),
        ("padded-x", far, "{z}/{x:06d}/{y}.png", TILES, either),
        ("padded-level", near, "{z:02d}/{x}/{y}.png", TILES, ALL),
        ("plain", near, "{z}/{x}/{y}.png", TILES, ALL),
        ("row-first", far, "{z}/{y}/{x}.png", f"{TILES} --row-before-column", ALL),
        ("retina", far, "{z}/{x}/{y}@2x.png", TILES, either),
        ("wmts-rest", far, "default/EPSG_3857/EPSG:3857:{z}/{y}/{x}.png", TILES, either),
        ("z-x_y", far, "{z}/{x}_{y}.png", TILES, either),
        ("osmand", far, "{z}/{x}/{y}.png.tile", TILES, either),
        ("quadkey", far, quadkey, TILES, either),
        (
            "geowebcache",
            far,
            lambda z, x, y: f"EPSG_900913_{z:02d}/{x >> 6}_{y >> 6}/{x:06d}_{2**z - 1 - y:06d}.png",
            TILES,
            either,
        ),
    ):
        yield f"layouts/{name}", lambda f, p=places, t=template: files(f, make(p), t), command, right
    yield "layouts/zip-stored", lambda f: zipped(f, zipfile.ZIP_STORED), "export tiles.zip out.tpkx", ALL
    yield (
        "layouts/zip-compressed",
        lambda f: zipped(f, zipfile.ZIP_DEFLATED),
        "export tiles.zip out.tpkx",
        f"{OR_NAMED} compression",
    )
    yield "layouts/folder", lambda f: files(f, make(BLOCK), under="ключ"), "export ключ out.tpkx", ALL


def hex_levels():
    for name, levels, digits in (
        ("decimal-8-12", range(8, 13), "d"),
        ("hex-8-12", range(8, 13), "x"),
        ("decimal-10-11", (10, 11), "d"),
        ("decimal-16-17", (16, 17), "d"),
        ("hex-16-17", (16, 17), "x"),
    ):
        places = [(level, int(0.33 * 2**level), int(0.53 * 2**level)) for level in levels]
        template = f"L{{level:02{digits}}}/R{{row:08x}}/C{{column:08x}}.png"
        right = f"{OR_NAMED} L10 or hexadecimal digits" if name == "hex-16-17" else ALL
        yield (
            f"hex-levels/{name}",
            lambda f, p=places, t=template: cache(f, WEB_MERCATOR, make(p), EXPLODED, t),
            CACHE,
            right,
        )


def archives():
    tiles, told = (
        make([(0, 0, 0), *block(3, 2, 3, 3, 4)]),
        "all 13 tiles, or a warning that the header's bounds or zooms leave some out",
    )
    for name, header, right in (
        ("gzip-said-of-plain-tiles", {"compression": 2}, f"{OR_NAMED} the header, which is wrong"),
        ("compression-unknown", {"compression": 0}, f"{OR_NAMED} compression"),
        ("gzip", {"compression": 2, "pack": gzip.compress}, f"{OR_NAMED} gzip"),
        ("type-unknown", {"kind": 0}, ALL),
        ("mvt-said", {"kind": 1}, f"{OR_NAMED} MVT"),
        ("bounds-zero", {"box": (0, 0, 0, 0)}, told),
        ("bounds-small", {"box": (1, 1, 2, 2)}, told),
        ("bounds-across-180", {"box": (170, -40, -170, 40)}, told),
        ("zooms-0-2", {"zooms": (0, 2)}, told),
    ):
        yield f"pmtiles/{name}", lambda f, h=header: pmtiles(f, tiles, **h), PMTILES, right
    fiji = make([(5, row, column) for row in (17, 18) for column in (0, 31)])
    yield "pmtiles/fiji", lambda f: pmtiles(f, fiji, box=(177, -20, -178, -12)), PMTILES, ALL


def images():
    for name, extension, kind, mode, options in (
        ("grey-jpeg", "jpg", "JPEG", "L", {}),
        ("progressive-jpeg", "jpg", "JPEG", "RGB", {"progressive": True}),
        ("cmyk-jpeg", "jpg", "JPEG", "CMYK", {}),
        ("jpeg-called-png", "png", "JPEG", "RGB", {}),
        ("palette-png", "png", "PNG", "P", {}),
        ("grey-alpha-png", "png", "PNG", "LA", {}),
        ("gif", "gif", "GIF", "P", {}),
        ("webp", "webp", "WEBP", "RGB", {}),
    ):
        tiles = {(3, 2, 4): picture(name, kind, mode, **options)}
        right = "refused: JPEG, PNG or LERC" if kind in ("GIF", "WEBP") else "the tile, byte for byte"
        yield f"images/{name}", lambda f, t=tiles, e=extension: files(f, t, f"{{z}}/{{x}}/{{y}}.{e}"), TILES, right


def odd_tiles():
    odd = make(block(5, 4, 4, 20, 20)) | {(5, 11, 7): png("odd", 200)}
    yield (
        "odd-tiles/one-of-200px",
        lambda f: files(f, odd),
        TILES,
        "399 tiles and a warning; or refused, naming 200; what is packed without a warning passes check",
    )
    yield (
        "odd-tiles/all-of-100px",
        lambda f: files(f, make(BLOCK, lambda text: png(text, 100))),
        TILES,
        "refused, naming 100",
    )
    fine = replace(
        WEB_MERCATOR, side=512, resolutions={level: WEB_MERCATOR.resolutions[level + 1] for level in range(20)}
    )
    yield "odd-tiles/all-of-512px", lambda f: files(f, make(BLOCK, lambda text: png(text, 512)), grid=fine), TILES, ALL


LEFTOVERS = dict.fromkeys(
    (
        "_alllayers/L07/R0000C0000.freelist",
        "_alllayers/L07/R0000C0000.bundle.lock",
        "_alllayers/L07/Thumbs.db",
        "Status.gdb/a00000001.gdbtable",
        "missing.png",
    ),
    b"x",
)


def conf_elsewhere():
    for name, conf, under in (
        ("neighbour", "scheme/conf.xml", "tiles/_alllayers"),
        ("above", "conf.xml", "Map/Layers/_alllayers"),
    ):
        yield (
            f"conf-elsewhere/{name}",
            lambda f, c=conf, u=under: cache(f, NZTM, make(NEW_ZEALAND), documents={c: conf_xml(NZTM)}, tiles_folder=u),
            CACHE,
            "all tiles in New Zealand, or refused, naming conf.xml",
        )
    documents = {"conf.xml": conf_xml(NZTM)} | LEFTOVERS
    yield (
        "conf-elsewhere/leftovers-of-arcgis",
        lambda f: cache(f, NZTM, make(NEW_ZEALAND), documents=documents),
        CACHE,
        "all tiles in New Zealand",
    )


def grids():
    for name, (grid, corners) in NATIONAL.items():
        yield (
            f"grids/{name}",
            lambda f, g=grid, c=corners: cache(f, g, make(blocks(c))),
            CACHE,
            "all tiles; GDAL shows each at its place, in the .zip too; where a package cannot be shown, a warning that names GDAL or QGIS",
        )


def levels():
    web = [WEB_MERCATOR.resolutions[level] for level in range(9, 13)]
    for name, first in (("web-9-12-from-0", 0), ("web-9-12-from-9", 9)):
        grid = replace(WEB_MERCATOR, resolutions={first + step: value for step, value in enumerate(web)}, scales={})
        places = blocks((first + step, 170 * 2**step, 265 * 2**step) for step in range(4))
        yield (
            f"levels/{name}",
            lambda f, g=grid, p=places: cache(f, g, make(p)),
            CACHE,
            "all tiles at their places, which GDAL shows; the product's own package passes check; also as .tpk and .zip",
        )


def by_text():
    for name, grid, corner, right in (
        ("wgs84", replace(WGS84, wkid=None, wkt=DEGREES_WKT), (5, 7, 33), "root.json names 4326; GDAL shows the tiles"),
        (
            "web-mercator",
            replace(WEB_MERCATOR, wkid=None, latest=None, wkt=MERCATOR_WKT),
            (9, 168, 275),
            "root.json names 3857; GDAL shows the tiles",
        ),
        (
            "custom",
            Grid(None, -5120900.0, 9998100.0, halved(13229.193125052918, 12), wkt=CUSTOM_WKT),
            (9, 704, 834),
            "GDAL shows the tiles of a .zip; of a package a warning says that the reference has no number",
        ),
    ):
        yield f"by-text/{name}", lambda f, g=grid, c=corner: cache(f, g, make(block(*c))), CACHE, right


def resolutions():
    half, right = (
        20037508.342789244,
        "what export makes without a warning passes check: one of them is wrong about these",
    )
    computed = Grid(102100, -half, half, halved(2 * half / 256, 20), latest=3857)
    wmts = replace(computed, resolutions=halved(156543.0339280410, 20), dpi=90.71428571428571)
    yield "resolutions/computed-tpkx", lambda f: package(f, computed, make(world(range(4)))), TPKX, right
    for name, grid in (("computed", computed), ("wmts", wmts)):
        yield (
            f"resolutions/{name}-conf.xml",
            lambda f, g=grid: cache(f, g, make(world(range(4)))),
            CACHE,
            right + "; also as .zip",
        )


def single_levels():
    for level in (18, 23):
        corner = web_tile(level, -8.3, 38.4)
        yield f"single-levels/{level}", lambda f, c=corner: cache(f, WEB_MERCATOR, make(block(*c))), CACHE, ALL


RING = [[7.0, 50.0], [7.0, 51.0], [8.0, 51.0], [8.0, 50.0], [7.0, 50.0]]
METRES = [
    [779236.44, 6446275.84],
    [779236.44, 6621293.72],
    [890555.93, 6621293.72],
    [890555.93, 6446275.84],
    [779236.44, 6446275.84],
]
POLYGON = {"type": "Polygon", "coordinates": [RING]}


def feature(geometry):
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def collection(*geometries, **members):
    return {"type": "FeatureCollection", "features": [feature(geometry) for geometry in geometries], **members}


def named_crs(name):
    return {"crs": {"type": "name", "properties": {"name": name}}}


def esri(ring=RING, **members):
    return {"rings": [ring], "spatialReference": {"wkid": 4326}} | members


AREAS = {
    "geojson-polygon": (POLYGON, ""),
    "geojson-multipolygon": ({"type": "MultiPolygon", "coordinates": [[RING]]}, ""),
    "geojson-feature": (feature(POLYGON), ""),
    "geojson-collection": (collection(POLYGON), ""),
    "geojson-feature-without-place": (collection(POLYGON, None), ""),
    "geojson-crs-4326": (collection(POLYGON, **named_crs("urn:ogc:def:crs:EPSG::4326")), ""),
    "geojson-crs-84": (collection(POLYGON, **named_crs("urn:ogc:def:crs:OGC:1.3:CRS84")), ""),
    "esri-rings": (esri(), ""),
    "esri-rings-102100": ({"rings": [METRES], "spatialReference": {"wkid": 102100, "latestWkid": 3857}}, ""),
    "esri-feature": ({"geometry": esri(), "attributes": {}}, ""),
    "esri-feature-set": (
        {"spatialReference": {"wkid": 4326}, "features": [{"attributes": {}, "geometry": {"rings": [RING]}}]},
        "",
    ),
    "esri-wkid-as-text": (esri(spatialReference={"wkid": "4326"}), ""),
    "esri-reference-by-text": (esri(spatialReference={"wkt": DEGREES_WKT}), ""),
    "esri-z": (esri([[*point, 12.5] for point in RING], hasZ=True), ""),
    "geojson-crs-3857": (
        collection({"type": "Polygon", "coordinates": [METRES]}, **named_crs("urn:ogc:def:crs:EPSG::3857")),
        "crs or 3857",
    ),
    "geojson-metres-without-crs": ({"type": "Polygon", "coordinates": [METRES]}, "degrees or the reference"),
    "geojson-geometry-collection": ({"type": "GeometryCollection", "geometries": [POLYGON]}, "GeometryCollection"),
    "geojson-point-too": (collection(POLYGON, {"type": "Point", "coordinates": [7.5, 50.5]}), "Point"),
    "geojson-route": (collection({"type": "LineString", "coordinates": RING[:3]}), "LineString"),
    "esri-envelope": ({"xmin": 7, "ymin": 50, "xmax": 8, "ymax": 51, "spatialReference": {"wkid": 4326}}, "envelope"),
    "esri-curve-rings": (
        {
            "curveRings": [[[7, 50.5], {"c": [[8, 50.5], [7.5, 51]]}, {"c": [[7, 50.5], [7.5, 50]]}]],
            "spatialReference": {"wkid": 4326},
        },
        "curveRings",
    ),
    "esri-z-nan-text": (esri([[*point, "NaN"] for point in RING], hasZ=True), "NaN"),
    "esri-z-null": (esri([[*point, None] for point in RING], hasZ=True), "null"),
    "esri-reference-as-number": (esri(spatialReference=4326), "spatialReference"),
    "topojson": ({"type": "Topology", "objects": {}, "arcs": []}, "TopoJSON"),
    "geojson-lines": (None, "one feature a line"),
}


def areas():
    here, command = sorted(web_tile(level, 7.5, 50.5) for level in range(5)), "export cache out.tpkx --area area.json"
    one_each = f"the tiles level, row, column {here}"

    def made(folder, body):
        write(folder, {"area.json": body})
        cache(folder, WEB_MERCATOR, make(world(range(5))))

    for name, (document, word) in AREAS.items():
        text = "\n".join([json.dumps(feature(POLYGON))] * 2) if document is None else json.dumps(document)
        yield (
            f"areas/{name}",
            lambda f, t=text: made(f, t),
            command,
            one_each + (f"; or refused, naming {word}" if word else ""),
        )
    yield (
        "areas/esri-without-reference",
        lambda f: made(f, json.dumps({"rings": [RING]})),
        command,
        "a place of one metre in the cache's own reference: a tile of each level 0-4; or refused, naming the spatial reference",
    )
    umlaut = json.dumps(feature(POLYGON) | {"id": "Übersicht"}, ensure_ascii=False)
    for name, encoding in (("utf-8-bom", "utf-8-sig"), ("utf-16", "utf-16"), ("latin-1", "latin-1")):
        right = one_each + ("" if "bom" in name else "; or refused, naming the encoding")
        yield f"area-files/{name}", lambda f, c=encoding: made(f, umlaut.encode(c)), command, right
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("area.geojson", umlaut)
    kml = (
        "<kml xmlns='http://www.opengis.net/kml/2.2'><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        "7,50 7,51 8,51 8,50 7,50</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></kml>"
    )
    for name, body, right in (
        ("kml", kml, one_each),
        ("zip", packed.getvalue(), one_each),
        ("kml-empty", "<kml xmlns='http://www.opengis.net/kml/2.2'/>", "refused, in words"),
        ("wkt", "POLYGON((7 50,7 51,8 51,8 50,7 50))", "refused, in words"),
        ("empty", "", "refused, in words"),
    ):
        yield f"area-files/{name}", lambda f, b=body: made(f, b), command, right


def across_180():
    places = [place for column in (0, 126) for place in block(7, 68, column, 6, 2)]
    ring = lambda west, east: [[west, -19], [east, -19], [east, -16], [west, -16], [west, -19]]
    wanted = "6 tiles of level 7: rows 69 and 70, columns 0, 126, 127"
    for name, extent in (("178-west", "177,-19,-178,-16"), ("182-east", "177,-19,182,-16")):
        yield (
            f"across-180/extent-{name}",
            lambda f: cache(f, WEB_MERCATOR, make(places)),
            f"{CACHE} --extent={extent} --extent-wkid 4326",
            wanted,
        )
    for name, area in (
        ("geojson-in-two", {"type": "MultiPolygon", "coordinates": [[ring(177, 180)], [ring(-180, -178)]]}),
        ("geojson-to-182", {"type": "Polygon", "coordinates": [ring(177, 182)]}),
    ):

        def made(folder, area=area):
            write(folder, {"area.json": json.dumps(area)})
            cache(folder, WEB_MERCATOR, make(places))

        yield f"across-180/{name}", made, f"{CACHE} --area area.json", wanted


SITES = {
    "greenwich": (-0.0030, 51.4770, -0.0006, 51.4785),
    "quito": (-78.4566, -0.0024, -78.4546, -0.0003),
    "mississippi": (-89.9990, 32.3, -89.9975, 32.302),
    "alps-hut": (10.98, 47.42, 10.9802, 47.4202),
    "berlin": (13.3760, 52.5150, 13.3790, 52.5170),
}


def small_sites():
    places = {
        web_tile(level, lon, lat)
        for west, south, east, north in SITES.values()
        for level in range(17)
        for lon in (west - 1e-4, (west + east) / 2, east + 1e-4)
        for lat in (south - 1e-4, (south + north) / 2, north + 1e-4)
    }

    def made(folder, box):
        west, south, east, north = box
        ring = [[west, south], [west, north], [east, north], [east, south], [west, south]]
        write(folder, {"area.geojson": json.dumps({"type": "Polygon", "coordinates": [ring]})})
        cache(folder, WEB_MERCATOR, make(sorted(places)))

    for name, box in SITES.items():
        command = f"{CACHE} --levels 0-16 --extent={','.join(map(str, box))} --extent-wkid 4326"
        yield (
            f"small-sites/{name}",
            lambda f, b=box: made(f, b),
            f"{command}    (or --area area.geojson)",
            "at least one tile of each level 0-16, none that the site does not touch",
        )


def checks():
    yield (
        "check/unpacked-tpkx",
        lambda f: package(f, WEB_MERCATOR, make(BLOCK), name="unpacked"),
        "check unpacked",
        "judged by its root.json as a package is (here iteminfo.json is {}, and there is no thumbnail); no word on conf.xml",
    )
    leftovers, box = {"conf.xml": conf_xml(NZTM)} | LEFTOVERS, NZTM.box(*NEW_ZEALAND[0])
    yield (
        "check/leftovers-of-arcgis",
        lambda f: cache(f, NZTM, make(NEW_ZEALAND), documents=leftovers),
        "check cache",
        "names only files that are there",
    )
    capital = {"Conf.xml": conf_xml(NZTM), "conf.cdi": conf_cdi(box, NZTM)}
    yield (
        "check/Conf.xml",
        lambda f: cache(f, NZTM, make(NEW_ZEALAND), documents=capital),
        "check cache",
        "Conf.xml is read, or named; not 'conf.xml: There are 0 of them'",
    )
    yield (
        "check/v1-folder",
        lambda f: cache(f, NZTM, make(NEW_ZEALAND), V1),
        "check cache",
        "names only files that are there",
    )
    yield "check/xyz-folder", lambda f: files(f, make(BLOCK)), "check tiles", "exit status 1, in words"
    for name, body in (
        ("Photo.tif", b"II*\0"),
        ("World.mbtiles", b"SQLite format 3\0"),
        ("empty.tpkx", b""),
        ("page.zip", b"<html>"),
    ):
        yield f"check/{name}", lambda f, n=name, b=body: write(f, {n: b}), f"check {name}", "exit status 1, in words"


def by_macos(path, folder):
    """Pack a folder as macOS does: compressed, entries for folders, .DS_Store, and 0x0314 as the version needed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for found in sorted(folder.rglob("*")):
            name = found.relative_to(folder).as_posix()
            if found.is_dir():
                archive.writestr(f"{name}/", b"", zipfile.ZIP_STORED)
                archive.writestr(f"{name}/.DS_Store", bytes(6148))
            else:
                archive.write(found, name)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 4), (b"PK\x01\x02", 6)):
        start = data.find(signature)
        while start >= 0:
            data[start + at : start + at + 2] = b"\x14\x03"
            start = data.find(signature, start + 4)
    path.write_bytes(data)


def zips():
    right = "export: all tiles, or refused, naming compression; check: exit status 1, 'compressed', and nothing that is untrue"

    def tpkx(folder):
        package(folder, NZTM, make(NEW_ZEALAND), name="unpacked")
        by_macos(folder / "map.tpkx", folder / "unpacked")

    def dataset(folder):
        box = NZTM.box(*NEW_ZEALAND[0])
        cache(folder, NZTM, make(NEW_ZEALAND), documents={"conf.xml": conf_xml(NZTM), "conf.cdi": conf_cdi(box, NZTM)})
        by_macos(folder / "map.zip", folder / "cache")

    yield "zip/by-macos-tpkx", tpkx, "check map.tpkx", right
    yield "zip/by-macos-zip", dataset, "check map.zip", right


def titles():
    for stem in ("地図", "Übersicht", "Plan_2024-05"):
        yield (
            f"titles/{stem}",
            lambda f: files(f, make(BLOCK)),
            f"export tiles {stem}.tpkx",
            f"the title in iteminfo.json is {stem}; as .tpk that in iteminfo.xml",
        )


def speed():
    berlin, overview, right = (
        {12: (12, 1343, 2200), 14: (14, 5373, 8801), 17: (17, 42985, 70414), 23: (23, 2751087, 4506546)},
        world(range(5)),
        "all tiles within seconds",
    )
    mexico = {12: (12, 1822, 920), 17: (17, 58322, 29440)}
    cities = {level: blocks((berlin[level], mexico[level])) for level in (12, 17)}
    yield "speed/two-cities-12-files", lambda f: files(f, make(cities[12])), TILES, right
    yield "speed/two-cities-17-bundles", lambda f: cache(f, WEB_MERCATOR, make(cities[17])), CACHE, right
    yield "speed/fiji-14-files", lambda f: files(f, make(blocks(((14, 8998, 16381), (14, 8998, 2))))), TILES, right
    town = overview + block(*berlin[14])
    yield "speed/overview-and-town-14-pmtiles", lambda f: pmtiles(f, make(town)), PMTILES, right
    yield "speed/overview-and-town-14-bundles", lambda f: cache(f, WEB_MERCATOR, make(town)), CACHE, right
    yield "speed/overview-and-town-14-files", lambda f: files(f, make(town)), TILES, right
    yield (
        "speed/overview-and-house-23-bundles",
        lambda f: cache(f, WEB_MERCATOR, make(world(range(4)) + block(*berlin[23]))),
        CACHE,
        right,
    )
    yield "speed/zooms-0-14-said-pmtiles", lambda f: pmtiles(f, make(overview), zooms=(0, 14)), PMTILES, right


KINDS = (
    names,
    bundle_names,
    encodings,
    formats,
    numbers,
    extents,
    roots,
    foreign,
    says_tms,
    tile_maps,
    layouts,
    hex_levels,
    archives,
    images,
    odd_tiles,
    conf_elsewhere,
    grids,
    levels,
    by_text,
    resolutions,
    single_levels,
    areas,
    across_180,
    small_sites,
    checks,
    zips,
    titles,
    speed,
)
INPUTS = [Input(*parts) for kind in KINDS for parts in kind()]


def main():
    if sys.argv[1:] == ["--list"]:
        print(*(f"{found.name}: {found.right}" for found in INPUTS), sep="\n")
        return
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    chosen = [found for found in INPUTS if sys.argv[1] in (found.name, found.name.partition("/")[0])]
    if not chosen:
        sys.exit(f"There is no input {sys.argv[1]}; --list shows all.")
    for found in chosen:
        folder = Path(sys.argv[2]) / (found.name if len(chosen) > 1 else "")
        folder.mkdir(parents=True, exist_ok=True)
        found.make(folder)
        print(f"{found.name}\n  in     {folder}\n  try    exporttiles {found.command}\n  right  {found.right}")


if __name__ == "__main__":
    main()
