"""Caches, archives and areas as people have them: each comes out right, or is refused in words."""

import pytest

from tests.field.judge import faults
from tests.field.make_inputs import INPUTS


@pytest.mark.parametrize("found", INPUTS, ids=lambda found: found.name)
def test_an_input_comes_out_right_or_is_refused_in_words(found, tmp_path):
    assert list(faults(found, tmp_path)) == []
