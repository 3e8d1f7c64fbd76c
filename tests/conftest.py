"""What all tests share."""

import os

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# A machine that is busy is no failure.
# Elsewhere each run hunts among other examples; continuous integration repeats the same ones.
settings.register_profile("exporttiles", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("exporttiles")


OWN_STACKS = {
    "tests/deployment/test_prove.py": "throwaway stack",
    "tests/e2e/test_event_options.py": "event options",
    "tests/e2e/test_map_page.py": "map page",  # none at all
    "tests/e2e/test_reuse.py": "enforced roles",  # with the templates of test_roles.py
    "tests/e2e/test_roles.py": "enforced roles",
    "tests/e2e/test_sign_in_page.py": "pages with tokens",
    "tests/local/test_launcher.py": "launcher",
}
"""Test modules with a stack of their own -> name of the stack; the others in tests/e2e share one."""

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "ExportTiles/tests")  # which template.yaml sets for functions


class ByStack(LoadScopeScheduling):
    """Scheduler of pytest-xdist that runs the tests of one stack in one process, and any other test in any process."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        return OWN_STACKS.get(path, "shared stack" if path.startswith("tests/e2e/") else nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return ByStack(config, log)


def pytest_make_parametrize_id(val, argname):
    """Call bytes by their length: a name must be the same in every process, and some bytes hold the time."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None
