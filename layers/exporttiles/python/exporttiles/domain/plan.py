"""Cutting an export into work items of about the same cost.

A work item is one or more whole bundles: a bundle has one writer, always, so
that no tile can be lost between two of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from exporttiles.domain.errors import AreaError
from exporttiles.domain.tiling import BundleIndex

Bundle = TypeVar("Bundle")

FRAGMENT_TARGET_BYTES = 16 * 1024 * 1024
"""What a work item aims to write: well above the 5 MiB that a part of a
multipart upload must have, so that an estimate may be three times too high."""

MAX_WORK_ITEMS = 8_000
"""An upload has 10,000 parts at most; the rest is room for the tail."""

BUNDLE_OVERHEAD_BYTES = 64 + 128 * 128 * 8
"""Header and index of a bundle, whatever it holds."""

MAX_BUNDLES = 1_000_000
"""Bundles of one export that a planner takes on."""


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """A bundle and how many tiles of it are selected."""

    index: BundleIndex
    tile_count: int

    def size_bytes(self, average_tile_bytes: int) -> int:
        """Return about how large the bundle will be."""
        return BUNDLE_OVERHEAD_BYTES + self.tile_count * average_tile_bytes


def fragment_target_bytes(total_bytes: int) -> int:
    """Return how many bytes a work item should write, for a package of a size.

    It grows with the job, so that the number of parts stays bounded and the
    largest export is limited by the store, not by us.
    """
    return max(FRAGMENT_TARGET_BYTES, total_bytes // (MAX_WORK_ITEMS // 2))


def limited(bundles: Iterable[Bundle]) -> Iterator[Bundle]:
    """Yield bundles until there are more than a planner can take on.

    Raises:
        AreaError: there are.
    """
    for number, bundle in enumerate(bundles):
        if number >= MAX_BUNDLES:
            raise AreaError(f"The area touches more than {MAX_BUNDLES:,} bundles: export it in parts.")
        yield bundle


def group_bundles(
    bundles: Iterable[PlannedBundle], average_tile_bytes: int, target_bytes: int
) -> Iterator[tuple[PlannedBundle, ...]]:
    """Yield groups of neighbouring bundles that each cost about the target.

    Small bundles are gathered; a heavy one stands alone unless what was
    gathered before it is too little for a fragment of its own. Order is kept,
    so a package lists its bundles as the scheme does.
    """
    group: list[PlannedBundle] = []
    group_bytes = 0
    for bundle in bundles:
        size_bytes = bundle.size_bytes(average_tile_bytes)
        if target_bytes // 2 <= group_bytes and group_bytes + size_bytes > target_bytes:
            yield tuple(group)
            group, group_bytes = [], 0
        group.append(bundle)
        group_bytes += size_bytes
        if group_bytes >= target_bytes:
            yield tuple(group)
            group, group_bytes = [], 0
    if group:
        yield tuple(group)
