"""Alarms, the dashboard and docs/operations.md name the same alarms."""

import json
import re

import pytest

from exporttiles.domain.job import JobStatus
from tests.workflow.stack import RESOURCES, ROOT, TEMPLATE

TEXT = (ROOT / "docs" / "operations.md").read_text()
ALARMS = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
}
OUR_NAMESPACE = "ExportTiles/AWS::StackName"
COUNTS_OF_ENDS = ROOT / "layers" / "exporttiles" / "python" / "exporttiles" / "bootstrap" / "metrics.py"
SOURCES = "".join(path.read_text() for path in (ROOT / "functions").glob("*/app.py"))


def dashboard():
    return json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Sub"]))


def metric_of(alarm):
    """Return namespace, name and dimension of the metric that an alarm looks at, as a dashboard names them."""
    metric = alarm["Metrics"][0]["MetricStat"]["Metric"] if "Metrics" in alarm else alarm
    (dimension,) = metric["Dimensions"]
    match dimension["Value"]:
        case {"Ref": name}:
            value = name
        case {"GetAtt": path} | {"If": [_, {"GetAtt": path}, _]}:
            value = path.rpartition(".")[2]
        case value:
            pass
    namespace = metric["Namespace"]
    if isinstance(namespace, dict):
        namespace = re.sub(r"[${}]", "", namespace["Sub"])
    return namespace, metric["MetricName"], dimension["Name"], value


def shown():
    """Return the metrics of the dashboard."""
    return {
        tuple(part.rpartition(".")[2] for part in metric if isinstance(part, str))
        for widget in dashboard()["widgets"]
        for metric in widget["properties"]["metrics"]
    }


def metrics_of_our_own():
    """Return service and name of each metric of ours that an alarm or the dashboard looks at."""
    looked_at = shown() | set(map(metric_of, ALARMS.values()))
    return {(metric[3], metric[1]) for metric in looked_at if metric[0] == OUR_NAMESPACE}


def test_every_alarm_says_what_to_do_and_no_other():
    assert sorted(re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)) == sorted(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_reaches_somebody_and_names_its_section(name):
    alarm = ALARMS[name]

    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["AlarmDescription"].endswith(f"What to do: docs/operations.md, {name}.")
    assert alarm["TreatMissingData"] == ("missing" if name == "WatchmanSleeps" else "notBreaching")


@pytest.mark.parametrize("name", ALARMS)
def test_a_new_stack_sends_no_mail(name):
    """A new alarm goes from INSUFFICIENT_DATA to OK, which is an action of its own."""
    assert "OKActions" not in ALARMS[name]


@pytest.mark.parametrize("name", ["ApiIsDown", "ApiIsThrottled"])
def test_an_alarm_on_refused_requests_ignores_a_single_burst(name):
    alarm = ALARMS[name]

    assert (alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (300, 2, 3)
    assert "ten minutes of fifteen" in alarm["AlarmDescription"]


def test_a_watchman_that_was_not_called_is_told_of_and_one_that_is_new_is_not():
    alarm = ALARMS["WatchmanSleeps"]

    assert metric_of(alarm) == ("AWS/Lambda", "Invocations", "FunctionName", "WatchJobsFunction")  # none: no data
    assert alarm["InsufficientDataActions"] == [{"Ref": "AlarmTopic"}]  # a new alarm does not act


@pytest.mark.parametrize("name", ["OldestExportWaits", "WatchmanSleeps", "WatchmanFails"])
def test_an_alarm_on_the_watchman_spans_several_of_its_runs(name):
    assert RESOURCES["WatchJobsFunction"]["Properties"]["Events"]["EveryFiveMinutes"]
    assert ALARMS[name]["Period"] >= 3 * 300


def test_an_alarm_on_dynamodb_ends():
    throttles, filled = ALARMS["TableIsThrottled"]["Metrics"]

    assert filled["Expression"] == f"FILL({throttles['Id']}, 0)"  # for these, AWS ignores TreatMissingData
    assert not [name for name, alarm in ALARMS.items() if alarm.get("Namespace") == "AWS/DynamoDB"]


@pytest.mark.parametrize(
    ("alarm", "queue", "function"),
    [
        ("RequestsAreLate", "RequestQueue", "RequestExportFunction"),
        ("ImageryIsLate", "ImageryQueue", "ReceiveImageryFunction"),
    ],
)
def test_a_message_is_late_when_it_can_no_longer_be_one_that_is_tried_again(alarm, queue, function):
    properties = RESOURCES[queue]["Properties"]
    longest = properties["RedrivePolicy"]["maxReceiveCount"] * properties["VisibilityTimeout"]

    assert ALARMS[alarm]["Threshold"] > longest
    assert RESOURCES[function]


def test_an_api_that_does_not_answer_is_heard_of():
    watched = {metric_of(alarm)[:2] for alarm in ALARMS.values() if "Api" in metric_of(alarm)[3]}

    assert {("AWS/Lambda", "Errors"), ("AWS/Lambda", "Throttles"), ("AWS/ApiGateway", "5xx")} <= watched


@pytest.mark.parametrize("name", ALARMS)
def test_the_dashboard_shows_the_metric_of_every_alarm(name):
    assert metric_of(ALARMS[name]) in shown()


def test_a_budget_is_opt_in_and_reaches_somebody():
    budget = RESOURCES["Budget"]

    assert TEMPLATE["Parameters"]["MonthlyBudgetUSD"]["Default"] == 0
    assert budget["Condition"] == "HasBudget"
    (rule,) = TEMPLATE["Rules"].values()
    assert "MonthlyBudgetUSD" in str(rule["RuleCondition"])
    assert "AlarmEmail" in str(rule["Assertions"][0]["Assert"])
    for each in budget["Properties"]["NotificationsWithSubscribers"]:
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}]


