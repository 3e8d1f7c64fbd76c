"""What is used of AWS."""

from typing import Protocol

from exporttiles.domain.cost import Use


class Meter(Protocol):
    """Counts what this process uses of AWS."""

    def read(self) -> Use:
        """Return what was used so far: two readings tell what was used between them."""
        ...
