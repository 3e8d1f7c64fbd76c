"""Process groups of tests: whether they run or have ended."""

import os
import time

HEARS_CTRL_C = ("env", "--default-signal=INT")
"""Prefix of a command that restores SIGINT: background jobs of a shell ignore it, and so do their children."""


def group_lives(process_id):
    """Return True if any process of a group is running."""
    try:
        os.killpg(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def group_ends(process_id, timeout_seconds=10.0):
    """Wait for a process group. Return True if all of it ends in time."""
    deadline = time.monotonic() + timeout_seconds
    while group_lives(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not group_lives(process_id)
