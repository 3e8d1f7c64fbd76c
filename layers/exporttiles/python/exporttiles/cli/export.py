"""The command ``exporttiles export``: makes a package of a cache on this machine, without AWS."""

import json
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from exporttiles.adapters.allocator import collect_garbage_less_often, keep_freed_memory
from exporttiles.cli.area_options import AreaCommand, AreaOptions, area_options
from exporttiles.cli.command import TILE_FORMAT_OPTION, ExclusiveOption, filled, with_option
from exporttiles.cli.destination import OUTPUTS, Destination, OutputError
from exporttiles.cli.run_export import LocalExport, export_folder, export_package
from exporttiles.cli.source import Source, cache_options, inspect, open_source, print_messages, read_sources
from exporttiles.domain.errors import RequestError
from exporttiles.domain.export import StorageFormat
from exporttiles.domain.service import ImageService, TileFormat
from exporttiles.domain.spatial_reference import SpatialReference
from exporttiles.formats.packages.storage_formats import format_obstacle, legal_formats
from exporttiles.messages.export import Export
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.package_by import naming_package, split_area
from exporttiles.rest.parameter_names import PACKAGE_BY
from exporttiles.rest.parameters import read_export_request

_AREA = "areaOfInterest"
_LONGEST_MEMBER_NAME = 100  # file systems take 255 bytes, with suffixes
_TILE_OPTIONS = {"tileFormat", "optimizeTilesForSize", "compressionQuality"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@click.command(cls=AreaCommand)
@click.argument("source", type=click.Path(), nargs=-1, required=True, callback=read_sources)
@click.argument("out", type=click.Path(path_type=Path))
@area_options()
@click.option(
    "--extent",
    callback=filled,
    metavar="XMIN,YMIN,XMAX,YMAX",
    help="Extent, in the spatial reference of the cache or of --extent-wkid.  [default: all]",
)
@click.option(
    "--package-by",
    callback=filled,
    metavar="ATTRIBUTE",
    help="Make a folder of packages: one for each value of an attribute of the features in --area.",
)
@click.option(
    "--format",
    "package_format",
    type=click.Choice([suffix.removeprefix(".") for suffix in OUTPUTS if suffix]),
    help="Format of the packages of --package-by.  [default: tpkx]",
)
@click.option("--skip-existing", is_flag=True, help="With --package-by: export only packages that do not exist yet.")
@click.option(
    "--extent-wkid",
    type=click.IntRange(min=1),
    metavar="WKID",
    help="Spatial reference of --extent, such as 4326 for degrees.",
)
@click.option(
    "--quality",
    type=click.IntRange(0, 100),
    metavar="N",
    help="Quality of JPEG tiles: those of a cache are recompressed.",
)
@TILE_FORMAT_OPTION
@click.option("--clip", is_flag=True, help="Make pixels outside the area transparent; cut JPEG tiles become PNG.")
@click.option("--skip-blank", is_flag=True, help="Leave out fully transparent tiles.")
@click.option("--skip-one-color", is_flag=True, help="Leave out all tiles of one color, transparent or not.")
@click.option("--clip-color", metavar="R,G,B", help="With --clip: paint them in a color instead, such as 255,255,255.")
@click.option(
    "--name",
    default="",
    cls=ExclusiveOption,
    excludes=["package_by"],
    metavar="TITLE",
    help="Title of the map.  [default: the file name]",
)
@click.option(
    "--force",
    is_flag=True,
    cls=ExclusiveOption,
    excludes=["skip_existing"],
    help="Replace an earlier output of the same kind.",
)
@cache_options
def export(
    source: Source,
    out: Path,
    *,
    areas: AreaOptions,
    extent: str | None,
    package_by: str | None,
    package_format: str | None,
    skip_existing: bool,
    extent_wkid: int | None,
    quality: int | None,
    tile_format: str | None,
    clip: bool,
    clip_color: str | None,
    skip_blank: bool,
    skip_one_color: bool,
    name: str,
    force: bool,
    **cache: Any,
) -> None:
    """Export a cache or GeoTIFFs into a package, without AWS.

    SOURCE is a folder, .tpkx, .tpk, .zip, .pmtiles or .tif, or a .json of STAC: a path, or an address such as
    s3://bucket/caches/Name. On this machine, it may also be a .mbtiles or .gpkg. Several .tif, or a .txt that lists
    them, one a line, are one mosaic: later ones cover earlier ones.

    OUT is a .tpkx, .tpk, .pmtiles, .mbtiles or .gpkg, or a cache raster dataset: a .zip or a folder. With
    --package-by, it is a folder of packages.
    """
    keep_freed_memory()
    collect_garbage_less_often()
    out = out.absolute()
    suffix = _package_suffix(out, areas, package_by, package_format, skip_existing=skip_existing)
    inputs = source.inputs(areas.files)
    if not package_by:
        Destination(out, is_replaced=force).check(inputs)
    tile_package, storage_format = OUTPUTS[suffix]
    area_parameters, notes = areas.parameters(package_by)
    for note in notes:
        print(with_option(note))
    parameters = {
        "tilePackage": tile_package,
        "storageFormatType": storage_format,
        "exportExtent": _with_reference(extent, extent_wkid) if extent_wkid else extent,
        **area_parameters,
        "tileFormat": tile_format,
        "clip": "true" if clip else None,
        "clipColor": clip_color,
        "skipBlank": "true" if skip_blank else None,
        "skipOneColor": "true" if skip_one_color else None,
    }
    if quality is not None:
        parameters |= {"optimizeTilesForSize": "true", "compressionQuality": str(quality)}
    given = {parameter: value for parameter, value in parameters.items() if value is not None}
    parts = split_area(_AREA, given[_AREA], package_by) if package_by else []
    title = (name or out.stem).encode(errors="replace").decode()  # a name of a file may hold any bytes
    objects, url = open_source(source)
    found = inspect(source, objects, _member_name(title), url, tile_format=tile_format, quality=quality, **cache)
    print_messages(found.messages)
    service = replace(found.service, max_export_tiles_count=sys.maxsize)
    if service.cache.mosaic:  # its tiles are drawn as they are wanted
        given = {parameter: value for parameter, value in given.items() if parameter not in _TILE_OPTIONS}
    converted = replace(service, tile_format=TileFormat(tile_format)) if tile_format else service
    held = [lod.level for lod in service.tiling_scheme.lods if service.min_level <= lod.level <= service.max_level]
    if why := format_obstacle(converted, storage_format, held):
        raise OutputError(f"{why} {_advice(service)}")
    with _stopped_in_order():
        if not package_by:
            export_package(_local_export(service, title, given, Destination(out, is_replaced=force)), objects)
            return
        exports = []
        for part in parts:
            destination = Destination(out / f"{part.name}{suffix}", is_replaced=force)
            with naming_package(part):
                exports.append(_local_export(service, part.value, given | {_AREA: part.text}, destination))
        export_folder(out, exports, inputs, objects, skip_existing=skip_existing)


def _package_suffix(
    out: Path, areas: AreaOptions, package_by: str | None, package_format: str | None, *, skip_existing: bool
) -> str:
    """Return the suffix of each package.

    Raises:
        RequestError: the options of a folder of packages do not fit together.
    """
    if package_by is None:
        if package_format:
            text = "It is the format of the packages of --package-by; otherwise, OUT ends in it."
            raise RequestError(text, "package_format")
        if skip_existing:
            raise RequestError("It is an option of --package-by.", "skip_existing")
        return out.suffix.lower()
    if not areas.files:
        raise RequestError("It names an attribute of --area, which is missing.", PACKAGE_BY)
    if len(areas.files) > 1:
        raise RequestError("It divides the features of one --area; several are given.", PACKAGE_BY)
    if suffix := out.suffix.lower() if out.suffix.lower() in OUTPUTS else "":
        raise OutputError(f"'{out.name}' is no folder of packages. Use {out.stem} --format {suffix.removeprefix('.')}.")
    return f".{package_format or 'tpkx'}"


def _local_export(
    service: ImageService, title: str, parameters: Mapping[str, str], destination: Destination
) -> LocalExport:
    """Return an export, checked against the cache.

    Raises:
        RequestError: a parameter cannot be used.
    """
    request = read_export_request(parameters, service, must_name_reference=True)
    # The levels of the cache are known: an area too complex for levels without tiles is not refused because of them.
    wanted = [level for level in request.levels if service.min_level <= level <= service.max_level] or request.levels
    name = _member_name(title)
    titled = replace(service, name=name, title="" if title == name else title)
    return LocalExport(Export(titled, request.at_levels(wanted)), destination)


def _advice(service: ImageService) -> str:
    """Return which outputs a service can be exported to, as a sentence."""
    legal = legal_formats(service)
    suffixes = [suffix for suffix, (_, storage_format) in OUTPUTS.items() if suffix and storage_format in legal]
    if not suffixes:
        is_webp = service.tile_format is TileFormat.WEBP
        return "Convert the tiles with --tile-format." if is_webp else "No other output holds them either."
    names = " or ".join(filter(None, [", ".join(suffixes[:-1]), suffixes[-1]]))
    folder = ", or no suffix for a folder" if StorageFormat.COMPACT_V2 in legal else ""
    conversion = ", or convert the tiles with --tile-format" if service.tile_format is TileFormat.WEBP else ""
    return f"Use {names}{folder}{conversion}."


def _member_name(title: str) -> str:
    """Return a title as the name of files and folders in a package: up to 100 letters, digits and underscores."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", title)[:_LONGEST_MEMBER_NAME]
    return name if name.strip("_") else "Map"


def _with_reference(extent: str | None, wkid: int) -> str:
    """Return an extent of four numbers as an envelope with its spatial reference."""
    if extent is None or extent.lstrip().startswith("{"):
        raise RequestError("It is the spatial reference of the four numbers of --extent.", "extent_wkid")
    sides = extent.split(",")
    if len(sides) != len(_SIDES):
        return extent  # to be refused with the rest of the request
    with naming_parameter("extent_wkid"):
        SpatialReference(wkid).crs  # noqa: B018  raises if the reference is unknown
    return json.dumps(dict(zip(_SIDES, sides, strict=True)) | {"spatialReference": {"wkid": wkid}})


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that temporary files are removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
