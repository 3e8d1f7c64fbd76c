"""The SAM template: settings of functions, roles and buckets."""

import json
import re

import botocore.session
import pytest
import yaml

from exporttiles.adapters.dynamodb_counts import COUNTS
from exporttiles.adapters.dynamodb_jobs import OPEN_JOBS_INDEX, SERIES_INDEX
from exporttiles.domain.job import job_id_of
from tests.workflow.stack import MACHINE_TEXT, RESOURCES, ROOT, TEMPLATE, CloudFormation, inlined, nested_in

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
BUCKETS = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::S3::Bucket"
}


def statements(properties):
    return [s for policy in properties["Policies"] for s in policy["Statement"]]


def test_who_deploys_must_say_whether_the_api_asks_for_tokens():
    assert "Default" not in TEMPLATE["Parameters"]["TokenSecurity"]
    assert TEMPLATE["Parameters"]["TokenSecurity"]["AllowedValues"] == ["on", "off"]
    assert FUNCTIONS["ApiFunction"]["Environment"]["Variables"]["TOKEN_SECURITY"] == {"Ref": "TokenSecurity"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_a_folder_with_app_py_alone(name):
    folder = ROOT / FUNCTIONS[name]["CodeUri"].removeprefix("../")

    assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]
    assert len((folder / "app.py").read_text().splitlines()) <= 50


@pytest.mark.parametrize("name", FUNCTIONS)
def test_environment_variables_are_texts(name):
    """CloudFormation turns numbers into texts; the emulator does not, and cannot start the function."""
    variables = FUNCTIONS[name].get("Environment", {}).get("Variables", {})

    assert {key: value for key, value in variables.items() if not isinstance(value, str | dict)} == {}


def test_every_folder_of_functions_is_deployed():
    folders = {f"functions/{path.name}/" for path in (ROOT / "functions").iterdir() if path.is_dir()}

    deployed = {properties["CodeUri"].removeprefix("../") for properties in FUNCTIONS.values()}
    assert folders - {"functions/__pycache__/"} == deployed


@pytest.mark.parametrize(("path", "parameters"), nested_in(TEMPLATE))
def test_a_nested_stack_gets_every_parameter_and_functions_like_the_others(path, parameters):
    nested = yaml.load(path.read_text(), CloudFormation)  # noqa: S506  (a SafeLoader)

    assert nested["Parameters"].keys() == parameters.keys()
    if "Globals" in nested:
        assert inlined(nested["Globals"], parameters) == TEMPLATE["Globals"]


