"""Prove a throwaway stack on AWS: deploy it, test it, break it, measure it, delete it: `make prove`.

The facts are written to docs/proof, and summed up in the README. With --endpoint the same is tried on the emulator,
whose answers prove nothing about AWS: they are written elsewhere.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from botocore.exceptions import BotoCoreError, ClientError

from deployment import preflight, questions
from deployment.caches import DAMAGED, LARGE, put_cache
from deployment.facts import Fact, Figures, Question, Size, Status, Subject, UnprovedError, put_all, require
from deployment.removal import delete_bucket, delete_stack, holdings, remaining, wait_until_idle
from deployment.report import PROOFS, README, summary, with_limits, write_proof
from deployment.stack import DeploymentError, Stack, client
from deployment.suite import run_tests
from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.stack import session
from exporttiles.domain.api_key import SECRET_BYTES, ApiKey, key_id_of, token_of
from exporttiles.domain.errors import ExportTilesError
from local.cloud import ROOT, LocalCloud, LocalCloudError, deploy, environment_of
from local.signals import exit_on_sigterm

KEY = "prove"
SAM = Path(os.environ.get("SAM", ROOT / ".venv-build" / "bin" / "sam"))
_SMALL = Size(bundles=1, bundle_megabytes=0.1)
_TRIED = ROOT / ".cache" / "proof"

PARAMETERS = {
    "TokenSecurity": "on",
    "SmallExportBytes": "0",  # so that all exports go through the map
    "MaxConcurrency": "50",
    "JobLifetimeDays": "2",
    "LogRetentionDays": "1",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a proof.

    Raises:
        SystemExit: a fact failed, or the proof could not begin; states the reason.
    """
    parser = argparse.ArgumentParser(prog="python -m deployment.prove", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--endpoint", default="", help="an emulator's address, or 'local' to start one; empty: AWS")
    parser.add_argument("--yes", action="store_true", help="do not ask before money is spent")
    parser.add_argument("--bundles", type=int, default=50, help="bundles, and so work items, of the large cache (50)")
    parser.add_argument("--bundle-megabytes", type=float, default=41.0, help="size of each of them (41)")
    parser.add_argument("--folder", type=Path, help="where the document goes (docs/proof, or .cache/proof)")
    parser.add_argument("tests", nargs="*", default=["tests/e2e"], help="end-to-end tests to run (tests/e2e)")
    options = parser.parse_args(arguments)
    with ExitStack() as exits:
        leave_if_ended = exits.enter_context(exit_on_sigterm())

        def say(line: str) -> None:
            leave_if_ended()
            click.echo(line)

        try:
            endpoint = options.endpoint
            if endpoint == "local":
                endpoint = exits.enter_context(LocalCloud(template=None, say=click.echo)).url
            if endpoint:
                os.environ.update(environment_of(endpoint))
            region = session().region_name
            os.environ |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}  # SAM reads the second one
            size = Size(options.bundles, options.bundle_megabytes)
            _consent(region, endpoint, size, is_given=options.yes)
            folder = options.folder or (_TRIED if endpoint else PROOFS)
            facts = _prove(endpoint, region, size, tests=options.tests, folder=folder, say=say)
        except (DeploymentError, ExportTilesError, LocalCloudError) as error:
            sys.exit(str(error))
        except (BotoCoreError, ClientError) as error:
            sys.exit(f"AWS: {error}")
        except (click.Abort, KeyboardInterrupt):
            sys.exit(130)
    if any(fact.status is Status.FAILED for fact in facts):
        sys.exit("Some facts failed.")


def _consent(region: str, endpoint: str, size: Size, *, is_given: bool) -> None:
    """Announce region, account and price, and ask for consent.

    Raises:
        DeploymentError: the answer is no, or the emulator has a stack.
    """
    if endpoint:
        click.echo(f"Trying on the emulator at {endpoint}: nothing is proved about AWS.")
        if client("apigatewayv2").get_apis()["Items"]:
            raise DeploymentError(f"ENDPOINT: {endpoint} has a stack already, and room for one. Use ENDPOINT=local.")
        return
    account = client("sts").get_caller_identity()["Account"]
    prices = preflight.price(size)
    click.echo(f"A throwaway stack in {region}, account {account}, for about half an hour. It costs about")
    for what, dollars in prices.items():
        click.echo(f"  ${dollars:.2f} for {what}")
    click.echo(f"  ${sum(prices.values()):.2f} together, at list prices of us-east-1")
    if not is_given and not (sys.stdin.isatty() and click.confirm("Go on?")):
        raise DeploymentError("YES: Nothing was deployed. Set YES=1 to go on without a question.")


