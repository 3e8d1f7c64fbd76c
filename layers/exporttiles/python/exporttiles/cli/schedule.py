"""The command ``exporttiles schedule``: exports that come again, by EventBridge Scheduler."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, ParamValidationError

from exporttiles.cli.stack import Outputs, StackError, add_stack_option
from exporttiles.domain.export import LAST
from exporttiles.events.request_document import read_request_document
from exporttiles.events.requests import REQUESTED

SOURCE = "exporttiles.schedule"


def add_schedule_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands to those of ``exporttiles``."""
    schedule = commands.add_parser("schedule", help="add, list and remove exports that come again")
    actions = schedule.add_subparsers(required=True, metavar="ACTION")

    add = actions.add_parser("add", help="ask for an export at certain times; replaces a schedule of the same name")
    add.add_argument("name", help="of the schedule: letters, digits and _ . -")
    add.add_argument("--cron", required=True, help="minute hour day month weekday year, as in '0 5 ? * MON *'")
    add.add_argument("--timezone", default="UTC", help="in which they are meant, such as Europe/Berlin (UTC)")
    add.add_argument("--service", required=True, help="Name or Folder/Name")
    add.add_argument("--levels", required=True, help="as in 10-16")
    add.add_argument("--area", type=Path, help="file with the area of interest as Esri JSON (default: all)")
    add.add_argument("--package-name", help="of the package; {date} stands for the day (default: name-{date})")
    add.add_argument("--keep", type=int, help="packages that are kept, the newest; older ones are removed")
    add.add_argument("--since-last", action="store_true", help="with --keep: only tiles changed since the last package")
    add.add_argument("--key", help="name of the API key in whose name it is made, if the stack asks for tokens")
    add.add_argument("--quality", type=int, help="recompress JPEG tiles to this quality")
    add.set_defaults(run=_add)

    listing = actions.add_parser("list", help="list the schedules")
    listing.set_defaults(run=_list)

    remove = actions.add_parser("remove", help="remove a schedule; exports that run go on")
    remove.add_argument("name", help="of the schedule")
    remove.set_defaults(run=_remove)
    for action in (add, listing, remove):
        add_stack_option(action)


def _add(options: argparse.Namespace) -> int:
    outputs, scheduler = Outputs(options.stack), _scheduler()
    request = _request(options)
    read_request_document(request.encode(), datetime.now(UTC))  # a slip of the pen shows now, not on Monday
    schedule = {
        "Name": options.name,
        "GroupName": outputs["ScheduleGroupName"],
        "ScheduleExpression": f"cron({options.cron})",
        "ScheduleExpressionTimezone": options.timezone,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": outputs["EventBusArn"],
            "RoleArn": outputs["ScheduleRoleArn"],
            "EventBridgeParameters": {"DetailType": REQUESTED, "Source": SOURCE},
            "Input": request,
        },
    }
    try:
        try:
            scheduler.create_schedule(**schedule)
        except scheduler.exceptions.ConflictException:
            scheduler.update_schedule(**schedule)
    except (ClientError, ParamValidationError) as error:
        raise StackError(f"The schedule was refused: {error}") from error
    print(f"{options.name}: cron({options.cron}) {options.timezone}")
    return 0


def _request(options: argparse.Namespace) -> str:
    """Return the request that comes again."""
    request: dict[str, Any] = {
        "service": options.service,
        "name": options.package_name or f"{options.name}-{{date}}",
        "levels": options.levels,
        "tilePackage": True,
    }
    if options.area:
        request["areaOfInterest"] = options.area.read_text(encoding="utf-8")
    if options.keep is not None:
        request["keep"] = options.keep
    if options.since_last:
        request["since"] = LAST
    if options.key:
        request["key"] = options.key
    if options.quality is not None:
        request |= {"optimizeTilesForSize": True, "compressionQuality": options.quality}
    return json.dumps(request)


def _list(options: argparse.Namespace) -> int:
    scheduler, group = _scheduler(), Outputs(options.stack)["ScheduleGroupName"]
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for found in page["Schedules"]:
            schedule = scheduler.get_schedule(Name=found["Name"], GroupName=group)
            request = json.loads(schedule["Target"]["Input"])
            when = f"{schedule['ScheduleExpression']} {schedule.get('ScheduleExpressionTimezone', 'UTC')}"
            kept = f", {request['keep']} kept" if "keep" in request else ""
            print(f"{found['Name']:24} {when:40} {request['service']} levels {request['levels']}{kept}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    scheduler, group = _scheduler(), Outputs(options.stack)["ScheduleGroupName"]
    try:
        scheduler.delete_schedule(Name=options.name, GroupName=group)
    except scheduler.exceptions.ResourceNotFoundException as error:
        raise StackError(f"There is no schedule '{options.name}'.") from error
    print(f"Removed {options.name}.")
    return 0


def _scheduler() -> Any:
    return boto3.client("scheduler")  # its types are not among those that we install
