"""What all tests share."""

from hypothesis import settings

# A machine that is busy is no failure.
settings.register_profile("exporttiles", deadline=None)
settings.load_profile("exporttiles")


def pytest_make_parametrize_id(val, argname):
    """Call bytes by their length: a name must be the same in every process, and some bytes hold the time."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
