"""The estimated cost of a finished export."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporttiles.domain.cost import (
    GET_DOLLARS,
    GIGABYTE_SECOND_DOLLARS,
    PUT_DOLLARS,
    TRANSITION_DOLLARS,
    Usage,
    bill,
)

uses = st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**6), st.floats(0, 10**6))


def test_every_request_and_every_second_is_paid_for():
    none = bill(Usage(), 0, at_once=True).dollars

    assert bill(Usage(gets=1000), 0, at_once=True).dollars - none == pytest.approx(1000 * GET_DOLLARS)
    assert bill(Usage(puts=1000), 0, at_once=True).dollars - none == pytest.approx(1000 * PUT_DOLLARS)
    assert bill(Usage(gigabyte_seconds=90), 0, at_once=True).dollars - none == pytest.approx(
        90 * GIGABYTE_SECOND_DOLLARS
    )


def test_a_worker_is_a_function_call_and_two_transitions():
    few, many = (bill(Usage(), work_items, at_once=False) for work_items in (1, 11))

    assert (many.invocations - few.invocations, many.transitions - few.transitions) == (10, 20)
    assert many.dollars - few.dollars > 20 * TRANSITION_DOLLARS


def test_an_export_at_once_costs_less_than_its_steps_whatever_it_is():
    steps, at_once = (bill(Usage(100, 20, 3.0), 1, at_once=way) for way in (False, True))

    assert at_once.dollars < steps.dollars
    assert (at_once.invocations, at_once.transitions) == (3, 5)


@given(uses, uses)
def test_the_difference_of_two_snapshots_is_the_usage_between_them(before, between):
    after = before + between

    assert (after - before).gets == between.gets
    assert (after - before).puts == between.puts
    assert (after - before).gigabyte_seconds == pytest.approx(between.gigabyte_seconds, abs=1e-5)
