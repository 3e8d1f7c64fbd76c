"""Counts and levels as text in messages."""

from collections.abc import Iterable, Sequence
from itertools import pairwise


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a number and its noun: "1 tile", "1,024 tiles"."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


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
