"""Progress on a terminal: a bar that stays in its line, or plain lines where there is no terminal.

click.progressbar prints its label and nothing more where there is no terminal: a log of a long export would be silent.
"""

import sys
import time
from typing import Self

WIDTH = 30  # characters


class ProgressBar:
    """`with ProgressBar("uploading") as bar: bar(done, total)`; calls cost next to nothing."""

    def __init__(self, title: str) -> None:
        """Start the clock; nothing is printed yet."""
        self._title = title
        self._start = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self._next = self._interval = 0.1 if self._is_terminal else 2.0  # seconds
        self._last = ""

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Show `done` of `total`, at most ten times a second on a terminal and each two seconds elsewhere."""
        share = min(1.0, done / total) if total else 1.0
        self._last = f"{self._title:<24} {'#' * round(share * WIDTH):.<{WIDTH}} {share:4.0%}  {note}"
        if self.elapsed_seconds >= self._next:
            self._next = self.elapsed_seconds + self._interval
            self._print()

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing, with the time it took."""
        self._last = f"{self._last.rstrip()}  {self.elapsed_seconds:.1f} s"
        self._print()
        if self._is_terminal:
            sys.stdout.write("\n")

    def _print(self) -> None:
        sys.stdout.write(f"\r\x1b[K{self._last}" if self._is_terminal else f"{self._last}\n")
        sys.stdout.flush()


def say(line: str) -> None:
    """Print a line and flush it."""
    print(line, flush=True)
