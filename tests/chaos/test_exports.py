"""Whole exports with faults: each succeeds completely, or fails with the cause and leaves nothing behind.

`make chaos` runs a thousand seeds, these tests two of each kind of fault.
"""

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.runs import run

# Functions that are killed have no metrics to publish.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")


@pytest.mark.parametrize("seed", range(2 * len(KINDS)), ids=lambda seed: f"{seed} {KINDS[seed % len(KINDS)].name}")
def test_an_export_with_faults_succeeds_or_fails_with_the_cause_and_leaves_nothing(seed):
    outcome = run(seed)

    assert outcome.problems == [], f"{outcome.scenario} {outcome.planned}"
    assert seed >= len(KINDS) or outcome.hits[KINDS[seed].name], "the fault never happened"
