"""The README's statements on AWS equal those of the newest proof in docs/proof."""

from datetime import UTC, datetime

import pytest

from deployment.facts import Fact, Status
from deployment.report import README, limits, with_limits, write_proof

FACTS = [
    Fact(
        "packages.checksum",
        "S3 compares the checksum.",
        Status.PROVED,
        figures={"package_gigabytes": 2.05, "copy_megabytes_per_second": 312.5},
    ),
    Fact("faults.memory", "A worker says why.", Status.FAILED, "The job ended as esriJobSucceeded."),
    Fact("load.prefixes", "An export waits.", Status.UNPROVED, "It costs too much."),
    Fact("tests.e2e.test_roles.test_a", "A.", Status.UNPROVED, "Only on the emulator."),
    Fact("tests.e2e.test_roles.test_b", "B.", Status.UNPROVED, "Only on the emulator."),
]


@pytest.fixture
def written(tmp_path):
    """Write a proof of a day, in a region or on an emulator."""

    def write(day, facts=FACTS, endpoint=""):
        return write_proof(
            tmp_path,
            facts,
            time=datetime(2026, 12, day, tzinfo=UTC),
            region="eu-central-1",
            endpoint=endpoint,
            parameters={"TokenSecurity": "on"},
        )

    return write


def test_the_readme_says_what_the_newest_proof_says():
    text = README.read_text()

    assert limits() in text
    assert with_limits(text) == text


def test_without_a_proof_nothing_is_proved(tmp_path):
    assert limits(tmp_path / "proof").startswith("- Not yet proved on AWS.")


def test_what_the_emulator_said_is_no_proof(written, tmp_path):
    path = written(1, endpoint="http://127.0.0.1:4566")

    assert path.name == "2026-12-01-emulator.json"
    assert limits(tmp_path).startswith("- Not yet proved on AWS.")


def test_what_failed_and_what_is_unproved_is_named_with_its_reason(written, tmp_path):
    written(1)

    first, *others = limits(tmp_path).splitlines()
    assert "(eu-central-1, 2026-12-01, commit " in first
    assert "1 of 5 facts were [proved](docs/proof/2026-12-01-eu-central-1.json)" in first
    assert others == [
        "- A package of 2.05 GB was joined at 312.5 MB/s.",
        "- Failed on AWS: A worker says why (The job ended as esriJobSucceeded).",
        "- Not proved on AWS: An export waits (It costs too much); 2 end-to-end tests.",
    ]


def test_the_newest_proof_counts(written, tmp_path):
    written(2, FACTS[:1])
    written(1)

    assert "1 of 1 facts" in limits(tmp_path)


def test_a_proof_has_one_line_for_each_fact(written):
    lines = written(1).read_text().splitlines()

    assert sum('"status":' in line for line in lines) == len(FACTS)


def test_a_proof_does_not_name_the_account(written):
    reason = "arn:aws:lambda:eu-central-1:123456789012:function:f is throttled."

    text = written(1, [Fact("a.b", "C.", Status.FAILED, reason)]).read_text()

    assert "arn:aws:lambda:eu-central-1:<account>:function:f" in text
