"""The clock of this machine, and the usage of this process: its requests, and its memory over time."""

import os
import time
from datetime import UTC, datetime
from threading import Lock

from exporttiles.domain.cost import Usage


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


class ProcessMeter:
    """Counts usage from the start of the process.

    A process of a Lambda function handles one request at a time: the
    difference of two snapshots belongs to that request.

    Args:
        gigabytes: memory that is paid for while the process runs.
    """

    def __init__(self, gigabytes: float) -> None:
        self._gigabytes = gigabytes
        self._lock = Lock()
        self._gets = self._puts = 0

    def count(self, *, gets: int = 0, puts: int = 0) -> None:
        """Count requests; from any thread."""
        with self._lock:
            self._gets += gets
            self._puts += puts

    def snapshot(self) -> Usage:
        """Return the usage since the process began."""
        return Usage(self._gets, self._puts, time.monotonic() * self._gigabytes)


METER = ProcessMeter(int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")) / 1024)
"""The meter of this process; Lambda states its memory."""
