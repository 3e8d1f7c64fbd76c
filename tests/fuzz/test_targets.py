"""External bytes never crash a parser: a short search with hypothesis."""

import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporttiles.domain.errors import ExportTilesError
from tests.fuzz.targets import TARGETS

MOST_SECONDS = 10  # for one input, on a busy machine
NUMBERS = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40 - 1, 2**63, 2**64 - 1]


def edits():
    """Places and what is put there: numbers at their limits, bytes, repetitions; and how much is taken out."""
    numbers = st.sampled_from(NUMBERS).map(lambda number: number.to_bytes(8, "little"))
    words = st.sampled_from([b"{", b"[", b'"', b"\0", b"NaN", b"1e999", b"-", b"&x;", b"../", b"{level}", b"<script>"])
    new = st.binary(max_size=4) | numbers | words | words.map(lambda word: word * 2000)
    return st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), new), min_size=1, max_size=6)


def bent(seed, changes):
    for share, taken, new in changes:
        at = int(share * len(seed))
        seed = seed[:at] + new + seed[at + taken :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")  # what Pillow and PROJ say of damaged files
def test_a_parser_returns_or_refuses_whatever_it_is_given(name):
    target = TARGETS[name]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(target.seeds())), edits())
    def hunt(seed, changes):
        began = time.perf_counter()
        with suppress(ExportTilesError):
            target.read(bent(seed, changes))
        assert time.perf_counter() - began < MOST_SECONDS

    hunt()


@pytest.mark.parametrize("name", TARGETS)
def test_the_examples_of_a_parser_reach_it(name):
    refused = 0
    seeds = list(TARGETS[name].seeds())
    for seed in seeds:
        try:
            TARGETS[name].read(seed)
        except ExportTilesError:
            refused += 1

    assert refused < len(seeds)
