"""Memory management of the process: malloc options and garbage collection."""

import ctypes
import gc
from contextlib import suppress

# Source: mallopt(3), and malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Make malloc reuse freed memory for buffers of up to 32 MiB, in all threads.

    The first access to a new page takes as long as reading the data into it.
    Call this before threads start. It does nothing if the C library is not glibc.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def collect_garbage_less_often() -> None:
    """Collect garbage once in 100,000 new objects: tiles are many and never form cycles."""
    gc.freeze()  # imported objects are never collected
    gc.set_threshold(100_000)
