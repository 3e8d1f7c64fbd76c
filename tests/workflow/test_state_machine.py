"""The state machine file: every transition has a target, every name exists."""

import inspect
import re

import pytest

from exporttiles.domain import errors
from tests.workflow.stack import MACHINE, MACHINE_TEXT, RESOURCES, ROOT, TEMPLATE

SUBSTITUTIONS = set(re.findall(r"\$\{(\w+)\}", MACHINE_TEXT))


def machines(machine):
    """Yield a machine and those of its maps."""
    yield machine
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


def states():
    return [(name, state) for machine in machines(MACHINE) for name, state in machine["States"].items()]


LAMBDA = "arn:${Partition}:states:::lambda:invoke"
TASKS = [(name, state) for name, state in states() if state.get("Resource") == LAMBDA]
MAPS = {name: state for name, state in states() if state["Type"] == "Map"}
THROTTLED = "Lambda.TooManyRequestsException"
LONGEST_EXPORT_SECONDS = TEMPLATE["Parameters"]["ExportTimeoutSeconds"]["MaxValue"]
SERVICE_ERRORS = {  # docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}


def retriers_of_our_errors(state):
    """Return the retriers of a task behind those of Lambda itself."""
    return state["Retry"][2:]


def test_every_transition_lands_on_a_state():
    for machine in machines(MACHINE):
        names = machine["States"].keys()
        assert machine["StartAt"] in names
        for state in machine["States"].values():
            targets = [state.get("Next"), state.get("Default")]
            targets += [branch["Next"] for branch in [*state.get("Catch", []), *state.get("Choices", [])]]
            assert {target for target in targets if target} <= names


def test_every_state_can_be_reached():
    for machine in machines(MACHINE):
        reached = {machine["StartAt"]}
        for state in machine["States"].values():
            reached |= {state.get("Next"), state.get("Default")}
            reached |= {b["Next"] for b in [*state.get("Catch", []), *state.get("Choices", [])]}
        assert machine["States"].keys() <= reached


def test_every_substitution_is_declared_in_the_template_and_none_in_vain():
    declared = RESOURCES["ExportTilesStateMachine"]["Properties"]["DefinitionSubstitutions"]

    assert declared.keys() == SUBSTITUTIONS


@pytest.mark.parametrize("state", ["PackTilePackage", "ExportAtOnce"])
def test_a_package_that_came_out_damaged_is_packed_again(state):
    no_retry, retry = retriers_of_our_errors(MACHINE["States"][state])

    assert errors.DamagedPackageError.__name__ not in no_retry["ErrorEquals"]
    assert (retry["ErrorEquals"], retry["MaxAttempts"]) == (["States.ALL"], 3)


def test_every_error_that_is_waited_for_is_one_that_can_be_raised():
    raised = {name for name, _ in inspect.getmembers(errors, inspect.isclass)}
    for _, state in states():
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            for name in rule["ErrorEquals"]:
                assert name in raised | SERVICE_ERRORS | {THROTTLED} or name.startswith("States.")


@pytest.mark.parametrize("state", [state for _, state in TASKS], ids=[name for name, _ in TASKS])
def test_a_throttled_task_waits_for_as_long_as_its_execution_may_take(state):
    throttled = state["Retry"][0]

    assert throttled["ErrorEquals"] == [THROTTLED]
    assert throttled["JitterStrategy"] == "FULL"
    assert throttled["MaxAttempts"] * throttled["MaxDelaySeconds"] / 2 > LONGEST_EXPORT_SECONDS


def test_no_wait_for_a_throttled_function_fills_the_history_of_an_execution():
    events_of_a_retry = 3  # TaskScheduled, TaskStarted, TaskFailed
    longest_delay = min(state["Retry"][0]["MaxDelaySeconds"] for _, state in TASKS)
    retries = LONGEST_EXPORT_SECONDS / (longest_delay / 2)  # of all tasks of an execution together

    assert retries * events_of_a_retry < 0.75 * 25_000  # a hard quota of Step Functions


@pytest.mark.parametrize("state", [state for _, state in TASKS], ids=[name for name, _ in TASKS])
def test_a_task_outlasts_minutes_without_lambda_but_no_lack_of_rights_for_hours(state):
    retrier = state["Retry"][1]
    longest_wait = sum(
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n, retrier["MaxDelaySeconds"])
        for n in range(retrier["MaxAttempts"])
    )

    assert set(retrier["ErrorEquals"]) == SERVICE_ERRORS  # also of a call that was denied
    assert retrier["JitterStrategy"] == "FULL"
    assert 600 < longest_wait < 3600


