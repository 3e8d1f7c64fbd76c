"""How the memory of this process is managed."""

import ctypes
import gc
from contextlib import suppress

# Source: mallopt(3), and malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Let buffers of up to 32 MiB be made of memory that was used before, whichever thread asks.

    A page that is new to a process costs as much time as what is read into
    it. To be called before there are threads; where the C library is not
    glibc, nothing happens.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def collect_seldom() -> None:
    """Look for objects that hold each other once in 100,000 new ones: tiles are many and hold nobody."""
    gc.freeze()  # what was imported stays
    gc.set_threshold(100_000)
