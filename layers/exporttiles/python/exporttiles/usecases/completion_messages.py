"""Messages on a finished export: the package, the tiles that it lacks, and what it used."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from exporttiles.domain.cost import Bill
from exporttiles.domain.export import Blank
from exporttiles.domain.job import Job, Message, MessageKind, in_words
from exporttiles.domain.service import ImageService
from exporttiles.domain.wording import counted, level_names
from exporttiles.messages.export import Export
from exporttiles.messages.keys import CHANGES_NAME
from exporttiles.messages.packed_package import PackedPackage

_LEFT_OUT = {
    Blank.TRANSPARENT: ("blank tile was", "blank tiles were"),
    Blank.ONE_COLOR: ("tile of one color was", "tiles of one color were"),
}


def success_messages(job: Job, export: Export, packed: PackedPackage, billed: Bill, now: datetime) -> list[Message]:
    """Return the messages of a job that succeeds: on its package, its usage of AWS, and its time."""
    seconds = (now - job.submitted_at).total_seconds()
    used = (
        f"Used: {counted(billed.used.gets, 'read')} and {counted(billed.used.puts, 'write')} of S3, "
        f"{billed.used.gigabyte_seconds:,.1f} GB-s in {counted(billed.invocations, 'function call')}, "
        f"{counted(billed.transitions, 'state transition')}."
    )
    texts = [
        used,
        f"Estimated AWS cost: ${billed.dollars:.4f}, without storage and download.",
        f"Succeeded at {in_words(now)} (Elapsed Time: {seconds:.2f} seconds)",
    ]
    return [*completion_messages(export, packed), *(Message(MessageKind.INFORMATIVE, text) for text in texts)]


def completion_messages(export: Export, packed: PackedPackage) -> list[Message]:
    """Return the messages on a finished package: its size, and the tiles that it lacks."""
    warnings = [*_empty_levels(export, packed), *_flaws(packed), *packed.warnings]
    return [
        *(Message(MessageKind.WARNING, text) for text in warnings),
        *(Message(MessageKind.INFORMATIVE, text) for text in _contents(export, packed)),
    ]


def _empty_levels(export: Export, packed: PackedPackage) -> Iterator[str]:
    """Yield a warning about requested levels without tiles.

    Others have messages already: levels beyond those of the service, and gaps between delivered levels.
    """
    service = export.service
    found_levels = [level for level in export.request.levels if level not in packed.empty_levels]
    empty_levels = [
        level
        for level in packed.empty_levels
        if service.min_level <= level <= service.max_level and not found_levels[0] < level < found_levels[-1]
    ]
    if empty_levels:
        yield f"levels: The cache has no tiles of {level_names(empty_levels)} in the selected area."


def _flaws(packed: PackedPackage) -> Iterator[str]:
    """Yield warnings about missing and flawed tiles."""
    flaws: list[tuple[int, str, Sequence[str]]] = [
        (
            packed.missing_count - packed.empty_tile_count,
            "Selected tiles that do not exist in the cache and are left out",
            (),
        ),
        (packed.left_out.count, "Selected tiles that cannot be used and are left out", packed.left_out.examples),
        (
            packed.not_recompressed.count,
            "Tiles that cannot be recompressed and are left as they are",
            packed.not_recompressed.examples,
        ),
    ]
    for count, text, examples in flaws:
        if count:
            listed = f" ({'; '.join(examples)})" if examples else ""
            yield f"{text}: {count:,}{listed}."


def _contents(export: Export, packed: PackedPackage) -> Iterator[str]:
    """Yield sentences on the contents of a package."""
    tiles = counted(packed.tile_count, "tile is", "tiles are")
    yield f"{tiles} in {packed.name}: {counted(packed.size_bytes, 'byte')}."
    if export.request.skipped and packed.skipped_count:
        yield left_out_text(export.request.skipped, packed.skipped_count)
    if export.request.since:
        yield (
            f"{counted(packed.up_to_date_count, 'tile has', 'tiles have')} not changed since {since_text(export)} "
            f"and {'is' if packed.up_to_date_count == 1 else 'are'} left out; "
            f"{CHANGES_NAME} beside the package lists the others."
        )
    if export.as_drawn.request.compression_quality is not None:
        yield (
            f"Recompressed to JPEG quality {export.request.compression_quality}; "
            f"the tiles had {counted(packed.source_bytes, 'byte')} before."
        )


def left_out_text(skipped: Blank, count: int) -> str:
    """Return how many tiles without contents were left out, as a sentence."""
    return f"{counted(count, *_LEFT_OUT[skipped])} left out."


def since_text(export: Export) -> str:
    """Return the time since which a delta has the changed tiles."""
    return f"{export.request.since:%Y-%m-%d %H:%M:%S} UTC"


def no_tile_exists(service: ImageService, selected_count: int) -> str:
    """Return the message on an export without tiles."""
    none = f"None of the {selected_count:,} selected tiles exists" if selected_count > 1 else "The selected tile is not"
    return f"levels: {none} in the cache, which has tiles of the levels {service.min_level}-{service.max_level}."