def test_every_failure_of_a_step_reaches_close_job():
    for name, state in MACHINE["States"].items():
        if state["Type"] in {"Task", "Map"} and name != "CloseJob":
            assert state["Catch"][-1] == {
                "ErrorEquals": ["States.ALL"],
                "ResultPath": "$.failure",
                "Next": "CloseJob",
            }


@pytest.mark.parametrize("state", [state for _, state in TASKS])
def test_every_task_has_a_time_limit_beyond_its_functions(state):
    function = RESOURCES[state["Parameters"]["FunctionName"].strip("${}").removesuffix("Arn")]["Properties"]

    assert state["TimeoutSeconds"] > function["Timeout"]
    assert state["Retry"]


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_one_thing_has_one_name_everywhere(name, state):
    name = {"CloseFailedJob": "CloseJob"}.get(name, name)  # state names are unique
    snake = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()

    assert state["Parameters"]["FunctionName"] == f"${{{name}FunctionArn}}"
    assert RESOURCES[f"{name}Function"]["Properties"]["CodeUri"] == f"functions/{snake}/"
    assert (ROOT / "functions" / snake / "app.py").is_file()
    assert (ROOT / f"layers/exporttiles/python/exporttiles/usecases/{snake}.py").is_file()
    assert list((ROOT / "events").glob(f"{snake}*.json"))


def test_a_list_of_work_items_that_s3_does_not_serve_at_once_is_read_again_and_no_item_that_failed_is():
    (retrier,) = MACHINE["States"]["ExportTileRanges"]["Retry"]

    assert retrier["ErrorEquals"] == ["States.ItemReaderFailed"]
    assert (retrier["MaxAttempts"], retrier["JitterStrategy"]) == (6, "FULL")


def test_a_small_export_takes_two_functions_and_any_other_the_map():
    first = MACHINE["States"][MACHINE["StartAt"]]
    batch, small = first["Choices"]

    assert batch == {"Variable": "$.packages_key", "IsPresent": True, "Next": "ExportPackages"}
    assert (small["Variable"], small["Next"]) == ("$.expected_bytes", "ExportAtOnce")
    assert '"NumericLessThan": ${SmallExportBytes}' in MACHINE_TEXT
    assert MACHINE["States"]["ExportAtOnce"]["Next"] == "CloseJob"
    assert first["Default"] == "PlanExport"


def test_the_steps_give_up_at_the_errors_that_are_not_retryable_and_an_export_at_once_at_all_of_them():
    not_retryable = {found.__name__ for found in errors.error_classes() if not found.is_retryable}
    alone = ("ExportAtOnce", "CloseJob", "CloseFailedJob")
    given_up = {
        name: set(retriers_of_our_errors(state)[0]["ErrorEquals"]) for name, state in TASKS if name not in alone
    }
    at_once = retriers_of_our_errors(MACHINE["States"]["ExportAtOnce"])

    assert set().union(*given_up.values()) == not_retryable
    assert set(at_once[0]["ErrorEquals"]) == not_retryable
    assert at_once[-1] == MACHINE["States"]["PackTilePackage"]["Retry"][-1]


def test_the_map_runs_a_bounded_number_of_workers_and_keeps_no_result():
    fan_out = MAPS["ExportTileRanges"]
    planned = MACHINE["States"]["PlanExport"]
    assert fan_out["MaxConcurrencyPath"] == f"{planned['ResultPath']}.max_concurrency"
    assert planned["ResultSelector"]["max_concurrency.$"] == "$.Payload.max_concurrency"
    environment = RESOURCES["PlanExportFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["MAX_CONCURRENCY"] == {"Ref": "MaxConcurrency"}
    assert environment["WORKER_MEMORY"] == {"Ref": "WorkerMemory"}
    assert fan_out["ResultPath"] is None
    assert fan_out["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"


def test_a_batch_runs_this_machine_for_a_few_packages_at_a_time_and_none_that_fails_ends_it():
    batch = MAPS["ExportPackages"]
    submit, run = (batch["ItemProcessor"]["States"][name] for name in ("SubmitPackage", "RunPackage"))
    declared = RESOURCES["ExportTilesStateMachine"]["Properties"]

    assert '"MaxConcurrency": ${PackagesAtOnce}' in MACHINE_TEXT
    assert run["Resource"] == "arn:${Partition}:states:::states:startExecution.sync"
    assert run["Parameters"]["StateMachineArn"] == "${OwnArn}"
    assert declared["DefinitionSubstitutions"]["OwnArn"]["Sub"].endswith(
        declared["Name"]["Sub"].removeprefix("${AWS::StackName}")
    )
    for task in (submit, run):
        assert task["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "PackageEnded"}]
    assert batch["ResultPath"] is None
    assert batch["Next"] == "CloseJob"
