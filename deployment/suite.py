"""The end-to-end tests as facts about a stack."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from defusedxml import ElementTree

from deployment.facts import Fact, Status, Subject
from local.cloud import ROOT

_TIMEOUT_SECONDS = 3_600


def run_tests(subject: Subject, key: str, tests: Sequence[str]) -> list[Fact]:
    """Run tests against a stack, and return a fact for each.

    Args:
        subject: the stack.
        key: name of the API key whose token the subject has.
        tests: arguments of pytest.
    """
    handed = {"EXPORTTILES_STACK": subject.stack.name, "EXPORTTILES_TOKEN": subject.token, "EXPORTTILES_KEY": key}
    with tempfile.TemporaryDirectory(prefix="exporttiles-") as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        try:
            done = subprocess.run(
                [*command, f"--junitxml={results}", "--tb=line", *tests],
                cwd=ROOT,
                env=os.environ | handed,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return [_all_failed(f"They took longer than {_TIMEOUT_SECONDS} s.")]
        facts = list(_facts(results)) if results.exists() else []
        return facts or [_all_failed((done.stdout + done.stderr)[-600:])]


def _all_failed(reason: str) -> Fact:
    return Fact("tests", "The end-to-end tests run.", Status.FAILED, reason)


def _facts(results: Path) -> Iterator[Fact]:
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.get("name", "")
        status, reason = Status.PROVED, ""
        for child in case:
            if child.tag in {"failure", "error"}:
                status = Status.FAILED
            elif child.tag == "skipped":
                status = Status.UNPROVED
            else:
                continue
            reason = child.get("message", "").splitlines()[0][:600]
        claim = name.removeprefix("test_").replace("_", " ").capitalize()
        yield Fact(f"{case.get('classname', '')}.{name}", f"{claim}.", status, reason)
