"""What this process has used: requests where they are made, memory by the second.

A function's process works on one request at a time, so that two readings of
one meter tell what was used between them.
"""

import os
import time
from threading import Lock

from exporttiles.domain.cost import Use


class ProcessMeter:
    """Counts from the start of the process.

    Args:
        gigabytes: memory that is paid for while the process works.
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

    def read(self) -> Use:
        """Return what was used so far."""
        return Use(self._gets, self._puts, time.monotonic() * self._gigabytes)


METER = ProcessMeter(int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")) / 1024)
"""The meter of this process; Lambda says how much memory it has."""
