"""Reader of packages and datasets, independent of the product: tiles by their place on the ground."""

import json
import struct
import zipfile
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from xml.etree import ElementTree as ET

_BUNDLE_TILES = 128


@dataclass(frozen=True)
class Package:
    """The tiling scheme and the tiles of a package.

    Attributes:
        reference: the number of the reference; None if it has none.
        tiles: MD5 of the bytes, by level, row and column.
    """

    reference: int | None
    origin: tuple[float, float]
    side: int
    dpi: float
    resolutions: dict[int, float]
    scales: dict[int, float]
    extent: tuple[float, ...]
    image_format: str
    tiles: dict[tuple[int, int, int], str] = field(default_factory=dict)

    def at(self, resolution: float, x: float, y: float) -> str | None:
        """Return the MD5 of the tile whose upper left corner lies at x, y; None if there is none."""
        for level, own in self.resolutions.items():
            if abs(own / resolution - 1) > 1e-5:
                continue
            column, row = ((x - self.origin[0]) / own / self.side, (self.origin[1] - y) / own / self.side)
            if max(abs(column - round(column)), abs(row - round(row))) < 0.01:
                return self.tiles.get((level, round(row), round(column)))
        return None


def read_package(path: Path) -> Package:
    """Read a .tpkx, a .tpk or the .zip of a dataset."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    if "root.json" in members:
        return _of_root_json(members)
    return _of_conf_xml(members)


def _of_root_json(members: dict[str, bytes]) -> Package:
    root = json.loads(members["root.json"])
    info, extent = root["tileInfo"], root["fullExtent"]
    named = root["spatialReference"]
    return Package(
        reference=named.get("latestWkid") or named.get("wkid"),
        origin=(info["origin"]["x"], info["origin"]["y"]),
        side=info["rows"],
        dpi=info["dpi"],
        resolutions={lod["level"]: lod["resolution"] for lod in info["lods"]},
        scales={lod["level"]: lod["scale"] for lod in info["lods"]},
        extent=tuple(extent[side] for side in ("xmin", "ymin", "xmax", "ymax")),
        image_format=root["tileImageInfo"]["format"],
        tiles=_tiles(members),
    )


def _of_conf_xml(members: dict[str, bytes]) -> Package:
    (conf,) = (body for name, body in members.items() if name.endswith("conf.xml"))
    (cdi,) = (body for name, body in members.items() if name.endswith("conf.cdi"))
    info, box = ET.fromstring(conf), ET.fromstring(cdi)
    tiles = info.find("TileCacheInfo")
    named = tiles.findtext("SpatialReference/LatestWKID") or tiles.findtext("SpatialReference/WKID")
    lods = tiles.findall("LODInfos/LODInfo")
    return Package(
        reference=int(named) if named else None,
        origin=(float(tiles.findtext("TileOrigin/X")), float(tiles.findtext("TileOrigin/Y"))),
        side=int(tiles.findtext("TileCols")),
        dpi=float(tiles.findtext("PreciseDPI")),
        resolutions={int(lod.findtext("LevelID")): float(lod.findtext("Resolution")) for lod in lods},
        scales={int(lod.findtext("LevelID")): float(lod.findtext("Scale")) for lod in lods},
        extent=tuple(float(box.findtext(side)) for side in ("XMin", "YMin", "XMax", "YMax")),
        image_format=info.findtext("TileImageInfo/CacheTileFormat"),
        tiles=_tiles(members),
    )


def _tiles(members: dict[str, bytes]) -> dict[tuple[int, int, int], str]:
    found = {}
    for name, body in members.items():
        folder, _, file = name.rpartition("/")
        if not file.endswith(".bundle"):
            continue
        level = int(folder.rpartition("/")[2][1:])
        first_row, first_column = (int(digits, 16) for digits in file.removesuffix(".bundle")[1:].split("C"))
        offsets = members.get(name[:-1] + "x")
        for down in range(_BUNDLE_TILES):
            for right in range(_BUNDLE_TILES):
                tile = _tile(body, offsets, down, right)
                if tile:
                    found[level, first_row + down, first_column + right] = md5(tile).hexdigest()
    return found


def _tile(bundle: bytes, offsets: bytes | None, down: int, right: int) -> bytes:
    if offsets is None:
        (entry,) = struct.unpack_from("<Q", bundle, 64 + 8 * (down * _BUNDLE_TILES + right))
        offset, size = entry & (1 << 40) - 1, entry >> 40
        return bundle[offset : offset + size]
    start = 16 + 5 * (right * _BUNDLE_TILES + down)
    offset = int.from_bytes(offsets[start : start + 5], "little")
    (size,) = struct.unpack_from("<I", bundle, offset)
    return bundle[offset + 4 : offset + 4 + size]
