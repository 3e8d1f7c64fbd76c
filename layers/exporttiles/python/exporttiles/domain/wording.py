"""Counts, sizes and levels as text in messages."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

_SIZE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a number and its noun: "1 tile", "1,024 tiles"."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def size_text(size_bytes: int) -> str:
    """Return a size in decimal units: "312 bytes", "4.2 MB", "120 MB"."""
    amount, unit = float(size_bytes), 0
    while amount >= 1000 and unit < len(_SIZE_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    if not unit:
        return counted(size_bytes, "byte")
    return f"{amount:,.{1 if amount < 10 else 0}f} {_SIZE_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a time that is known roughly: "a few seconds", "about 40 seconds", "about 5 minutes", "about 2 hours"."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds, -1):.0f} seconds"
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"about {counted(minutes if minutes < 10 else 5 * round(minutes / 5), 'minute')}"
    return f"about {counted(round(minutes / 60), 'hour')}"


def level_names(levels: Sequence[int]) -> str:
    """Return ascending levels as text: ``level 3`` or ``levels 0-3, 5, 7-9``."""
    runs: list[tuple[int, int]] = []
    for level in levels:
        if runs and runs[-1][1] == level - 1:
            runs[-1] = runs[-1][0], level
        else:
            runs.append((level, level))
    texts = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    return f"level{'s' if len(levels) > 1 else ''} {', '.join(texts)}"


def gap_names(levels: Iterable[int]) -> str:
    """Return the missing levels between others as ``level 3`` or ``levels 3, 5-7``; '' if there are none."""
    gaps = [level for lower, upper in pairwise(sorted(levels)) for level in range(lower + 1, upper)]
    return level_names(gaps) if gaps else ""
