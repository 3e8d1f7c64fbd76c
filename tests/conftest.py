"""What all tests share."""


def pytest_make_parametrize_id(val, argname):
    """Call bytes by their length: a name must be the same in every process, and some bytes hold the time."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
