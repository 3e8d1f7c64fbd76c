"""The runtime of a Lambda function."""

import logging

import pytest

from exporttiles.bootstrap.aws import from_environment


@pytest.mark.parametrize("name", ["botocore.auth", "botocore.endpoint", "urllib3.connectionpool"])
def test_clients_of_aws_log_no_credentials_even_if_functions_log_at_debug(monkeypatch, name):
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)  # as Lambda does with ApplicationLogLevel

    from_environment()

    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
