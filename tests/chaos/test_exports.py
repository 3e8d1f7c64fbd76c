"""Whole exports with faults: each ends in a true state, and whole or not at all.

`make chaos` runs a thousand seeds; here are two rounds of all kinds of faults.
"""

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.runs import run

# It opens calm runs, and functions that are killed have no metrics to tell.
pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning"),
    pytest.mark.no_cover,  # others run the same lines
]


@pytest.mark.parametrize("seed", range(2 * len(KINDS)), ids=lambda seed: f"{seed} {KINDS[seed % len(KINDS)].name}")
def test_an_export_with_faults_ends_whole_or_leaves_nothing_but_true_words(seed):
    outcome = run(seed)

    assert outcome.problems == [], f"{outcome.scenario} {outcome.planned}"
    assert seed >= len(KINDS) or outcome.hits[KINDS[seed].name], "a fault that never happens is a hole"
