"""The command `exporttiles schedule`, on the stacks, schedules and buckets of moto."""

import json
from uuid import uuid4

import boto3
import pytest

from exporttiles.cli.main import main
from tests.contracts.conftest import client_options

WHAT = ["--service", "World_Imagery", "--levels", "10-16"]


@pytest.fixture(autouse=True)
def environment(s3_endpoint, monkeypatch):
    for name, value in {"ENDPOINT_URL": s3_endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def make_stack(s3_endpoint, bucket):
    """Make a stack that has the outputs of ours, and return its name."""
    clients = [boto3.client(name, **client_options(s3_endpoint)) for name in ("cloudformation", "scheduler")]
    cloudformation, scheduler = clients

    def make(**outputs):
        name = f"stack-{uuid4()}"
        scheduler.create_schedule_group(Name=name)
        outputs = {
            "TileBucketName": bucket,
            "ScheduleGroupName": name,
            "EventBusArn": "arn:aws:events:us-east-1:123456789012:event-bus/exporttiles",
            "ScheduleRoleArn": "arn:aws:iam::123456789012:role/schedules",
        } | outputs
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {key: {"Value": value} for key, value in outputs.items()},
        }
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        return name

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def schedule(make_stack):
    """Run one command on a stack that hears of new imagery."""
    stack = make_stack(ImageryQueueUrl="https://queue")
    return lambda *arguments: main(["schedule", *arguments, "--stack", stack])


def test_schedules_of_both_kinds_are_listed_and_removed(schedule, capsys):
    schedule("add", "weekly", "--cron", "0 5 ? * MON *", "--timezone", "Europe/Zurich", *WHAT, "--keep", "4")
    schedule("add", "fresh", "--on-new-imagery", *WHAT, "--keep", "2", "--since-last")
    assert capsys.readouterr().out.splitlines() == [
        "weekly: cron(0 5 ? * MON *) Europe/Zurich",
        "fresh: new imagery, 15 minutes after the last",
    ]

    schedule("list")
    weekly, fresh = capsys.readouterr().out.splitlines()
    assert weekly.split()[:2] == ["weekly", "cron(0"]
    assert weekly.endswith("World_Imagery levels 10-16, newest 4 kept")
    assert fresh.endswith("World_Imagery levels 10-16, newest 2 kept, only what has changed")

    assert [schedule("remove", "weekly"), schedule("remove", "fresh")] == [0, 0]
    schedule("list")
    assert capsys.readouterr().out == "Removed weekly.\nRemoved fresh.\n"


def test_a_schedule_of_the_other_kind_takes_the_place_of_one_with_its_name(schedule, capsys):
    schedule("add", "district", "--cron", "0 5 ? * MON *", *WHAT)
    schedule("add", "district", "--on-new-imagery", *WHAT)
    schedule("add", "district", "--cron", "0 6 ? * MON *", *WHAT)
    capsys.readouterr()

    schedule("list")

    (line,) = capsys.readouterr().out.splitlines()
    assert "cron(0 6 ? * MON *)" in line


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--cron", "0 5 ? * MON *", "--since-last"], "of which series the last is meant"),
        (["--cron", "0 5 ? * MON *", "--keep", "0"], "Legal are whole numbers from 1 to 1,000"),
        (["--cron", "0 5 ? * MON *", "--package-name", "a b"], "Legal are up to 100"),
        (["--on-new-imagery", "--quiet-minutes", "0"], "Legal are 1 to 1,440"),
    ],
)
def test_what_would_be_rejected_on_monday_is_refused_now(schedule, capsys, options, reason):
    assert schedule("add", "district", *WHAT, *options) == 1

    assert reason in capsys.readouterr().err


def test_an_area_that_no_event_can_carry_is_refused(schedule, tmp_path, capsys):
    area = tmp_path / "area.json"
    area.write_text(json.dumps({"rings": [[[0.123456789, 47.123456789]] * 20_000]}))

    assert schedule("add", "district", "--cron", "0 5 ? * MON *", *WHAT, "--area", str(area)) == 1
    assert "more than 200,000 bytes: simplify its area" in capsys.readouterr().err


def test_a_stack_that_hears_of_no_imagery_says_what_to_do(make_stack, capsys):
    assert main(["schedule", "add", "a", "--on-new-imagery", *WHAT, "--stack", make_stack()]) == 1

    assert "deploy it with NewImageryEvents=on" in capsys.readouterr().err


def test_a_schedule_that_is_not_there_cannot_be_removed(schedule, capsys):
    assert schedule("remove", "nothing") == 1

    assert "There is no schedule 'nothing'." in capsys.readouterr().err


def test_a_stack_stands_for_its_tile_bucket(make_stack, bucket, capsys):
    assert main(["token", "create", "office", "--services", "*", "--stack", make_stack()]) == 0
    assert main(["token", "list", "--bucket", bucket]) == 0

    assert "office" in capsys.readouterr().out


def test_a_stack_or_a_bucket_but_not_both():
    with pytest.raises(SystemExit):
        main(["token", "list", "--bucket", "a", "--stack", "b"])
