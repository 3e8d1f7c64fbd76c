"""Messages on the areas of an export that has several."""

from collections.abc import Iterator

from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.wording import counted, level_names


def area_messages(selection: ExportSelection) -> Iterator[Message]:
    """Yield the tiles of each area, and how readers of the package see them; nothing for a single area.

    Raises:
        AreaError, InvalidParameterError: an area is too complex to count.
    """
    areas = selection.request.areas
    if len(areas) == 1:
        return
    shared_count = -selection.count()
    for each, tile_count, why_empty in selection.parts():
        shared_count += tile_count
        if why_empty:
            yield Message(MessageKind.WARNING, f"{each.name}: No tile is selected: {why_empty}.")
        else:
            tiles = f"{counted(tile_count, 'tile')} of {level_names(each.levels)}"
            yield Message(MessageKind.INFORMATIVE, f"{each.name}: {tiles}.")
    if shared_count:
        text = f"{counted(shared_count, 'tile')} of several areas {'is' if shared_count == 1 else 'are'} exported once."
        yield Message(MessageKind.INFORMATIVE, text)
    text = "The extent of the package covers all areas; at each level, only the tiles of the areas of that level exist."
    yield Message(MessageKind.INFORMATIVE, text)
