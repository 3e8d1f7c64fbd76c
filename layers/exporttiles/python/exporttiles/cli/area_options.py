"""Options that select tiles: areas from files, and the levels of each."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from exporttiles.cli.area_file import AREA_FILES, AreaFile, read_area_file
from exporttiles.cli.command import Command, ExclusiveOption, filled
from exporttiles.cli.vector_file import Choice
from exporttiles.domain.errors import RequestError

_DISTANCE = re.compile(r"([-+]?[\d.].*?)\s*([A-Za-z]*)", re.ASCII)
_ORDER = "exporttiles.cli.order"
_MAX_NAME_CHARACTERS = 60


class AreaCommand(Command):
    """A command with `area_options`: an option after an --area belongs to this area."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, and keep the order of the options.

        Raises:
            UsageError: they cannot be used.
        """
        given = list(args)
        rest = super().parse_args(ctx, args)
        _, _, order = self.make_parser(ctx).parse_args(given)
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return rest


@dataclass(frozen=True, slots=True)
class AreaOption:
    """An --area and the options that belong to it; each None if it is absent."""

    area: Path | None = None
    area_layer: str | None = None
    area_where: str | None = None
    area_wkid: int | None = None
    buffer: str | None = None
    levels: str | None = None


@dataclass(frozen=True, slots=True)
class AreaOptions:
    """The areas of a command.

    Attributes:
        areas: at least one; if it is the only one, it may be without a file.
        tiles: names of tiles that are the area instead.
        overview_levels: levels of the full extent; None for none.
    """

    areas: tuple[AreaOption, ...]
    tiles: tuple[str, ...]
    overview_levels: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files of the areas."""
        return tuple(option.area for option in self.areas if option.area)

    def parameters(self, attribute: str | None = None) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the request parameters that the options stand for, and notes on the files.

        Args:
            attribute: name of an attribute that the features keep.

        Raises:
            RequestError: an option cannot be used, or a file cannot be read.
        """
        more = {"overviewLevels": self.overview_levels} if self.overview_levels else {}
        if self.tiles:
            more["tiles"] = json.dumps(self.tiles)
        if len(self.areas) == 1:
            members, notes = _read(self.areas[0], attribute)
            return members | more, notes
        elements: list[dict[str, str]] = []
        all_notes: list[str] = []
        for number, option in enumerate(self.areas):
            with _inside(f"areas[{number}]"):
                members, notes = _read(option, attribute)
                if option.levels is None:
                    text = "It is missing. Give --levels after each --area, or before the first one for all of them."
                    raise RequestError(text, "levels")
            elements.append(members | {"name": _name(option)})
            all_notes += [f"areas[{number}].{note}" for note in notes]
        return {"areas": json.dumps(elements)} | more, tuple(all_notes)


def area_options(*, are_levels_required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of areas to a function of an `AreaCommand`, which receives them as `AreaOptions`, `areas`."""
    options = (
        click.option(
            "--levels",
            multiple=True,
            required=are_levels_required,
            callback=_all_filled,
            metavar="LEVELS",
            help=f"Levels, such as 0-7 or 1-4,7-9.{'' if are_levels_required else '  [default: all with tiles]'}",
        ),
        click.option(
            "--area",
            type=click.Path(path_type=Path),
            multiple=True,
            cls=ExclusiveOption,
            excludes=["extent"],
            metavar="FILE",
            help=f"File of polygons, or of lines and points with --buffer: {AREA_FILES}. May be repeated: its options "
            "and --levels after it belong to it, those before the first one to all.  [default: all]",
        ),
        click.option(
            "--area-layer",
            multiple=True,
            callback=_all_filled,
            metavar="NAME",
            help="Layer of --area.  [default: the only one; all of KML and GPX]",
        ),
        click.option(
            "--area-where",
            multiple=True,
            callback=_all_filled,
            metavar="CONDITION",
            help="Features of --area by their attributes, such as \"NAME = 'Kern'\".  [default: all]",
        ),
        click.option(
            "--area-wkid",
            multiple=True,
            type=click.IntRange(min=1),
            metavar="WKID",
            help="Spatial reference of --area if the file names none, such as 26911.",
        ),
        click.option(
            "--buffer",
            multiple=True,
            callback=_all_filled,
            metavar="DISTANCE",
            help="Buffer lines, points and polygons of --area by this distance: in metres, or such as 5km or 300ft.",
        ),
        click.option(
            "--tile",
            multiple=True,
            cls=ExclusiveOption,
            excludes=["extent", "area"],
            metavar="Z/X/Y",
            help="Area of a tile of Web Mercator, by zoom/x/y or quadkey, instead of --area; may be repeated.",
        ),
        click.option(
            "--overview-levels",
            callback=filled,
            metavar="LEVELS",
            help="Levels of the full extent in addition to those of an area, such as 0-7.",
        ),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_areas(*arguments: Any, tile: tuple[str, ...], overview_levels: str | None, **values: Any) -> Any:
            context = click.get_current_context()
            found = {field.name: values.pop(field.name) for field in fields(AreaOption)}
            areas = AreaOptions(_group(context, found), tile, overview_levels)
            return command(*arguments, areas=areas, **values)

        decorated: Callable[..., Any] = with_areas
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _group(context: click.Context, values: dict[str, tuple[Any, ...]]) -> tuple[AreaOption, ...]:
    """Return each --area with the options after it, and those before the first one; the last of a kind counts.

    Raises:
        RequestError: an option stands before each --area, as if it belonged to the one after it.
    """
    following = {name: iter(found) for name, found in values.items()}
    common: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for name in (name for name in context.meta[_ORDER] if name in following):
        value = next(following[name])
        if name == "area":
            groups.append({name: value})
        else:
            (groups[-1] if groups else common)[name] = value
    for name in common:
        if any(name in group for group in groups) and name not in groups[-1]:
            text = "It stands before each --area, but belongs to the one before it. Move it after its --area."
            raise RequestError(text, name)
    return tuple(AreaOption(**common | group) for group in groups or [{}])


def _read(option: AreaOption, attribute: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the parameters of an area, or members of an element of `areas`, and notes on its file.

    Raises:
        RequestError: the file cannot be read, or an option has no file to choose from.
    """
    file = AreaFile("")
    if option.area is not None:
        file = read_area_file(option.area, Choice(option.area_layer, option.area_where, attribute), option.area_wkid)
    else:
        for name in ("area_layer", "area_where", "area_wkid"):
            if getattr(option, name) is not None:
                raise RequestError("It belongs to --area, which is missing.", name)
    members = {"levels": option.levels, "areaOfInterest": file.text or None, **_buffer_parameters(option)}
    return {name: value for name, value in members.items() if value is not None}, file.notes


def _buffer_parameters(option: AreaOption) -> dict[str, str]:
    """Return the request parameters of a distance, which may have a unit: `5km`.

    Raises:
        RequestError: there is no area.
    """
    if option.buffer is None:
        return {}
    if option.area is None:
        raise RequestError("It buffers --area, which is missing.", "bufferDistance")
    found = _DISTANCE.fullmatch(option.buffer.strip())
    if not (found and found[2]):
        return {"bufferDistance": option.buffer}
    return {"bufferDistance": found[1], "bufferUnit": found[2]}


def _name(option: AreaOption) -> str:
    """Return the name of the file, for messages."""
    name = option.area.name if option.area else ""
    return "".join(filter(str.isprintable, name.encode(errors="replace").decode()))[:_MAX_NAME_CHARACTERS]


def _all_filled(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty text, as `filled` does."""
    for text in texts:
        filled(context, parameter, text)
    return texts


@contextmanager
def _inside(element: str) -> Iterator[None]:
    """Name the element of `areas` in errors about an area."""
    try:
        yield
    except RequestError as error:
        error.parameter = f"{element}.{error.parameter}"
        raise