def test_packages_and_broken_uploads_are_forgotten():
    jobs, everything = BUCKETS["PackageBucket"]["LifecycleConfiguration"]["Rules"]
    parameters = TEMPLATE["Parameters"]

    assert (jobs["Prefix"], jobs["ExpirationInDays"]) == ("jobs/", {"Ref": "JobLifetimeDays"})
    assert "Prefix" not in everything
    assert everything["ExpirationInDays"] == {"Ref": "KeptLifetimeDays"}
    days = everything["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert parameters["ExportTimeoutSeconds"]["MaxValue"] < days * 86_400 <= 3 * 86_400
    assert parameters["JobLifetimeDays"]["MinValue"] >= 2
    assert parameters["KeptLifetimeDays"]["Default"] >= parameters["JobLifetimeDays"]["Default"]


def test_pages_of_any_origin_may_fetch_a_package_by_its_link():
    (rule,) = BUCKETS["PackageBucket"]["CorsConfiguration"]["CorsRules"]

    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET", "HEAD"], ["*"])
    assert {"Content-Length", "Content-Range", "ETag"} <= set(rule["ExposedHeaders"])


def test_jobs_expire_are_paid_by_use_and_can_be_restored():
    table = RESOURCES["JobTable"]["Properties"]

    assert RESOURCES["JobTable"]["DeletionPolicy"] == RESOURCES["PackageBucket"]["DeletionPolicy"] == "Delete"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_open_jobs_and_series_are_found_by_indexes_that_hold_keys_alone():
    table = RESOURCES["JobTable"]["Properties"]

    indexes = {index["IndexName"]: index["Projection"] for index in table["GlobalSecondaryIndexes"]}
    keys_alone = {"ProjectionType": "KEYS_ONLY"}  # progress of a job must not be written twice
    assert indexes == {OPEN_JOBS_INDEX: keys_alone, SERIES_INDEX: keys_alone}


def test_the_watchman_knows_how_long_an_export_may_take():
    machine = RESOURCES["ExportTilesStateMachine"]["Properties"]["DefinitionSubstitutions"]
    watchman = FUNCTIONS["WatchJobsFunction"]

    assert machine["ExportTimeoutSeconds"] == watchman["Environment"]["Variables"]["EXPORT_TIMEOUT_SECONDS"]
    assert watchman["Events"]["EveryFiveMinutes"]["Properties"]["Schedule"] == "rate(5 minutes)"


def test_functions_run_where_the_layer_was_resolved_for():
    function = TEMPLATE["Globals"]["Function"]

    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    makefile = (ROOT / "layers" / "dependencies" / "Makefile").read_text()
    assert "aarch64" in makefile
    assert "3.13" in makefile


def test_requests_wait_in_a_queue_that_gives_up_on_none_of_them():
    queue = RESOURCES["RequestQueue"]["Properties"]
    function = FUNCTIONS["RequestExportFunction"]

    assert RESOURCES["RequestDeadLetterQueue"]["Properties"]["MessageRetentionPeriod"] == 14 * 86400
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]  # as AWS asks
    (statement,) = RESOURCES["RequestQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert "aws:SourceArn" in statement["Condition"]["ArnEquals"]


@pytest.mark.parametrize(("queue", "source"), [("RequestQueue", "RequestSource"), ("ImageryQueue", "ImagerySource")])
def test_messages_outlast_an_account_that_is_full_for_an_hour(queue, source):
    """A throttled invocation counts as an attempt, of which AWS recommends at least 5."""
    properties = RESOURCES[queue]["Properties"]
    attempts = properties["RedrivePolicy"]["maxReceiveCount"]
    seconds = attempts * properties["VisibilityTimeout"]

    assert attempts >= 5
    assert seconds >= 3600
    assert properties.get("MessageRetentionPeriod", 4 * 86400) > 10 * seconds
    assert RESOURCES[source]["Properties"]["ScalingConfig"]["MaximumConcurrency"] <= 5  # a new account has 10


def test_the_inbox_keeps_versions_and_answers_are_no_requests():
    rule = RESOURCES["FileDropped"]["Properties"]

    assert BUCKETS["InboxBucket"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"prefix": "requests/"}]
    written = [s["Resource"] for s in statements(FUNCTIONS["RequestExportFunction"]) if s["Sid"] == "AnswerThem"]
    assert "requests" not in str(written)


