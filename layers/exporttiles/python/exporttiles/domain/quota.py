"""Limits of one caller: exports that have not ended, and tiles for each day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporttiles.domain.errors import QuotaExceededError
from exporttiles.domain.wording import counted

ANONYMOUS = "anonymous"
"""The caller that requests without an API key are counted for."""

EVENTS = "events"
"""The caller that request files, events and schedules without an API key are counted for."""

_WHOSE = {ANONYMOUS: "without an API key", EVENTS: "of events, schedules and request files"}


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a caller.

    Attributes:
        caller: id of an API key, `ANONYMOUS` or `EVENTS`.
        max_open_jobs: jobs that may be submitted, executing or cancelling at a time; 0 for any number.
        max_tiles_per_day: tiles that the jobs of one UTC day may select together; 0 for any number.
    """

    caller: str = ANONYMOUS
    max_open_jobs: int = 0
    max_tiles_per_day: int = 0

    @property
    def is_unlimited(self) -> bool:
        """Return True if there is nothing to count."""
        return not self.max_open_jobs and not self.max_tiles_per_day

    def open_jobs_exceeded(self, open_count: int) -> QuotaExceededError:
        """Return the error for a caller with too many open jobs."""
        exports = counted(open_count, f"export {self._whose} is", f"exports {self._whose} are")
        limit = f"unfinished, and the limit is {self.max_open_jobs:,}"
        text = f"{exports} {limit}. Send the request again when an export has ended."
        return QuotaExceededError(text, "MaxOpenJobs")

    def tiles_exceeded(self, tile_count: int, used_count: int, now: datetime) -> QuotaExceededError:
        """Return the error for a job that selects more tiles than are left for the day."""
        limit, left = self.max_tiles_per_day, max(0, self.max_tiles_per_day - used_count)
        selected = counted(tile_count, "tile is", "tiles are")
        text = f"{selected} selected, and exports {self._whose} have used {used_count:,} of {limit:,} tiles today."
        tomorrow = f"send the request again after {now + timedelta(days=1):%Y-%m-%d} 00:00 UTC"
        if tile_count > limit:
            advice = f"Select at most {limit:,} tiles"
        elif left:
            advice = f"Select at most {left:,}, or {tomorrow}"
        else:
            advice = tomorrow.replace("send", "Send", 1)
        return QuotaExceededError(f"{text} {advice}.", "MaxTilesPerDay")

    @property
    def _whose(self) -> str:
        return _WHOSE.get(self.caller, "of this API key")


UNLIMITED = Quota()
