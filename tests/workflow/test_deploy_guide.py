"""docs/deploy.md names every parameter of the template, and no others."""

import os
import re

from tests.workflow.stack import RESOURCES, ROOT, TEMPLATE

GUIDE = ROOT / "docs" / "deploy.md"
HEAD = "| Parameter | Default | Description |\n| --- | --- | --- |\n"


def row(name, parameter):
    default = parameter.get("Default")
    shown = "you choose" if default is None else "empty" if default == "" else f"`{default}`"
    legal = parameter.get("AllowedValues") or [parameter.get("MinValue"), parameter.get("MaxValue")]
    joined = ", " if "AllowedValues" in parameter else " to "
    limits = joined.join(f"{value}" for value in legal if value is not None)
    if "MinValue" in parameter and "MaxValue" not in parameter:
        limits = f"at least {limits}"
    text = " ".join(parameter["Description"].split())
    return f"| `{name}` | {shown} | {text}{f' ({limits})' if limits else ''} |\n"


def table():
    return HEAD + "".join(row(name, parameter) for name, parameter in TEMPLATE["Parameters"].items())


def test_every_parameter_stands_there_in_one_line_with_its_default():
    text = GUIDE.read_text()
    if os.environ.get("UPDATE_GOLDEN"):
        text = re.sub(rf"{re.escape(HEAD)}(?:\|.*\n)*", lambda _: table(), text)
        GUIDE.write_text(text)

    assert table() in text


def test_outputs_and_parameters_that_are_named_exist():
    words = GUIDE.read_text().replace(table(), "")
    named = set(re.findall(r"`([A-Z]\w+[a-z])(?:=[^`]*)?`", words)) - {"Range", "Authorization"}

    assert named <= TEMPLATE["Parameters"].keys() | TEMPLATE["Outputs"].keys()


def test_the_longest_name_of_a_stack_fits_into_all_names_made_of_it():
    longest = int(re.search(r"Up to (\d+) letters", GUIDE.read_text())[1])
    limits = {  # characters that AWS allows
        "AWS::Scheduler::ScheduleGroup": 64,
        "AWS::Serverless::StateMachine": 80,
        "AWS::Events::EventBus": 256,
        "AWS::CloudWatch::Dashboard": 255,
    }

    names = [
        (kind, resource["Properties"].get("Name") or resource["Properties"].get("DashboardName"))
        for kind, resource in ((each["Type"], each) for each in RESOURCES.values())
        if kind in limits
    ]
    rooms = [limits[kind] - len(re.sub(r"\$\{[^}]*\}", "", name.get("Sub", ""))) for kind, name in names]

    assert len(names) == 5
    assert min(rooms) == longest
