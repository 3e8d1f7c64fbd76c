"""The command `exporttiles schedule`, on the stacks, schedules and buckets of moto."""

import json
from uuid import uuid4

import boto3
import pytest

from exporttiles.adapters.json_folders import ServiceCatalog
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.main import main
from tests.builders_rest import a_service
from tests.contracts.conftest import client_options

WEEKLY = ["--cron", "0 5 ? * MON *"]
WHAT = ["--service", "World_Imagery", "--levels", "5-6"]


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


@pytest.fixture(autouse=True)
def _published(environment, bucket):  # noqa: ARG001  it sets the address of the bucket
    ServiceCatalog(open_store(f"s3://{bucket}")).put(a_service())


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
    assert weekly.endswith("World_Imagery levels 5-6, newest 4 kept")
    assert fresh.endswith("World_Imagery levels 5-6, newest 2 kept, changed tiles only")

    assert [schedule("remove", "weekly"), schedule("remove", "fresh")] == [0, 0]
    schedule("list")
    assert capsys.readouterr().out == "Removed weekly.\nRemoved fresh.\n"


def test_a_schedule_may_name_the_format_of_its_packages(make_stack, s3_endpoint):
    stack = make_stack()
    assert main(["schedule", "add", "field", *WEEKLY, *WHAT, "--format", "mbtiles", "--stack", stack]) == 0

    scheduler = boto3.client("scheduler", **client_options(s3_endpoint))
    request = json.loads(scheduler.get_schedule(Name="field", GroupName=stack)["Target"]["Input"])
    scheduler.close()

    assert (request["tilePackage"], request["storageFormatType"]) == (True, "MBTiles")


def test_a_schedule_may_convert_the_tiles(make_stack, s3_endpoint, capsys):
    stack = make_stack()
    assert main(["schedule", "add", "field", *WEEKLY, *WHAT, "--tile-format", "png", "--stack", stack]) == 0

    scheduler = boto3.client("scheduler", **client_options(s3_endpoint))
    request = json.loads(scheduler.get_schedule(Name="field", GroupName=stack)["Target"]["Input"])
    scheduler.close()

    assert request["tileFormat"] == "PNG"
    assert main(["schedule", "add", "field", *WEEKLY, *WHAT, "--tile-format", "gif", "--stack", stack]) == 2
    assert "'gif' is not one of 'jpeg', 'png', 'mixed'" in capsys.readouterr().err


def test_a_schedule_of_the_other_kind_takes_the_place_of_one_with_its_name(schedule, capsys):
    schedule("add", "district", "--cron", "0 5 ? * MON *", *WHAT)
    schedule("add", "district", "--on-new-imagery", *WHAT)
    schedule("add", "district", "--cron", "0 6 ? * MON *", *WHAT)
    capsys.readouterr()

    schedule("list")

    (line,) = capsys.readouterr().out.splitlines()
    assert "cron(0 6 ? * MON *)" in line


def test_a_schedule_may_export_a_corridor(schedule, tmp_path, capsys):
    track = tmp_path / "track.json"
    track.write_text(json.dumps({"type": "LineString", "coordinates": [[8, 47], [9, 48]]}))

    assert schedule("add", "track", *WEEKLY, *WHAT, "--area", str(track), "--buffer", "5km") == 0

    assert f"--area {track}: 1 line was buffered by 5 km." in capsys.readouterr().out
    assert schedule("add", "track", *WEEKLY, *WHAT, "--area", str(track)) == 2
    assert "Lines and points need a bufferDistance" in capsys.readouterr().err


