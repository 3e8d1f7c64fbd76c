"""SIGTERM as an exception, so that contexts can clean up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Raise SystemExit in the main thread at SIGTERM; do nothing in other threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(signal_number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + signal_number)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
