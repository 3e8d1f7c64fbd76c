"""Exports that share a quota of concurrent functions become slow, but none fails."""

from dataclasses import replace

import pytest

from tests.workflow.account import THROTTLED, Account, Ended, Load, without_retriers_of
from tests.workflow.stack import TEMPLATE

EXPORT_TIMEOUT_SECONDS = TEMPLATE["Parameters"]["ExportTimeoutSeconds"]["Default"]
MAX_CONCURRENCY = TEMPLATE["Parameters"]["MaxConcurrency"]["Default"]
WORKER_SECONDS = {"bundles": (5, 20), "files": (60, 240)}
PACKAGES_AT_ONCE = TEMPLATE["Parameters"]["PackagesAtOnce"]["Default"]
MOST_PACKAGES = TEMPLATE["Parameters"]["MaxPackagesPerBatch"]["Default"]
EVENTS_OF_A_HISTORY = 25_000  # a hard quota of Step Functions


def an_export(cache: str, workers: int, begins: float = 0) -> Load:
    """Return an export of three items for each worker."""
    others = {"PlanExport": (2, 10), "PackTilePackage": (20, 120), "CloseJob": (1, 3)}
    return Load({**others, "ExportTileRange": WORKER_SECONDS[cache]}, 3 * workers, workers, begins)


def a_small_export(begins: float) -> Load:
    """Return an export that one function makes."""
    return Load({"ExportAtOnce": (5, 20), "CloseJob": (1, 3)}, items=0, workers=0, begins=begins)


# Functions that the account has left, and the exports that begin at the same time.
ACCOUNTS = {
    "a new account, quota 10": (10, [an_export("bundles", 28)]),
    "a new account, three exports": (10, [an_export("files", 28)] * 3),
    "a new account, as many workers as one export may have": (10, [an_export("files", MAX_CONCURRENCY)]),
    "quota 1,000, six exports of files": (1_000, [an_export("files", MAX_CONCURRENCY)] * 6),
    "quota 1,000, six exports of bundles": (1_000, [an_export("bundles", MAX_CONCURRENCY)] * 6),
    "quota 1,000, of which others use 900": (100, [an_export("files", MAX_CONCURRENCY)] * 6),
}


def failures(ended: list[Ended]) -> list[Ended]:
    return [each for each in ended if not each.has_succeeded or each.seconds > EXPORT_TIMEOUT_SECONDS]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("free", "loads"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_exports_that_are_throttled_succeed(free, loads, seed):
    account = Account(free, seed=seed)

    ended = account.run(loads)

    assert account.tries["throttled"] > 100
    assert failures(ended) == []
    assert max(each.events for each in ended) < EVENTS_OF_A_HISTORY / 10


@pytest.mark.parametrize(("free", "loads"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_they_would_fail_if_throttles_were_tried_again_like_other_errors(free, loads):
    assert failures(Account(free, machine=without_retriers_of(THROTTLED)).run(loads))


@pytest.mark.parametrize(("free", "loads"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_waiting_for_a_function_leaves_few_of_them_idle(free, loads):
    busy_seconds = sum(load.items * sum(load.seconds["ExportTileRange"]) / 2 for load in loads)

    ended = Account(free).run(loads)

    ends_of_each = 2 * (10 + 240 + 120 + 60)  # a plan, a last item, a package, a wait: while others have ended
    assert max(each.seconds for each in ended) < 1.2 * busy_seconds / free + ends_of_each


@pytest.mark.parametrize("seed", range(3))
def test_equal_exports_get_equal_shares(seed):
    ended = Account(100, seed=seed).run([an_export("files", MAX_CONCURRENCY)] * 6)

    assert max(each.seconds for each in ended) < 1.1 * min(each.seconds for each in ended)


@pytest.mark.parametrize("seed", range(3))
def test_with_reserved_workers_small_exports_need_not_wait_for_large_ones(seed):
    large = [an_export("files", MAX_CONCURRENCY)] * 2
    small = [a_small_export(begins) for begins in range(300, 900, 20)]

    shared = Account(100, seed=seed).run([*large, *small])[2:]
    apart = Account(20, reserved=80, seed=seed).run([*large, *small])[2:]

    assert failures(shared) == failures(apart) == []
    assert max(each.seconds for each in apart) < 30
    assert max(each.seconds for each in shared) > 10 * 30


def a_batch(count, cache="bundles", workers=10):
    """Return a batch of exports, as many of them at a time as the template says."""
    package = an_export(cache, workers)
    seconds = package.seconds | {"SubmitPackage": (0.2, 1)}
    return Load(
        {"CloseJob": (1, 3)}, 0, 0, packages=[replace(package, seconds=seconds)] * count, at_once=PACKAGES_AT_ONCE
    )


@pytest.mark.parametrize("free", [10, 100, 1_000])
def test_a_batch_that_is_throttled_makes_all_of_its_packages(free):
    account = Account(free)

    (ended,) = account.run([a_batch(MOST_PACKAGES // 5)])

    assert failures([ended]) == []
    assert ended.events < EVENTS_OF_A_HISTORY / 10


def test_a_batch_of_hundreds_of_packages_leaves_other_callers_their_share():
    alone = Account(1_000).run([an_export("bundles", 28, begins=300)])
    beside = Account(1_000).run([a_batch(MOST_PACKAGES), an_export("bundles", 28, begins=300)])
    at_once = replace(a_batch(MOST_PACKAGES), at_once=MOST_PACKAGES)
    unbounded = Account(1_000).run([at_once, an_export("bundles", 28, begins=10)])

    assert beside[1].seconds < 1.5 * alone[0].seconds + 60
    assert unbounded[1].seconds > beside[1].seconds