def test_a_schedule_may_export_a_package_for_each_value_of_an_attribute(schedule, tmp_path, capsys):
    boxes = {"A": 1, "B": 50}
    features = [
        {
            "type": "Feature",
            "properties": {"NAME": name},
            "geometry": {"type": "Polygon", "coordinates": [[[x, 1], [x + 9, 1], [x + 9, 9], [x, 9], [x, 1]]]},
        }
        for name, x in boxes.items()
    ]
    (tmp_path / "districts.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    options = ["--area", str(tmp_path / "districts.json"), "--package-by", "NAME", "--keep", "2"]

    assert schedule("add", "weekly", *WEEKLY, *WHAT, *options) == 0
    assert schedule("add", "other", *WEEKLY, *WHAT, *options[:3], "Name") == 2
    assert "--package-by: 'Name' cannot be used. The attributes of the features are: NAME." in capsys.readouterr().err


def test_a_schedule_may_have_its_area_from_a_vector_file(schedule, tmp_path, capsys):
    track = tmp_path / "track.gpx"
    points = '<trkpt lat="47" lon="8"/><trkpt lat="48" lon="9"/>'
    track.write_text(f"<gpx version='1.1' creator='test'><trk><trkseg>{points}</trkseg></trk></gpx>")

    assert schedule("add", "track", *WEEKLY, *WHAT, "--area", str(track), "--buffer", "5km") == 0

    said = capsys.readouterr().out
    assert f"--area {track}: 1 feature of layer tracks was read, in WGS 84.\n" in said
    assert f"--area {track}: 1 line was buffered by 5 km." in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([*WEEKLY, "--since-last"], "--since-last: 'last' cannot be used. Set keep and name, too"),
        ([*WEEKLY, "--keep", "0"], "--keep: 0 is not in the range 1<=x<=1000"),
        ([*WEEKLY, "--package-name", "a b"], "--package-name: 'a b' cannot be used. It must have 1 to 100"),
        (
            [*WEEKLY, "--service", "Nowhere"],
            "--service: There is no image service 'Nowhere'. Published services: World_Im",
        ),
        ([*WEEKLY, "--service", "../x"], "--service: There is no image service '../x'."),
        ([*WEEKLY, "--levels", "10-99"], "--levels: '10-99' cannot be used. It must list levels from 0 to 23"),
        ([*WEEKLY, "--levels", "0-19"], "tiles would be exported; the service allows 1 to "),
        ([*WEEKLY, "--levels", ""], "--levels: It is empty."),
        ([*WEEKLY, "--clip"], "--clip: 'true' cannot be used. Without areaOfInterest"),
        ([*WEEKLY, "--clip-color", "0,0,0"], "--clip-color: '0,0,0' cannot be used. It is a parameter of clip=true."),
        ([*WEEKLY, "--quality", "101"], "--quality: 101 is not in the range"),
        ([*WEEKLY, "--timezone", "Europe/Zurick"], "--timezone: 'Europe/Zurick' is not a known time zone."),
        ([*WEEKLY, "--quiet-minutes", "5"], "--quiet-minutes and --cron exclude each other."),
        ([*WEEKLY, "--area", "nowhere.json"], "--area nowhere.json: No such file or directory."),
        ([*WEEKLY, "--format", "png"], "--format: 'png' is not one of 'tpkx', 'tpk', 'pmtiles', 'mbtiles', 'gpkg'."),
        (["--cron", "0 5 * * MON *"], "--cron: Either day of month or day of week must be ?"),
        (["--cron", "0 5 ? * MON"], "--cron: '0 5 ? * MON' has 5 fields. Use six fields"),
        (["--cron", "rate(1 day)"], "--cron: 'rate(1 day)' has 2 fields. Use six fields"),
        (["--cron", "60 5 ? * MON *"], "--cron: '60' is not a valid minute (0 to 59)."),
        (["--on-new-imagery", "--quiet-minutes", "0"], "--quiet-minutes: 0 is not in the range 1<=x<=1440"),
        (["--on-new-imagery", "--timezone", "UTC"], "--timezone and --on-new-imagery exclude each other."),
    ],
)
def test_a_schedule_with_an_invalid_request_is_refused_at_once(schedule, capsys, options, reason):
    assert schedule("add", "district", *WHAT, *options) == 2

    said = capsys.readouterr().err
    assert said.startswith("exporttiles schedule add: --")
    assert said.count("\n") == 1
    assert reason in said
    schedule("list")
    assert capsys.readouterr().out == ""


def test_a_name_that_no_schedule_can_have_is_refused(schedule, capsys):
    assert schedule("add", "a b", *WEEKLY, *WHAT) == 2

    assert "NAME: 'a b' cannot be used. It must have 1 to 64 letters" in capsys.readouterr().err


def test_an_area_in_degrees_without_a_reference_is_refused(schedule, tmp_path, capsys):
    area = tmp_path / "area.json"
    area.write_text(json.dumps({"rings": [[[7, 50], [7, 51], [8, 51], [8, 50]]]}))

    assert schedule("add", "district", *WEEKLY, *WHAT, "--area", str(area)) == 2
    assert f"--area {area}: The coordinates look like degrees" in capsys.readouterr().err


