"""SIGTERM as an exception, so that contexts can clean up."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def exit_on_sigterm() -> Iterator[Callable[[], None]]:
    """Raise SystemExit in the main thread at SIGTERM; do nothing in other threads.

    Yields:
        A function that raises it again after SIGTERM: Python drops exceptions that are raised during a finalizer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    received: list[int] = []

    def leave(signal_number: int, _frame: object) -> NoReturn:
        received.append(signal_number)
        raise SystemExit(128 + signal_number)

    def leave_if_ended() -> None:
        if received:
            raise SystemExit(128 + received[0])

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield leave_if_ended
    finally:
        signal.signal(signal.SIGTERM, previous)
