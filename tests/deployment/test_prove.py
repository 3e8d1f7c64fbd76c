"""`make prove` on the emulator: every step runs, what it cannot answer stays unproved, and nothing is left."""

import json
import os
import signal
import subprocess
import sys

import pytest

from deployment import preflight, prove, questions
from deployment.facts import Size, Status
from deployment.stack import DeploymentError
from local.cloud import ARTIFACT_BUCKET, ROOT, LocalCloud
from tests.e2e.conftest import EMULATOR_ONLY

TESTS = {
    "tests/e2e/test_events.py::test_a_file_that_asks_for_the_impossible_is_answered_in_words": "proved",
    "tests/e2e/test_watchman.py::test_what_a_forgotten_job_left_is_removed": "unproved",
}
ONLY_ON_AWS = {each.name for each in (*preflight.QUESTIONS, *questions.QUESTIONS) if each.not_on_emulator}
NEVER = {"figures.bill", "load.prefixes"}
SMALL = ["--bundles", "3", "--bundle-megabytes", "5.5"]  # the least that S3 copies as a part


@pytest.fixture(scope="module")
def cloud():
    with LocalCloud(template=None) as cloud:
        yield cloud


def start(cloud, folder, *arguments, **environment):
    command = [sys.executable, "-m", "deployment.prove", "--endpoint", cloud.url, "--folder", str(folder), *SMALL]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def document_in(folder):
    (path,) = folder.iterdir()
    return json.loads(path.read_text())


def left_in(cloud):
    """Return the stacks and buckets that there are, but for what any deployment to the emulator needs."""
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    buckets = cloud.client("s3").list_buckets()["Buckets"]
    alive = [stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"]
    return alive + [bucket["Name"] for bucket in buckets if bucket["Name"] != ARTIFACT_BUCKET]


@pytest.fixture(scope="module")
def proof(cloud, tmp_path_factory):
    """What was said of a whole run on the emulator, its exit status and its document."""
    folder = tmp_path_factory.mktemp("proof")
    with start(cloud, folder, *TESTS) as run:
        said = run.stdout.read()
    return said, run.returncode, document_in(folder)


def test_every_question_is_answered_or_stays_unproved_with_a_reason(proof):
    said, status, document = proof
    facts = {fact["name"]: fact for fact in document["facts"]}
    asked = {each.name for each in (*preflight.QUESTIONS, *questions.QUESTIONS)}

    assert {name for name, fact in facts.items() if fact["status"] == "failed"} == set(), said
    assert asked | {"stack.deleted"} <= facts.keys()
    assert {name for name in asked if facts[name]["status"] == "proved"} == asked - ONLY_ON_AWS - NEVER
    assert all(fact["reason"] for fact in facts.values() if fact["status"] == "unproved")
    assert status == 0


def test_each_end_to_end_test_is_a_fact(proof):
    _, _, document = proof

    tests = {fact["name"].rpartition(".")[2]: fact["status"] for fact in document["facts"] if "e2e" in fact["name"]}
    assert tests == {path.rpartition("::")[2]: status for path, status in TESTS.items()}


def test_a_proof_has_one_line_for_each_fact_and_says_what_was_proved_where(proof, cloud):
    _, _, document = proof

    assert document["endpoint"] == cloud.url
    assert document["parameters"]["TokenSecurity"] == "on"
    assert document["parameters"]["SmallExportBytes"] == "0"
    assert document["commit"]
    (checksum,) = [fact for fact in document["facts"] if fact["name"] == "packages.checksum"]
    assert checksum["figures"].keys() >= {"package_gigabytes", "copy_megabytes_per_second"}


@pytest.mark.usefixtures("proof")
def test_nothing_is_left(cloud):
    assert left_in(cloud) == []


def test_a_run_that_is_ended_deletes_its_stack_and_writes_what_it_knows(cloud, tmp_path):
    with start(cloud, tmp_path, *TESTS) as run:
        for line in run.stdout:
            if line.startswith("Asking the stack"):
                run.send_signal(signal.SIGTERM)
        run.wait(60)

    facts = {fact["name"]: fact for fact in document_in(tmp_path)["facts"]}
    assert facts["stack.deleted"]["status"] == "proved"
    assert facts["update.running"]["reason"] == "The run ended before it was asked."
    assert left_in(cloud) == []


def test_a_stack_that_cannot_be_deployed_is_a_fact_too(cloud, tmp_path):
    with start(cloud, tmp_path, EMULATOR_PYTHON="/none") as run:
        said = run.stdout.read()

    facts = {fact["name"]: fact for fact in document_in(tmp_path)["facts"]}
    assert run.returncode == 1
    assert facts["proof.complete"]["reason"].startswith("/none is missing")
    assert facts["stack.deleted"]["status"] == "unproved"
    assert {fact["status"] for fact in facts.values()} == {"failed", "unproved"}, said


def test_aws_is_spent_nothing_before_somebody_agrees(cloud):
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "deployment.prove",
        ],  # without an endpoint: what the environment leads to is taken for AWS
        cwd=ROOT,
        env=os.environ | cloud.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "A throwaway stack in us-east-1, account 000000000000" in run.stdout
    assert run.stderr == "YES: Nothing was deployed. Set YES=1 to go on without a question.\n"
    assert left_in(cloud) == []


