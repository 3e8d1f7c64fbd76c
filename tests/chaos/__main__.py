"""Run many seeds, or one again: ``python -m tests.chaos [SEED]``."""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ["POWERTOOLS_LOG_LEVEL"] = "CRITICAL"  # read on import

from tests.chaos.faults import KINDS, LATE_END
from tests.chaos.runs import Outcome, run, silence_output

RUNS = 1_000
MOST_SECONDS = 300


def main(seeds: range) -> int:
    """Run seeds, print the results, and return 1 if any check failed or any kind of fault never happened."""
    began, outcomes = time.monotonic(), []
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=silence_output) as processes:
        for outcome in processes.map(run, seeds, chunksize=4):
            outcomes.append(outcome)
            if outcome.problems or len(seeds) == 1:
                print(f"seed {outcome.seed}: {outcome.scenario} {outcome.planned} {outcome.status}")
                print("".join(f"    {problem}\n" for problem in outcome.problems), end="", flush=True)
            if time.monotonic() - began > MOST_SECONDS:
                processes.shutdown(cancel_futures=True)
                break
    if len(seeds) > 1:
        print(table(outcomes))
    failed = [outcome.seed for outcome in outcomes if outcome.problems]
    print(f"{len(outcomes)} runs in {time.monotonic() - began:.0f} s, {len(failed)} failed: {failed}")
    missed = {kind.name for kind in [*KINDS, LATE_END]} - {name for outcome in outcomes for name in outcome.hits}
    if len(seeds) > 1 and missed:
        print(f"Never hit: {missed}")
        return 1
    return bool(failed)


def table(outcomes: list[Outcome]) -> str:
    """Return a table: for each kind of fault the runs it hit, those that WatchJobs had to end, and how they ended."""
    lines = [f"{'runs':>5} {'watchman':>8}  fault"]
    for kind in [*KINDS, LATE_END]:
        hit = [outcome for outcome in outcomes if outcome.hits[kind.name]]
        ends = Counter(outcome.status for outcome in hit)
        watchman = sum(outcome.needs_watchman for outcome in hit)
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
        lines.append(f"{len(hit):>5} {watchman:>8}  {kind.name}: {statuses}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(range(int(sys.argv[1]), int(sys.argv[1]) + 1) if len(sys.argv) > 1 else range(RUNS)))
