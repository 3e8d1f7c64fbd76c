"""SIGTERM ends a program in any case."""

import os
import signal

import pytest

from local.signals import exit_on_sigterm


class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_is_an_exception():
    with pytest.raises(SystemExit) as ended, exit_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)

    assert ended.value.code == 143


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sigterm_during_a_finalizer_is_not_lost():
    with exit_on_sigterm() as leave_if_ended:
        leave_if_ended()
        Finalized()  # the exception is printed and dropped

        with pytest.raises(SystemExit):
            leave_if_ended()
