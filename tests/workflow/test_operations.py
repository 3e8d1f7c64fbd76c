"""Alarms, the dashboard and what is written about them: each knows the others."""

import json
import re

import pytest

from exporttiles.domain.job import JobStatus
from tests.workflow.stack import RESOURCES, ROOT, TEMPLATE

TEXT = (ROOT / "docs" / "operations.md").read_text()
ALARMS = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
}
SOURCES = "".join(path.read_text() for path in (ROOT / "functions").glob("*/app.py"))


def dashboard():
    return json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Sub"]))


def metrics_of_our_own():
    """Yield service and name of each metric of ours that an alarm or the dashboard looks at."""
    for alarm in ALARMS.values():
        if alarm["Namespace"] == "ExportTiles":
            (dimension,) = alarm["Dimensions"]
            yield dimension["Value"], alarm["MetricName"]
    for widget in dashboard()["widgets"]:
        for namespace, name, *dimension in widget["properties"]["metrics"]:
            if namespace == "ExportTiles":
                yield dimension[1], name


def test_every_alarm_says_what_to_do_and_no_other():
    assert sorted(re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)) == sorted(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_reaches_somebody_and_names_its_section(name):
    alarm = ALARMS[name]

    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["AlarmDescription"].endswith(f"What to do: docs/operations.md, {name}.")
    assert alarm["TreatMissingData"] == ("breaching" if name == "WatchmanSleeps" else "notBreaching")


def test_nobody_is_mailed_who_did_not_ask():
    assert TEMPLATE["Parameters"]["AlarmEmail"]["Default"] == ""
    assert RESOURCES["AlarmMail"]["Condition"] == "MailsAlarms"


@pytest.mark.parametrize(("service", "name"), sorted(set(metrics_of_our_own())))
def test_what_is_looked_at_is_measured(service, name):
    text = (ROOT / "functions" / service / "app.py").read_text()
    ends = {f"Exports{status}" for status in JobStatus if status.is_final}

    assert f'"{name}"' in text or ('f"Exports{end}"' in text and name in ends)


def test_the_dashboard_names_things_of_the_stack():
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Sub"]

    for name in re.findall(r"\$\{(\w+)[.}]", body):
        assert name in RESOURCES or f"Events.Outputs.{name}" in str(RESOURCES["Monitoring"])
    assert len(dashboard()["widgets"]) == 10


def test_every_function_of_an_export_tells_of_its_job():
    for path in (ROOT / "functions").glob("*/app.py"):
        assert re.search(r"logger\.(info|warning)\(", path.read_text()), path


def test_what_is_said_in_the_logs_is_what_is_documented():
    for said in re.findall(r"`([A-Z][a-z ]+)`[,:]", TEXT):
        assert re.search(rf'\(\s*"{said}"', SOURCES), said


def test_every_parameter_that_is_named_is_one():
    section = TEXT.rpartition("## Parameters")[2]

    assert set(re.findall(r"`(\w+)`", section)) - {"ExportTiles"} <= set(TEMPLATE["Parameters"])
