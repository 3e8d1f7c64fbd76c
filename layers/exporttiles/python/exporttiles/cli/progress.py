"""Progress on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_STEPS = 1_000


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar, or the title alone where there is no terminal.

    Yields:
        A function that takes what is done and the total, often: it draws at most a thousand times.
    """
    with click.progressbar(length=_STEPS, label=title, show_eta=False) as bar:

        def show(done: int, total: int) -> None:
            steps = _STEPS * min(done, total) // total if total else _STEPS
            if steps > bar.pos:
                bar.update(steps - bar.pos)

        yield show
