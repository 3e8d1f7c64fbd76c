"""The command ``exporttiles schedule``, with its own commands."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError

from exporttiles.adapters.json_folders import ServiceCatalog, Subscriptions
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.area_file import read_area_file
from exporttiles.cli.command import CommandGroup, ExclusiveOption
from exporttiles.cli.cron import check_cron, check_timezone
from exporttiles.cli.option_names import with_option
from exporttiles.cli.stack import Outputs, StackError, aws_client, stack_option
from exporttiles.domain.errors import InvalidParameterError, RequestError, ServiceNotFoundError
from exporttiles.domain.export import LAST
from exporttiles.domain.selection import TileSelection
from exporttiles.domain.subscription import NAME, Subscription
from exporttiles.domain.wording import counted
from exporttiles.events.request_document import read_request_document
from exporttiles.events.requests import REQUESTED
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.parameters import read_export_request

SOURCE = "exporttiles.schedule"

_QUIET_MINUTES = 15
_MAX_REQUEST_BYTES = 200_000  # an event, a message and a schedule hold 256 KiB, envelopes included


@click.group(cls=CommandGroup)
def schedule() -> None:
    """Add, list and remove schedules of exports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of `add`."""

    name: str
    cron: str | None
    on_new_imagery: bool
    quiet_minutes: float | None
    timezone: str | None
    service: str
    levels: str
    area: Path | None
    package_name: str | None
    keep: int | None
    since_last: bool
    key: str | None
    quality: int | None
    stack: str


@schedule.command("add")
@click.argument("name")
@click.option("--cron", help="Minute hour day month weekday year, as in '0 5 ? * MON *'.")
@click.option(
    "--on-new-imagery",
    is_flag=True,
    cls=ExclusiveOption,
    excludes=["cron"],
    help="Whenever tiles that it holds have come.",
)
@click.option("--quiet-minutes", type=float, help="With --on-new-imagery: since the last came (default: 15).")
@click.option("--timezone", help="With --cron: in which it is meant, such as Europe/Berlin (default: UTC).")
@click.option("--service", required=True, help="Name or Folder/Name.")
@click.option("--levels", required=True, help="As in 10-16.")
@click.option(
    "--area",
    type=click.Path(path_type=Path),
    help="File with the area of interest as Esri JSON or GeoJSON (default: all).",
)
@click.option("--package-name", help="Of the package; {date} stands for the day (default: name-{date}).")
@click.option("--keep", type=int, help="Packages that are kept, the newest; older ones are removed.")
@click.option("--since-last", is_flag=True, help="With --keep: only tiles changed since the last package.")
@click.option("--key", help="Name of the API key in whose name it is made, if the stack asks for tokens.")
@click.option("--quality", type=int, help="Recompress JPEG tiles to this quality.")
@stack_option
def add_schedule(**values: Any) -> None:
    """Schedule an export; replace the schedule of the same name.

    NAME of the schedule: letters, digits and _ . -
    """
    options = _Options(**values)
    if options.cron is None and not options.on_new_imagery:
        raise click.UsageError("Missing option '--cron' or '--on-new-imagery'.", click.get_current_context())
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
        _subscribe(options, outputs, request)
        return
    scheduler = aws_client("scheduler")
    timezone = options.timezone or "UTC"
    definition = {
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
            scheduler.create_schedule(**definition)
        except scheduler.exceptions.ConflictException:
            scheduler.update_schedule(**definition)
    except ClientError as error:
        raise StackError(f"The schedule was refused: {error.response['Error']['Message']}") from error
    with suppress(KeyError):  # a name stands for one schedule, of either kind
        _subscriptions(outputs).delete(options.name)
    print(f"{options.name}: cron({options.cron}) {timezone}")


def _check_options(options: _Options) -> None:
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


def _check_request(options: _Options, parameters: Mapping[str, str], services: ServiceCatalog) -> None:
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
    with naming_parameter("areaOfInterest"):  # it may be too complex to count
        tile_count = TileSelection.of_service(service, request.area).count_all(request.levels)
    limit = service.max_export_tiles_count
    if not 0 < tile_count <= limit:
        raise RequestError(f"{counted(tile_count, 'tile')} would be exported; legal are 1 to {limit:,}.", "--levels")
    for warning in request.warnings:
        print(f"Warning: {with_option(warning)}")


def _subscribe(options: _Options, outputs: Outputs, request: str) -> None:
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


def _request(options: _Options) -> str:
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


@schedule.command("list")
@stack_option
def list_schedules(stack: str) -> None:
    """List the schedules."""
    scheduler, outputs = aws_client("scheduler"), Outputs(stack)
    group, subscriptions = outputs["ScheduleGroupName"], _subscriptions(outputs)
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for summary in page["Schedules"]:
            found = scheduler.get_schedule(Name=summary["Name"], GroupName=group)
            when = f"{found['ScheduleExpression']} {found.get('ScheduleExpressionTimezone', 'UTC')}"
            _print_line(summary["Name"], when, found["Target"]["Input"])
    for name in subscriptions.names():
        subscription = subscriptions.get(name)
        _print_line(name, _when(subscription), subscription.request)


def _print_line(name: str, when: str, request_text: str) -> None:
    request = json.loads(request_text)
    kept = f", newest {request['keep']} kept" if "keep" in request else ""
    changed = ", only what has changed" if "since" in request else ""
    print(f"{name:24} {when:44} {request['service']} levels {request.get('levels') or 'all'}{kept}{changed}")


def _when(subscription: Subscription) -> str:
    minutes = subscription.quiet.total_seconds() / 60
    return f"new imagery, {minutes:g} {'minute' if minutes == 1 else 'minutes'} after the last"


@schedule.command("remove")
@click.argument("name")
@stack_option
def remove_schedule(name: str, stack: str) -> None:
    """Remove a schedule; exports that run go on."""
    scheduler, outputs = aws_client("scheduler"), Outputs(stack)
    found = False
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(Name=name, GroupName=outputs["ScheduleGroupName"])
        found = True
    with suppress(KeyError):
        _subscriptions(outputs).delete(name)
        found = True
    if not found:
        raise StackError(f"NAME: There is no schedule '{name}'.")
    print(f"Removed {name}.")


def _subscriptions(outputs: Outputs) -> Subscriptions:
    return Subscriptions(open_store(f"s3://{outputs['TileBucketName']}"))
