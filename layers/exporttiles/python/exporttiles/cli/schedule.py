"""The command ``exporttiles schedule``: exports that come again, at certain times or with new imagery."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from exporttiles.adapters.object_stores import open_store
from exporttiles.adapters.service_catalog import ServiceCatalog
from exporttiles.adapters.subscriptions import Subscriptions
from exporttiles.cli.area_file import read_area_file
from exporttiles.cli.cron import check_cron, check_timezone
from exporttiles.cli.option_names import with_option
from exporttiles.cli.stack import Outputs, StackError, add_stack_option, aws_client
from exporttiles.domain.errors import InvalidParameterError, RequestError, ServiceNotFoundError
from exporttiles.domain.export import LAST
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.subscription import NAME, Subscription
from exporttiles.domain.wording import counted
from exporttiles.events.request_document import read_request_document
from exporttiles.events.requests import REQUESTED
from exporttiles.rest.errors import naming
from exporttiles.rest.parameters import read_export_request

SOURCE = "exporttiles.schedule"

_QUIET_MINUTES = 15
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
    add.add_argument("--quiet-minutes", type=float, help="with --on-new-imagery: since the last came (default: 15)")
    add.add_argument("--timezone", help="with --cron: in which it is meant, such as Europe/Berlin (default: UTC)")
    add.add_argument("--service", required=True, help="Name or Folder/Name")
    add.add_argument("--levels", required=True, help="as in 10-16")
    add.add_argument("--area", type=Path, help="file with the area of interest as Esri JSON or GeoJSON (default: all)")
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
    """Add a schedule; what would be rejected when it is due is refused now."""
    _check_options(options)
    request = _request(options)
    document = read_request_document(request.encode(), datetime.now(UTC))
    if len(request.encode()) > _MAX_REQUEST_BYTES:
        raise RequestError(
            f"The request has more than {_MAX_REQUEST_BYTES:,} bytes: simplify its area.", "areaOfInterest"
        )
    outputs = Outputs(options.stack)
    _check_request(options, document.parameters, ServiceCatalog(open_store(f"s3://{outputs['TileBucketName']}")))
    if options.on_new_imagery:
        return _subscribe(options, outputs, request)
    scheduler = aws_client("scheduler")
    timezone = options.timezone or "UTC"
    schedule = {
        "Name": options.name,
        "GroupName": outputs["ScheduleGroupName"],
        "ScheduleExpression": f"cron({options.cron})",
        "ScheduleExpressionTimezone": timezone,
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
    except ClientError as error:
        raise StackError(f"The schedule was refused: {error.response['Error']['Message']}") from error
    with suppress(KeyError):  # a name stands for one schedule, of either kind
        _subscriptions(outputs).delete(options.name)
    print(f"{options.name}: cron({options.cron}) {timezone}")
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Check what the options say without AWS.

    Raises:
        RequestError: one cannot be used, or does not go with another.
    """
    if not NAME.fullmatch(options.name):
        raise InvalidParameterError("NAME", options.name, "Legal are 1 to 64 letters, digits and _ . -.")
    if not options.levels.strip():
        raise RequestError("It is empty. Name the levels, as in 10-16.", "--levels")
    if options.cron is None:
        if options.timezone is not None:
            raise RequestError("It goes with --cron.", "--timezone")
        return
    if options.quiet_minutes is not None:
        raise RequestError("It goes with --on-new-imagery.", "--quiet-minutes")
    check_cron(options.cron)
    check_timezone(options.timezone or "UTC")


def _check_request(options: argparse.Namespace, parameters: Mapping[str, str], services: ServiceCatalog) -> None:
    """Check a request against its service, as it will be when it is due.

    Raises:
        RequestError: there is no such service, or it would refuse the request.
    """
    try:
        service = services.get(options.service)
    except ServiceNotFoundError as error:
        published = ", ".join(services.names()) or "none"
        raise RequestError(f"{error} Published are: {published}.", "--service") from error
    request = read_export_request(parameters, service, must_name_reference=True)
    with naming("areaOfInterest"):  # it may be too complex to count
        tile_count = TileSelection(service.tiling_scheme, request.area, service.full_extent).count_all(request.levels)
    limit = service.max_export_tiles_count
    if not 0 < tile_count <= limit:
        raise RequestError(f"{counted(tile_count, 'tile')} would be exported; legal are 1 to {limit:,}.", "--levels")
    for warning in request.warnings:
        print(f"Warning: {with_option(warning, options)}")


def _subscribe(options: argparse.Namespace, outputs: Outputs, request: str) -> int:
    if "ImageryQueueUrl" not in outputs:
        raise StackError(f"--stack: '{options.stack}' hears of no new imagery: deploy it with NewImageryEvents=on.")
    subscription = Subscription(
        options.name,
        timedelta(minutes=_QUIET_MINUTES if options.quiet_minutes is None else options.quiet_minutes),
        request,
    )
    _subscriptions(outputs).put(subscription)
    scheduler = aws_client("scheduler")
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
    if options.area is not None:
        request["areaOfInterest"] = read_area_file(options.area)
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
    scheduler, outputs = aws_client("scheduler"), Outputs(options.stack)
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
    minutes = subscription.quiet.total_seconds() / 60
    return f"new imagery, {minutes:g} {'minute' if minutes == 1 else 'minutes'} after the last"


def _remove(options: argparse.Namespace) -> int:
    scheduler, outputs = aws_client("scheduler"), Outputs(options.stack)
    found = False
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(Name=options.name, GroupName=outputs["ScheduleGroupName"])
        found = True
    with suppress(KeyError):
        _subscriptions(outputs).delete(options.name)
        found = True
    if not found:
        raise StackError(f"NAME: There is no schedule '{options.name}'.")
    print(f"Removed {options.name}.")
    return 0


def _subscriptions(outputs: Outputs) -> Subscriptions:
    return Subscriptions(open_store(f"s3://{outputs['TileBucketName']}"))
