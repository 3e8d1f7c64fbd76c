"""Byte ranges to request when many records of a file are needed."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FREE_GAP_BYTES = 512
"""Shorter gaps are always read too: the headers of a request are longer."""


def coalesce(
    offsets: ArrayLike,
    sizes: ArrayLike,
    *,
    overfetch: float = 0.05,
    max_range_bytes: int = 16 * 2**20,
) -> list[tuple[int, int]]:
    """Return few ranges ``[start, stop)`` that cover all records.

    The smallest gaps between records are read through first, until the
    unwanted bytes have used up their budget; no fixed gap suits both a
    row-major bundle and one whose tiles lie in the order they were drawn.

    Args:
        offsets: (n) first bytes of the records, in any order.
        sizes: (n) their lengths in bytes; records may overlap or be shared.
        overfetch: unwanted bytes allowed, as a share of the wanted ones.
        max_range_bytes: no range is longer, unless a single record is.

    Returns:
        Ranges in ascending order; no record is cut by the end of a range.
    """
    starts, ends = _records(offsets, sizes)
    if not len(starts):
        return []
    order = np.lexsort((ends, starts))
    starts, ends = starts[order], np.maximum.accumulate(ends[order])

    jumps = starts[1:] - ends[:-1]
    gaps = np.maximum(jumps, 0)
    wanted = int(ends[-1] - starts[0]) - int(gaps.sum())
    by_size = np.argsort(gaps, kind="stable")
    is_read = np.empty(len(gaps), np.bool_)
    is_read[by_size] = np.cumsum(gaps[by_size]) <= overfetch * wanted
    is_read |= gaps <= FREE_GAP_BYTES

    first = np.flatnonzero(np.concatenate(([True], ~is_read)))
    stop = np.append(first[1:], len(starts))
    ranges: list[tuple[int, int]] = []
    spans = zip(
        first.tolist(),
        stop.tolist(),
        starts[first].tolist(),
        ends[stop - 1].tolist(),
        strict=True,
    )
    for number, number_stop, start, end in spans:
        if end - start <= max_range_bytes:
            ranges.append((start, end))
        else:
            ranges += _split(starts, ends, number, number_stop, max_range_bytes)
    return ranges


def slice_records(
    ranges: Sequence[tuple[int, int]],
    bodies: Iterable[bytes | memoryview],
    offsets: ArrayLike,
    sizes: ArrayLike,
) -> list[memoryview]:
    """Return the records in the order of `offsets`, as views of the ranges read.

    Args:
        ranges: as `coalesce` returned them for these records.
        bodies: the bytes of each range.
        offsets: (n) first bytes of the records.
        sizes: (n) their lengths in bytes.
    """
    found = dict(numbered_records(ranges, bodies, offsets, sizes))
    return [found[number] for number in range(len(found))]


def numbered_records(
    ranges: Sequence[tuple[int, int]],
    bodies: Iterable[bytes | memoryview],
    offsets: ArrayLike,
    sizes: ArrayLike,
) -> Iterator[tuple[int, memoryview]]:
    """Yield each record as its index in `offsets` and a view, as soon as its range is read.

    A range is kept in memory only as long as its records are.

    Args:
        ranges: as `coalesce` returned them for these records.
        bodies: the bytes of each range; may be a generator.
        offsets: (n) first bytes of the records.
        sizes: (n) their lengths in bytes.
    """
    starts, ends = _records(offsets, sizes)
    range_starts = np.array([start for start, _ in ranges], np.int64)
    of_range = np.searchsorted(range_starts, starts, side="right") - 1
    order = np.argsort(of_range, kind="stable")
    edges = np.searchsorted(of_range[order], np.arange(len(ranges) + 1)).tolist()
    for number, body in enumerate(bodies):
        held = order[edges[number] : edges[number + 1]]
        begin, end = (starts[held] - ranges[number][0]).tolist(), (ends[held] - ranges[number][0]).tolist()
        view = memoryview(body)
        for record, first, stop in zip(held.tolist(), begin, end, strict=True):
            yield record, view[first:stop]


def _records(offsets: ArrayLike, sizes: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.asarray(offsets, np.int64).ravel()
    return starts, starts + np.asarray(sizes, np.int64).ravel()


def _split(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    number: int,
    number_stop: int,
    max_range_bytes: int,
) -> list[tuple[int, int]]:
    """Cut the records ``[number, number_stop)`` into ranges, each as long as possible."""
    ranges = []
    while number < number_stop:
        start = int(starts[number])
        fitting = int(np.searchsorted(ends, start + max_range_bytes, side="right"))
        after = max(number + 1, min(number_stop, fitting))
        ranges.append((start, int(ends[after - 1])))
        number = after
    return ranges
