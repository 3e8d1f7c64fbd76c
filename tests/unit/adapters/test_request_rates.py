"""Workers that read a cache of single files stay below the request rate of an S3 prefix.

The simulation counts 10 ms steps. S3 answers 5,500 requests a second below a prefix and refuses the others with 503
SlowDown; it splits a prefix in two after a minute of refusals. AWS publishes the rate, and only that prefixes split
"gradually": the minute is an assumption, and every test also holds when no prefix is ever split.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from exporttiles.adapters.object_stores import retries
from exporttiles.domain.plan import FILE_READS_PER_SECOND, concurrency, file_readers, worker_seconds

TILES = 1_000_000
TILE_BYTES = 14_000
READERS = 32  # threads of a worker
ANSWER_SECONDS = 0.02
STEP_SECONDS = 0.01
PATIENCE = timedelta(seconds=120)
NEVER = 10**9


@dataclass(frozen=True)
class Outcome:
    """What came of reading all tiles."""

    seconds: float
    refused: int
    failed: int


def read_all(workers, config, split_after_seconds=60):
    """Simulate workers that read tiles until all are read; a request fails when its retries are used up."""
    rng = np.random.default_rng(0)
    least, most = (config["backoff"][f"{name}_backoff"].total_seconds() for name in ("init", "max"))
    patience = config["retry_timeout"].total_seconds()
    next_at = rng.uniform(0, ANSWER_SECONDS, workers * READERS)
    began_at, waits, tries = next_at.copy(), np.full(len(next_at), least), np.zeros(len(next_at), int)
    left, now, prefixes, busy_seconds, refused, failed = TILES, 0.0, 1, 0.0, 0, 0
    while left > 0:
        now += STEP_SECONDS
        asking = rng.permutation(np.flatnonzero(next_at <= now))
        room = min(left, int(prefixes * FILE_READS_PER_SECOND * STEP_SECONDS))
        answered, throttled = asking[:room], asking[room:]
        left -= len(answered)
        busy_seconds += STEP_SECONDS if len(throttled) else 0
        if busy_seconds > split_after_seconds:
            prefixes, busy_seconds = 2 * prefixes, 0.0
        gives_up = (tries[throttled] >= config["max_retries"]) | (now - began_at[throttled] > patience)
        refused, failed = refused + len(throttled), failed + int(gives_up.sum())
        again = throttled[~gives_up]
        waits[again] = np.minimum(most, rng.uniform(least, config["backoff"]["base"] * waits[again]))
        next_at[again], tries[again] = now + waits[again], tries[again] + 1
        begun = np.concatenate((answered, throttled[gives_up]))
        next_at[begun] = began_at[begun] = now + ANSWER_SECONDS
        waits[begun], tries[begun] = least, 0
    return Outcome(now, refused, failed)


def planned_workers(exports=1):
    seconds = worker_seconds(TILES, TILES * TILE_BYTES, from_files=True, recompressed=False)
    return exports * concurrency(10_000, seconds, min(200, file_readers(TILES, seconds, FILE_READS_PER_SECOND)))


@pytest.mark.parametrize("split_after_seconds", [60, NEVER], ids=["split", "never split"])
def test_one_export_reads_a_million_files_about_as_fast_as_a_prefix_allows(split_after_seconds):
    outcome = read_all(planned_workers(), retries(PATIENCE), split_after_seconds)

    assert outcome.failed == 0
    assert outcome.refused < TILES / 5
    assert outcome.seconds < 1.2 * TILES / FILE_READS_PER_SECOND


@pytest.mark.parametrize("split_after_seconds", [60, NEVER], ids=["split", "never split"])
@pytest.mark.parametrize("workers", [planned_workers(exports=10), 95, 200])
def test_no_read_fails_however_many_exports_share_a_prefix(workers, split_after_seconds):
    """Two hundred workers are what one export may have with FileReadsPerSecond raised, or thirty exports at once."""
    assert read_all(workers, retries(PATIENCE), split_after_seconds).failed == 0


def test_waits_that_do_not_grow_and_little_patience_would_fail_reads():
    """Show that the simulation can fail, with the waits that were used before."""
    backoff = retries(PATIENCE)["backoff"] | {"base": 2}

    assert read_all(95, {"max_retries": 30, "backoff": backoff, "retry_timeout": timedelta(seconds=15)}).failed > 100