def test_nobody_is_mailed_who_did_not_ask():
    assert TEMPLATE["Parameters"]["AlarmEmail"]["Default"] == ""
    assert RESOURCES["AlarmMail"]["Condition"] == "MailsAlarms"


def test_a_stack_measures_and_looks_at_itself_alone():
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Sub": "ExportTiles/${AWS::StackName}"}
    assert "namespace=" not in SOURCES + COUNTS_OF_ENDS.read_text()  # which would go before the variable
    assert metrics_of_our_own() >= {("close_job", "ExportsFailed"), ("api", "FailedRequests")}


@pytest.mark.parametrize(("service", "name"), sorted(metrics_of_our_own()))
def test_what_is_looked_at_is_measured(service, name):
    path = COUNTS_OF_ENDS if service == "close_job" else ROOT / "functions" / service / "app.py"
    text = path.read_text()
    ends = {f"Exports{status}" for status in JobStatus if status.is_final} | {"ExportsUnchanged"}

    assert f'"{name}"' in text or ('f"Exports{end}"' in text and name in ends)


def test_the_dashboard_names_things_of_the_stack():
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Sub"]

    for name in re.findall(r"\$\{(\w+)[.}]", body):
        assert name in RESOURCES or f"Events.Outputs.{name}" in str(RESOURCES["Monitoring"])
    assert len(dashboard()["widgets"]) == 12


def test_every_function_of_an_export_tells_of_its_job():
    for path in (ROOT / "functions").glob("*/app.py"):
        assert re.search(r"logger\.(info|warning)\(", path.read_text()), path


def test_what_is_said_in_the_logs_is_what_is_documented():
    for said in re.findall(r"`([A-Z][a-z ]+)`[,:]", TEXT):
        assert re.search(rf'\(\s*"{said}"', SOURCES), said


def test_every_parameter_that_is_named_is_one():
    section = TEXT.rpartition("## Parameters")[2]

    assert set(re.findall(r"`(\w+)`", section)) <= set(TEMPLATE["Parameters"])
