"""Flawed tiles, from the worker to the client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EXAMPLES = 3
"""Number of flawed tiles that a job lists; the others are only counted."""


@dataclass(frozen=True, slots=True)
class FlawedTiles:
    """The number of flawed tiles, and the first few with their places and reasons."""

    count: int
    examples: tuple[str, ...]

    @classmethod
    def of(cls, flaws: Sequence[str]) -> "FlawedTiles":
        """Count flaws, each given as a place and a reason."""
        return cls(len(flaws), tuple(flaws[:EXAMPLES]))

    @classmethod
    def joined(cls, several: Sequence["FlawedTiles"]) -> "FlawedTiles":
        """Merge the flaws of several reports."""
        examples = [example for each in several for example in each.examples]
        return cls(sum(each.count for each in several), tuple(examples[:EXAMPLES]))

    def to_json(self) -> list[Any]:
        """Return count and examples."""
        return [self.count, *self.examples]

    @classmethod
    def from_json(cls, document: list[Any]) -> "FlawedTiles":
        """Return the flawed tiles of a JSON array."""
        count, *examples = document
        return cls(count, tuple(examples))
