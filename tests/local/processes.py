"""Whether processes live."""

import os
import time

HEARS_CTRL_C = ("env", "--default-signal=INT")
"""Goes before a command: what a shell starts in the background is deaf to SIGINT, and so is all that it starts."""


def group_lives(process_id):
    """Tell whether any process of a group is left."""
    try:
        os.killpg(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def group_ends(process_id, timeout_seconds=10.0):
    """Tell whether all processes of a group end in time."""
    deadline = time.monotonic() + timeout_seconds
    while group_lives(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not group_lives(process_id)