def test_objects_of_caches_make_events_only_where_it_is_asked_for():
    optional = {name for name, resource in RESOURCES.items() if resource.get("Condition") == "HearsOfNewImagery"}
    notifications = BUCKETS["TileBucket"]["NotificationConfiguration"]
    source, queue = RESOURCES["ImagerySource"]["Properties"], RESOURCES["ImageryQueue"]["Properties"]
    function = FUNCTIONS["ReceiveImageryFunction"]

    assert TEMPLATE["Parameters"]["NewImageryEvents"]["Default"] == "off"
    assert next(iter(notifications.values()))[0] == "HearsOfNewImagery"
    assert {"ImageryCame", "ImageryQueue", "ImagerySource", "ReceiveImageryFunction", "TimerGroup"} <= optional
    window = source["MaximumBatchingWindowInSeconds"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + window  # as AWS asks
    assert source["BatchSize"] <= 10_000
    assert source["BatchSize"] * 1500 < 6_000_000  # bytes of one invocation


def test_every_change_of_a_job_can_be_told():
    table = RESOURCES["JobTable"]["Properties"]
    source = RESOURCES["JobChanges"]["Properties"]

    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert source["DestinationConfig"] == {"OnFailure": {"Destination": {"GetAtt": "UntoldChangesQueue.Arn"}}}


def test_executions_that_end_by_themselves_close_their_jobs():
    pattern = FUNCTIONS["CloseJobFunction"]["Events"]["ExecutionEnded"]["Properties"]["Pattern"]

    assert pattern["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    ((name),) = pattern["detail"]["name"]
    assert job_id_of("any").startswith(name["prefix"])


def test_reserved_workers_are_opt_in():
    reserved = FUNCTIONS["ExportTileRangeFunction"]["ReservedConcurrentExecutions"]

    assert TEMPLATE["Parameters"]["WorkerReservedConcurrency"]["Default"] == 0
    assert reserved == {"If": ["ReservesWorkers", {"Ref": "WorkerReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}


@pytest.mark.parametrize("path", ["template.yaml", "templates/events.yaml", "templates/monitoring.yaml"])
def test_no_name_of_a_resource_holds_for_one_partition_alone(path):
    assert "arn:aws:" not in (ROOT / path).read_text()
    assert "arn:aws:" not in MACHINE_TEXT


@pytest.mark.parametrize("suffix_of", ["ScheduleGroup", "TimerGroup"])
def test_a_stack_whose_name_makes_too_long_names_is_refused(suffix_of):
    (events,) = [path for path, _ in nested_in(TEMPLATE) if path.name == "events.yaml"]
    longest = yaml.load(events.read_text(), CloudFormation)["Parameters"]["StackName"]["MaxLength"]  # noqa: S506
    name = str(next(iter(RESOURCES[suffix_of]["Properties"]["Name"].values())))

    assert longest + len(re.sub(r"\$\{AWS::StackName\}|AWS::StackName", "", name)) <= 64


def test_no_level_of_logs_drops_the_metrics_that_alarms_look_at():
    assert TEMPLATE["Parameters"]["LogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]  # metrics are logged at INFO
    for function in FUNCTIONS.values():
        assert "ApplicationLogLevel" not in function["LoggingConfig"]
    assert TEMPLATE["Globals"]["Function"]["LoggingConfig"]["ApplicationLogLevel"] == {"Ref": "LogLevel"}


def test_logs_are_kept_for_a_number_of_days_that_cloudwatch_knows():
    parameter = TEMPLATE["Parameters"]["LogRetentionDays"]
    text = botocore.session.get_session().get_service_model("logs").shape_for("Days").documentation

    known = set(map(int, re.findall(r"\d+", text[text.index("Possible values") :].partition("</p>")[0])))
    assert set(parameter["AllowedValues"]) == known
    assert parameter["Default"] in known


def test_the_memory_of_every_function_is_the_one_that_is_reasoned_for():
    reasoned = dict(re.findall(r"^\| (\w+) \| (.*?) \|", (ROOT / "docs" / "cost.md").read_text(), re.MULTILINE))
    default = f"{TEMPLATE['Parameters']['WorkerMemory']['Default']:,} MB"

    for name, properties in FUNCTIONS.items():
        size = properties["MemorySize"]
        told = f"`WorkerMemory`, {default}" if size == {"Ref": "WorkerMemory"} else f"{size:,} MB"
        assert reasoned[name.removesuffix("Function")] == told, name


def test_only_functions_that_nobody_waits_for_are_patient_with_a_busy_store():
    patient = {
        name: function["Timeout"]
        for name, function in FUNCTIONS.items()
        if "STORE_PATIENCE_SECONDS" in function.get("Environment", {}).get("Variables", {})
    }

    assert patient.keys() == {
        f"{step}Function" for step in ("ExportAtOnce", "PlanExport", "ExportTileRange", "PackTilePackage")
    }
    assert min(patient.values()) > 2 * 120


def test_only_changes_of_jobs_are_announced_and_not_those_of_counts():
    (filters,) = RESOURCES["JobChanges"]["Properties"]["FilterCriteria"]["Filters"]

    (first_letter,) = {job_id_of(str(number))[0] for number in range(9)}
    assert json.loads(filters["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"job_id": {"S": [{"prefix": first_letter}]}}},
    }
    assert not COUNTS.startswith(first_letter)