def test_an_emulator_that_has_a_stack_is_refused(cloud, tmp_path):
    api = cloud.client("apigatewayv2").create_api(Name="another", ProtocolType="HTTP")["ApiId"]
    with start(cloud, tmp_path) as run:
        said = run.stdout.read()
    cloud.client("apigatewayv2").delete_api(ApiId=api)

    assert said.endswith(f"ENDPOINT: {cloud.url} has a stack already, and room for one. Use ENDPOINT=local.\n")
    assert run.returncode == 1


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "e2e").glob("test_*.py")), ids=lambda path: path.stem)
def test_an_end_to_end_test_with_a_stack_of_its_own_proves_nothing_about_another(path):
    assert ("LocalCloud(" in path.read_text()) <= (path.stem in EMULATOR_ONLY)


def test_a_proof_costs_less_than_two_dollars():
    assert sum(preflight.price(Size(bundles=50, bundle_megabytes=41)).values()) < 2


def test_sam_deploys_what_make_deploy_deploys(monkeypatch, tmp_path):
    sam = tmp_path / "sam"
    sam.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n')
    sam.chmod(0o755)
    monkeypatch.setattr(prove, "SAM", sam)

    prove._deploy("", "exporttiles-prove-1", {"TokenSecurity": "on", "SmallExportBytes": "0"})

    command, *options = (tmp_path / "said").read_text().splitlines()
    assert command == "deploy"
    assert options[options.index("--stack-name") + 1] == "exporttiles-prove-1"
    assert options[options.index("--parameter-overrides") + 1 :] == ["TokenSecurity=on", "SmallExportBytes=0"]
    makefile = (ROOT / "Makefile").read_text()
    assert " ".join(options[options.index("--capabilities") :][:3]) in makefile


@pytest.fixture
def without_stack(monkeypatch, tmp_path):
    """Run a proof whose questions to the account fail; its stack is looked for with the given error."""

    def run(error):
        def fail(*_):
            raise DeploymentError(f"STACK: 'exporttiles-prove-1' cannot be used: {error}")

        monkeypatch.setattr(prove, "wait_until_idle", lambda _: None)
        for name in ("Stack", "put_all"):
            monkeypatch.setattr(prove, name, fail)
        for name in ("PROOFS", "_TRIED", "README"):
            monkeypatch.setattr(prove, name, tmp_path / name)
        return prove._prove("", "eu-central-1", Size(1, 1.0), tests=[], folder=tmp_path / "PROOFS", say=lambda _: None)

    return run


def test_a_stack_that_cannot_be_looked_at_is_not_taken_for_deleted(without_stack, capsys, tmp_path):
    (tmp_path / "README").touch()

    facts = without_stack("ExpiredToken")

    (deleted,) = [fact for fact in facts if fact.name == "stack.deleted"]
    assert deleted.status is Status.FAILED
    assert "cost money. Delete it: make destroy STACK=exporttiles-prove-" in capsys.readouterr().err


def test_a_run_that_deployed_nothing_is_no_proof(without_stack, tmp_path):
    facts = without_stack("Stack with id exporttiles-prove-1 does not exist")

    assert {fact.status for fact in facts} == {Status.FAILED, Status.UNPROVED}
    assert [path.name for path in tmp_path.iterdir()] == ["_TRIED"]
