"""What all tests share."""

import os

from hypothesis import settings

# A machine that is busy is no failure.
# Elsewhere each run hunts among other examples; continuous integration repeats the same ones.
settings.register_profile("exporttiles", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("exporttiles")


def pytest_make_parametrize_id(val, argname):
    """Call bytes by their length: a name must be the same in every process, and some bytes hold the time."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