def _prove(
    endpoint: str, region: str, size: Size, *, tests: Sequence[str], folder: Path, say: Callable[[str], None]
) -> list[Fact]:
    """Check all claims on a new stack, delete the stack in any case, and write the facts.

    Returns:
        The facts.
    """
    name = f"exporttiles-prove-{secrets.token_hex(4)}"
    parameters = PARAMETERS | ({"PublicBaseUrl": endpoint, "MaxConcurrency": "4"} if endpoint else {})
    start, token = datetime.now(UTC), token_of(secrets.token_bytes(SECRET_BYTES))
    subject = Subject(name, token, size, endpoint, lambda changes: _deploy(endpoint, name, {**parameters, **changes}))
    facts: list[Fact] = []
    try:
        say("Asking the account")
        facts += put_all(preflight.QUESTIONS, subject, say)
        say(f"Deploying {name}")
        if not endpoint:
            _build()
        _deploy(endpoint, name, parameters)
        _put_key(subject)
        say(f"Testing: {' '.join(tests)}")
        facts += run_tests(subject, KEY, tests)
        say("Asking the stack")
        put_cache(subject.stack, LARGE, size)
        put_cache(subject.stack, DAMAGED, _SMALL)
        facts += put_all(questions.QUESTIONS, subject, say)
    except Exception as error:  # noqa: BLE001  (a proof that broke off is written, and its stack deleted)
        facts.append(Fact("proof.complete", "All questions were asked.", Status.FAILED, str(error)[:600]))
    finally:
        click.echo(f"Deleting {name}")
        deleted = _DELETED.put(subject)
        if deleted.status is Status.FAILED:
            click.echo(
                f"{name} may still exist in {region} and cost money. Delete it: make destroy STACK={name}", err=True
            )
        facts.append(deleted)
        facts += _unasked(facts)
        if folder == PROOFS and deleted.status is Status.UNPROVED:  # not deployed: keep the proof of the same day
            folder = _TRIED
        path = write_proof(folder, facts, time=start, region=region, endpoint=endpoint, parameters=parameters)
        if folder == PROOFS:
            README.write_text(with_limits(README.read_text()))
        click.echo(f"{summary(facts)}: {path}")
    return facts


def _put_key(subject: Subject) -> None:
    """Store the API key of the proof."""
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    key = ApiKey(key_id_of(subject.token), KEY, ("*",), 10**12, in_a_day)
    ApiKeys(open_store(f"s3://{subject.stack.outputs['TileBucketName']}")).put(key)


def _build() -> None:
    """Build the artifacts as `make deploy` does."""
    for folder in ("functions", "layers"):
        for cache in (ROOT / folder).rglob("__pycache__"):  # not for Lambda
            shutil.rmtree(cache)
    _sam("build")


def _deploy(endpoint: str, name: str, parameters: Mapping[str, str]) -> None:
    """Create the stack, or update it."""
    if endpoint:
        deploy(client, name, ROOT / "template.yaml", dict(parameters), environment_of(endpoint))
        return
    _sam(
        "deploy",
        "--resolve-s3",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        *("--stack-name", name),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())),
    )


def _sam(command: str, *options: str) -> None:
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "PATH": f"{SAM.parent}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="exporttiles-") as folder:
        config = Path(folder, "samconfig.toml")  # not the one that `sam deploy --guided` wrote: it names another stack
        config.write_text("version = 0.1\n")
        done = subprocess.run(
            [SAM, command, "--config-file", config, *options],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise DeploymentError(f"sam {command} failed:\n{(done.stdout + done.stderr)[-2_000:]}")


def _delete(subject: Subject) -> Figures:
    """Delete the stack with its tiles, and look for remaining resources."""
    wait_until_idle(subject.name)  # a run that is interrupted leaves an update behind
    try:
        stack = Stack(subject.name)
    except DeploymentError as error:
        if "does not exist" not in str(error):  # such as expired credentials: it may exist, and cost money
            raise
        raise UnprovedError(f"It was not deployed: {error}") from error
    found = holdings(stack)
    _close_ear(stack)
    delete_stack(stack, click.echo)
    for holding in found:
        if holding.logical_id == "TileBucket":
            delete_bucket(holding.name)
    left = [str(holding) for holding in remaining(found)]
    require(not left, f"These are left: {'; '.join(left)}")
    return {}


def _close_ear(stack: Stack) -> None:
    """Remove queue and rule of the event tests, should they remain: a bus with rules cannot be deleted."""
    events, sqs, bus = client("events"), client("sqs"), stack.outputs.get("EventBusName", stack.name)
    with suppress(ClientError):
        events.remove_targets(Rule="ear", EventBusName=bus, Ids=["ear"])
        events.delete_rule(Name="ear", EventBusName=bus)
    with suppress(ClientError):
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{stack.name}-ear")["QueueUrl"])


_DELETED = Question("stack.deleted", "The stack was deleted, and nothing of it is left.", _delete)


def _unasked(facts: Sequence[Fact]) -> list[Fact]:
    """Return a fact for each question that was not reached."""
    names = {fact.name for fact in facts}
    asked = (*preflight.QUESTIONS, *questions.QUESTIONS)
    return [each.unasked("The run ended before it was asked.") for each in asked if each.name not in names]


if __name__ == "__main__":
    main()
