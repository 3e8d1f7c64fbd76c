"""The command ``exporttiles schedule``: exports that come again, at certain times or with new imagery."""

import argparse
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, ParamValidationError

from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.subscriptions import Subscriptions
from exporttiles.cli.stack import Outputs, StackError, add_stack_option
from exporttiles.domain.export import LAST
from exporttiles.domain.subscription import Subscription
from exporttiles.events.request_document import read_request_document
from exporttiles.events.requests import REQUESTED

SOURCE = "exporttiles.schedule"

_MAX_REQUEST_BYTES = 200_000  # an event, a message and a schedule hold 256 KiB, envelopes included


def add_schedule_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands to those of ``exporttiles``."""
    schedule = commands.add_parser("schedule", help="add, list and remove exports that come again")
    actions = schedule.add_subparsers(required=True, metavar="ACTION")

    add = actions.add_parser("add", help="ask for an export again and again; replaces a schedule of the same name")
    add.add_argument("name", help="of the schedule: letters, digits and _ . -")
    when = add.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", help="minute hour day month weekday year, as in '0 5 ? * MON *'")
    when.add_argument("--on-new-imagery", action="store_true", help="whenever tiles that it holds have come")
    add.add_argument(
        "--quiet-minutes", type=float, default=15, help="with --on-new-imagery: since the last came (%(default)s)"
    )
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
    outputs, request = Outputs(options.stack), _request(options)
    read_request_document(request.encode(), datetime.now(UTC))  # a slip of the pen shows now, not on Monday
    if len(request.encode()) > _MAX_REQUEST_BYTES:
        raise StackError(f"The request has more than {_MAX_REQUEST_BYTES:,} bytes: simplify its area.")
    if options.on_new_imagery:
        return _subscribe(options, outputs, request)
    scheduler = _scheduler()
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
    with suppress(KeyError):  # a name stands for one schedule, of either kind
        _subscriptions(outputs).delete(options.name)
    print(f"{options.name}: cron({options.cron}) {options.timezone}")
    return 0


def _subscribe(options: argparse.Namespace, outputs: Outputs, request: str) -> int:
    if "ImageryQueueUrl" not in outputs:
        raise StackError(f"The stack '{options.stack}' hears of no new imagery: deploy it with NewImageryEvents=on.")
    subscription = Subscription(options.name, timedelta(minutes=options.quiet_minutes), request)
    _subscriptions(outputs).put(subscription)
    scheduler = _scheduler()
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(Name=options.name, GroupName=outputs["ScheduleGroupName"])
    print(f"{options.name}: {_when(subscription)}")
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
    scheduler, outputs = _scheduler(), Outputs(options.stack)
    group, subscriptions = outputs["ScheduleGroupName"], _subscriptions(outputs)
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for found in page["Schedules"]:
            schedule = scheduler.get_schedule(Name=found["Name"], GroupName=group)
            when = f"{schedule['ScheduleExpression']} {schedule.get('ScheduleExpressionTimezone', 'UTC')}"
            _print_line(found["Name"], when, schedule["Target"]["Input"])
    for name in subscriptions.names():
        subscription = subscriptions.get(name)
        _print_line(name, _when(subscription), subscription.request)
    return 0


def _print_line(name: str, when: str, request_text: str) -> None:
    request = json.loads(request_text)
    kept = f", newest {request['keep']} kept" if "keep" in request else ""
    changed = ", only what has changed" if "since" in request else ""
    print(f"{name:24} {when:44} {request['service']} levels {request.get('levels') or 'all'}{kept}{changed}")


def _when(subscription: Subscription) -> str:
    return f"new imagery, {subscription.quiet.total_seconds() / 60:g} minutes after the last"


def _remove(options: argparse.Namespace) -> int:
    scheduler, outputs = _scheduler(), Outputs(options.stack)
    found = False
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(Name=options.name, GroupName=outputs["ScheduleGroupName"])
        found = True
    with suppress(KeyError):
        _subscriptions(outputs).delete(options.name)
        found = True
    if not found:
        raise StackError(f"There is no schedule '{options.name}'.")
    print(f"Removed {options.name}.")
    return 0


def _subscriptions(outputs: Outputs) -> Subscriptions:
    return Subscriptions(open_store(f"s3://{outputs['TileBucketName']}"))


def _scheduler() -> Any:
    return boto3.client("scheduler")  # its types are not among those that we install