def test_a_stack_that_does_not_exist_is_named(capsys):
    assert main(["schedule", "list", "--stack", "nowhere"]) == 2

    assert "--stack: 'nowhere' cannot be used in us-east-1: " in capsys.readouterr().err


COMMANDS = [
    ["schedule", "list"],
    ["schedule", "add", "a", *WEEKLY, *WHAT],
    ["token", "list"],
    ["token", "list", "--bucket", "a"],
    ["publish", "Name", "s3://bucket/caches/Name"],
    ["services"],
    ["unpublish", "Name"],
    ["replay"],
    ["resume", "j0"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["AWS_REGION", "AWS_DEFAULT_REGION"], "AWS_REGION: No region is set. Set it, as in export AWS_REGION="),
        (
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            "AWS_ACCESS_KEY_ID: No credentials are found. Set AWS_ACCESS_K",
        ),
    ],
)
def test_a_setting_of_aws_that_is_missing_is_named_in_one_line(command, names, words, *, monkeypatch, tmp_path, capsys):
    for name in names:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    assert main(command) == 1

    said = capsys.readouterr().err
    assert said.startswith(f"exporttiles: {words}")
    assert "For the local stack, run the export line that make serve prints." in said
    assert len(said.splitlines()) == 1


def test_an_area_that_no_event_can_carry_is_refused(schedule, tmp_path, capsys):
    area = tmp_path / "area.json"
    area.write_text(json.dumps({"rings": [[[0.123456789, 47.123456789]] * 20_000], "spatialReference": 4326}))

    assert schedule("add", "district", "--cron", "0 5 ? * MON *", *WHAT, "--area", str(area)) == 2
    assert "more than 200,000 bytes: simplify its area" in capsys.readouterr().err


def test_a_stack_without_imagery_events_says_how_to_enable_them(make_stack, capsys):
    assert main(["schedule", "add", "a", "--on-new-imagery", *WHAT, "--stack", make_stack()]) == 2

    assert "Deploy it with NewImageryEvents=on" in capsys.readouterr().err


def test_a_schedule_that_is_not_there_cannot_be_removed(schedule, capsys):
    assert schedule("remove", "nothing") == 2

    assert "There is no schedule 'nothing'." in capsys.readouterr().err


def test_a_stack_stands_for_its_tile_bucket(make_stack, bucket, capsys):
    assert main(["token", "create", "office", "--services", "*", "--stack", make_stack()]) == 0
    assert main(["token", "list", "--bucket", bucket]) == 0

    assert "office" in capsys.readouterr().out


def test_a_stack_or_a_bucket_but_not_both():
    assert main(["token", "list", "--bucket", "a", "--stack", "b"]) == 2


def test_a_schedule_may_export_tiles_by_name(schedule, capsys):
    assert schedule("add", "tile", *WEEKLY, *WHAT, "--tile", "4/8/5", "--tile", "120") == 0
    assert schedule("add", "tile", *WEEKLY, *WHAT, "--tile", "4/16/0") == 2

    assert "--tile: '4/16/0' cannot be used. It must be zoom/x/y" in capsys.readouterr().err


def test_a_schedule_may_export_several_areas_each_with_its_levels(schedule, tmp_path, capsys):
    county, fire = tmp_path / "county.json", tmp_path / "fire.json"
    county.write_text(json.dumps({"type": "Polygon", "coordinates": [[[8, 47], [9, 47], [9, 48], [8, 47]]]}))
    fire.write_text(json.dumps({"type": "Point", "coordinates": [8.4, 47.1]}))
    areas = ["--area", str(county), "--levels", "8-10", "--area", str(fire), "--levels", "11-12", "--buffer", "900"]

    assert schedule("add", "county", *WEEKLY, "--service", "World_Imagery", *areas, "--overview-levels", "0-5") == 0

    out = capsys.readouterr().out
    assert "--overview-levels: 1,365 tiles of levels 0-5." in out
    assert f"--area {fire}: 1 point was buffered by 900 m." in out
    schedule("list")
    assert "World_Imagery 2 areas" in capsys.readouterr().out
