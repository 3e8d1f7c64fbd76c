"""Reading SQLite files from outside.

Such a file may hold views and triggers of any kind: it is opened for reading
alone, its views may call few functions and not recurse, and steps and values are bounded.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from exporttiles.domain.errors import DamagedCacheError
from exporttiles.formats.caches.file_kinds import HEAD_BYTES, kind_of_bytes

Row = Sequence[Any]

STEPS = 2 * 10**9
"""Limit of the steps of SQLite's machine for one query, about half a minute; files of more than 64 MB have more."""

_STEPS_A_BYTE = 32
_STEPS_AT_ONCE = 10**6
_MAX_VALUE_BYTES = 64 * 2**20
_FUNCTIONS = frozenset(
    {"cast", "coalesce", "count", "glob", "ifnull", "length", "like", "lower", "max", "min", "substr", "sum", "typeof"}
)
_ALLOWED = frozenset({sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT})
_PRAGMAS = frozenset({"application_id", "foreign_key_check", "integrity_check"})


class UntrustedDatabase:
    """An SQLite file, open for reading.

    Args:
        path: of the file; nothing is written beside it.
    """

    def __init__(self, path: Path) -> None:
        self._steps = (STEPS + _STEPS_A_BYTE * path.stat().st_size) // _STEPS_AT_ONCE
        self._steps_left = self._steps
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        self._database.set_progress_handler(self._is_too_much, _STEPS_AT_ONCE)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.set_authorizer(_authorize)

    def __enter__(self) -> Self:
        """Return the database itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._database.close()

    def rows(self, query: str, *values: object) -> Iterator[Row]:
        """Yield the rows of a query.

        Raises:
            sqlite3.Error: the file is damaged or hostile; `failure` says why.
            UnicodeDecodeError: it holds text that is not UTF-8.
        """
        self._steps_left = self._steps
        yield from self._database.execute(query, values)

    def tables(self) -> set[str]:
        """Return the names of the tables and views."""
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}

    def _is_too_much(self) -> bool:
        self._steps_left -= 1
        return self._steps_left < 0


def failure(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> str:
    """Return why reading a file failed, as a sentence."""
    if isinstance(error, UnicodeDecodeError):
        return "It holds text that is not UTF-8."
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_NOTADB:
        with path.open("rb") as file:
            kind = kind_of_bytes(file.read(HEAD_BYTES)) or ""
        is_other = kind and not kind.startswith("an SQLite")
        return f"It is {kind}, not an SQLite database." if is_other else "It is not an SQLite database."
    if code == sqlite3.SQLITE_INTERRUPT:
        return "Reading its tables takes far more steps than a file of this size should."
    if code == sqlite3.SQLITE_AUTH or "not authorized" in str(error):
        return "One of its views recurses, writes or calls a function that is not allowed."
    return f"It cannot be read: {error}."


def require_no_pending_changes(path: Path) -> None:
    """Refuse a database whose last changes are in a file beside it, which is not read.

    Raises:
        DamagedCacheError: there is such a file.
    """
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(f"{path.name}{suffix}")
        if beside.exists() and beside.stat().st_size:
            raise DamagedCacheError(
                f"{path.name}: {beside.name} holds changes that are not in the file yet. Close the program that writes "
                "it, or open the file in one that finishes them, such as sqlite3."
            )


def quoted(name: str) -> str:
    """Return the name of a table or view, quoted for a query."""
    return '"' + name.replace('"', '""') + '"'


def _authorize(action: int, name: str | None, detail: str | None, *_: object) -> int:
    is_function = action == sqlite3.SQLITE_FUNCTION and (detail or "").lower() in _FUNCTIONS
    is_pragma = action == sqlite3.SQLITE_PRAGMA and (name or "").lower() in _PRAGMAS
    return sqlite3.SQLITE_OK if action in _ALLOWED or is_function or is_pragma else sqlite3.SQLITE_DENY
