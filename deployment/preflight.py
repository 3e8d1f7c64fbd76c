"""Checks of an account before the deployment, and the price of a proof."""

import json
import re

from deployment.facts import Figures, Question, Size, Subject, require
from deployment.stack import client
from exporttiles.domain.cost import (
    EGRESS_GIGABYTE_DOLLARS,
    GET_DOLLARS,
    GIGABYTE_SECOND_DOLLARS,
    PUT_DOLLARS,
    TRANSITION_DOLLARS,
)
from local.cloud import ROOT

_CONCURRENT_FUNCTIONS = "L-B99A9384"
_DEFINITION = ROOT / "statemachine" / "export_tiles.asl.json"

# What the end-to-end tests take, about; counted on the emulator.
_TEST_EXPORTS = 120
_TEST_OBJECTS = 60_000
_TEST_DOWNLOAD_GIGABYTES = 1.5
_LARGE_EXPORTS = 6


def price(size: Size) -> dict[str, float]:
    """Return the cost of a proof in dollars at list prices, by purpose."""
    items = _TEST_EXPORTS * 10 + _LARGE_EXPORTS * size.bundles
    seconds = items * 2 + _LARGE_EXPORTS * size.gigabytes * 1000 / 50
    return {
        "requests to S3": _TEST_OBJECTS * PUT_DOLLARS + 10 * _TEST_OBJECTS * GET_DOLLARS + 3 * items * PUT_DOLLARS,
        "functions": seconds * 1.73 * GIGABYTE_SECOND_DOLLARS,
        "transitions of Step Functions": 2 * items * TRANSITION_DOLLARS,
        "download of packages": _TEST_DOWNLOAD_GIGABYTES * EGRESS_GIGABYTE_DOLLARS,
        "alarms, dashboard, metrics and storage for an hour": 0.05,
    }


def _account(_: Subject) -> Figures:
    client("sts").get_caller_identity()
    return {}


def _quota(_: Subject) -> Figures:
    quota = client("service-quotas").get_service_quota(ServiceCode="lambda", QuotaCode=_CONCURRENT_FUNCTIONS)
    return {"concurrent_functions": quota["Quota"]["Value"]}


def _definition(_: Subject) -> Figures:
    answer = client("stepfunctions").validate_state_machine_definition(definition=definition(), type="STANDARD")
    found = [f"{each['location']}: {each['message']}" for each in answer["diagnostics"]]
    require(answer["result"] == "OK", "; ".join(found))
    return {"warnings": len(found)}


def definition() -> str:
    """Return the definition of the state machine, with ARNs and numbers of the right form."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "Partition":
            return "aws"
        if name.endswith("FunctionArn"):
            return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        return "packages" if name.endswith("Bucket") else "1000"

    text = re.sub(r"\$\{(\w+)\}", value, _DEFINITION.read_text())
    json.loads(text)
    return text


QUESTIONS = (
    Question(
        "account.credentials",
        "The credentials belong to an AWS account.",
        _account,
        "The emulator accepts any credentials.",
    ),
    Question(
        "account.quota",
        "The quota of concurrent functions is known.",
        _quota,
        "The emulator has no quotas.",
    ),
    Question(
        "account.definition",
        "Step Functions accepts the definition of the state machine.",
        _definition,
        "The emulator accepts every definition.",
    ),
)
