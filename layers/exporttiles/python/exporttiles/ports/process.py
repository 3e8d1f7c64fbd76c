"""The process: its clock, what it uses of AWS, and other processes that work for it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

from exporttiles.domain.cost import Usage

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

RunAll: TypeAlias = Callable[[Callable[[_Item], _Result], Iterable[_Item]], Iterable[_Result]]
"""Calls a function with each item and yields the results in the same order: `map`, or that of a pool of processes."""


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...


class UsageMeter(Protocol):
    """Counts the requests and the memory of this process."""

    def snapshot(self) -> Usage:
        """Return the usage since the process began; the difference of two snapshots is the usage between them."""
        ...
