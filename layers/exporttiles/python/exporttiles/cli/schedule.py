"""The command ``exporttiles schedule`` and its sub-commands."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click
from botocore.exceptions import ClientError

from exporttiles.adapters.json_folders import ServiceCatalog, Subscriptions
from exporttiles.adapters.object_stores import open_store
from exporttiles.cli.area_options import AreaCommand, AreaOptions, area_options
from exporttiles.cli.command import TILE_FORMAT_OPTION, CommandGroup, ExclusiveOption, filled, with_option
from exporttiles.cli.cron import cron_expression, time_zone
from exporttiles.cli.destination import OUTPUTS
from exporttiles.cli.source import print_messages
from exporttiles.cli.stack import Outputs, StackError, aws_client, stack_option
from exporttiles.domain.errors import RequestError, ServiceNotFoundError
from exporttiles.domain.export import LAST
from exporttiles.domain.export_selection import ExportSelection
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.subscription import NAME, Subscription
from exporttiles.domain.wording import counted
from exporttiles.events.request_document import MAX_KEPT, read_request_document
from exporttiles.events.requests import REQUESTED
from exporttiles.messages.export import Export
from exporttiles.rest.errors import naming_parameter
from exporttiles.rest.package_by import read_packages
from exporttiles.rest.parameter_names import PACKAGE_BY
from exporttiles.rest.parameters import read_export_request
from exporttiles.usecases.area_messages import area_messages

SOURCE = "exporttiles.schedule"

_MAX_PACKAGES = 1_000  # the highest MaxPackagesPerBatch; a stack may allow fewer
_MAX_REQUEST_BYTES = 200_000  # an event, a message and a schedule hold 256 KiB, envelopes included


@click.group(cls=CommandGroup)
def schedule() -> None:
    """Add, list and remove scheduled exports."""


def _schedule_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return a legal name of a schedule.

    Raises:
        BadParameter: it is not one.
    """
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"'{name[:80]}' cannot be used. It must have 1 to 64 letters, digits and _ . -.")
    return name


@schedule.command("add", cls=AreaCommand)
@click.argument("name", callback=_schedule_name)
@click.option(
    "--cron",
    callback=cron_expression,
    metavar="EXPRESSION",
    help="Export at these times: minute hour day-of-month month day-of-week year, such as '0 5 ? * MON *'.",
)
@click.option(
    "--timezone",
    callback=time_zone,
    metavar="ZONE",
    default="UTC",
    show_default=True,
    cls=ExclusiveOption,
    excludes=["on_new_imagery"],
    help="Time zone of --cron, such as Europe/Berlin.",
)
@click.option(
    "--on-new-imagery",
    is_flag=True,
    cls=ExclusiveOption,
    excludes=["cron"],
    help="Export whenever new tiles of the selection have arrived.",
)
@click.option(
    "--quiet-minutes",
    type=click.IntRange(1, 1440),
    metavar="N",
    default=15,
    show_default=True,
    cls=ExclusiveOption,
    excludes=["cron"],
    help="With --on-new-imagery: minutes to wait after the last new tile.",
)
@click.option("--service", required=True, metavar="NAME", help="Service to export: Name or Folder/Name.")
@area_options(are_levels_required=True)
@click.option(
    "--package-by",
    callback=filled,
    metavar="ATTRIBUTE",
    help="Make one package for each value of an attribute of the features in --area.",
)
@click.option(
    "--package-name",
    callback=filled,
    metavar="NAME",
    help="Name of the packages; {date} is replaced by the day.  [default: NAME-{date}]",
)
@click.option(
    "--keep", type=click.IntRange(1, MAX_KEPT), metavar="N", help="Keep the newest N packages and remove older ones."
)
@click.option("--since-last", is_flag=True, help="With --keep: export only tiles changed since the last package.")
@click.option(
    "--key",
    callback=filled,
    metavar="NAME",
    help="API key whose services and limits apply; required if the stack requires tokens.",
)
@click.option("--quality", type=click.IntRange(0, 100), metavar="N", help="Recompress JPEG tiles with this quality.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(
        [suffix.removeprefix(".") for suffix, (is_package, _) in OUTPUTS.items() if is_package == "true"]
    ),
    default="tpkx",
    show_default=True,
    help="Format of the packages.",
)
@TILE_FORMAT_OPTION
@click.option("--clip", is_flag=True, help="Make pixels outside the area transparent; cut JPEG tiles become PNG.")
@click.option("--skip-blank", is_flag=True, help="Leave out fully transparent tiles.")
@click.option("--skip-one-color", is_flag=True, help="Leave out all tiles of one color, transparent or not.")
@click.option("--clip-color", metavar="R,G,B", help="With --clip: paint them in a color instead, such as 255,255,255.")
@stack_option
def add_schedule(
    name: str,
    *,
    cron: str | None,
    timezone: str,
    on_new_imagery: bool,
    quiet_minutes: int,
    service: str,
    areas: AreaOptions,
    package_by: str | None,
    package_name: str | None,
    keep: int | None,
    since_last: bool,
    key: str | None,
    quality: int | None,
    file_format: str,
    tile_format: str | None,
    clip: bool,
    clip_color: str | None,
    skip_blank: bool,
    skip_one_color: bool,
    stack: str,
) -> None:
    """Schedule an export, or replace the schedule of this name.

    NAME is the name of the schedule: letters, digits and _ . -

    Either --cron or --on-new-imagery is required.
    """
    if cron is None and not on_new_imagery:
        raise click.UsageError("Missing option '--cron' or '--on-new-imagery'.", click.get_current_context())
    area_parameters, notes = areas.parameters(package_by)
    for note in notes:
        print(with_option(note))
    members = {
        "service": service,
        "name": package_name or f"{name}-{{date}}",
        "tilePackage": True,
        "storageFormatType": OUTPUTS[f".{file_format}"][1] if file_format != "tpkx" else None,
        **area_parameters,
        PACKAGE_BY: package_by,
        "keep": keep,
        "since": LAST if since_last else None,
        "key": key,
        "optimizeTilesForSize": None if quality is None else True,
        "compressionQuality": quality,
        "tileFormat": tile_format,
        "clip": clip or None,
        "clipColor": clip_color,
        "skipBlank": skip_blank or None,
        "skipOneColor": skip_one_color or None,
    }
    request = json.dumps({member: value for member, value in members.items() if value is not None})
    document = read_request_document(request.encode(), datetime.now(UTC))
    if len(request.encode()) > _MAX_REQUEST_BYTES:
        text = f"The request has more than {_MAX_REQUEST_BYTES:,} bytes: simplify its area."
        raise RequestError(text, "areaOfInterest")
    outputs = Outputs(stack)
    _check_request(service, document.parameters, ServiceCatalog(open_store(f"s3://{outputs['TileBucketName']}")))
    if cron is None:
        when = _subscribe(Subscription(name, timedelta(minutes=quiet_minutes), request), outputs)
    else:
        when = _put_schedule(name, cron, timezone, request, outputs)
    print(f"{name}: {when}")


def _check_request(name: str, parameters: Mapping[str, str], services: ServiceCatalog) -> None:
    """Check a request against its service, as it will be when it is due.

    Raises:
        RequestError: there is no such service, or it would refuse the request.
    """
    try:
        service = services.get(name)
    except ServiceNotFoundError as error:
        published = ", ".join(services.names()) or "none"
        raise RequestError(f"{error} Published services: {published}.", "service") from error
    request = read_export_request(parameters, service, must_name_reference=True)
    packages = read_packages(parameters, service, _MAX_PACKAGES)
    selection = ExportSelection(service, request)
    with naming_parameter("areaOfInterest"):  # it may be too complex to count
        exports = [package.export for package in packages] or [Export(service, request)]
        tile_count = sum(ExportSelection(each.service, each.request).count() for each in exports)
        messages = list(area_messages(selection))
    limit = service.max_export_tiles_count
    if not 0 < tile_count <= limit:
        raise RequestError(
            f"{counted(tile_count, 'tile')} would be exported; the service allows 1 to {limit:,}.", "levels"
        )
    warnings = (Message(MessageKind.WARNING, text) for text in request.warnings)
    notes = (Message(MessageKind.INFORMATIVE, text) for text in request.notes)
    print_messages(replace(message, text=with_option(message.text)) for message in (*notes, *warnings, *messages))


def _put_schedule(name: str, cron: str, timezone: str, request: str, outputs: Outputs) -> str:
    """Create or replace a schedule. Return when it is due."""
    scheduler = aws_client("scheduler")
    definition = {
        "Name": name,
        "GroupName": outputs["ScheduleGroupName"],
        "ScheduleExpression": f"cron({cron})",
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
        _subscriptions(outputs).delete(name)
    return f"cron({cron}) {timezone}"


def _subscribe(subscription: Subscription, outputs: Outputs) -> str:
    """Create or replace a subscription to new imagery. Return when it is due."""
    if "ImageryQueueUrl" not in outputs:
        text = "The stack receives no events of new imagery. Deploy it with NewImageryEvents=on."
        raise RequestError(text, "on_new_imagery")
    _subscriptions(outputs).put(subscription)
    _delete_schedule(subscription.name, outputs)
    return _when(subscription)


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
    changed = ", changed tiles only" if "since" in request else ""
    areas = f"{len(json.loads(request['areas']))} areas" if "areas" in request else ""
    levels = areas or f"levels {request.get('levels') or 'all'}"
    print(f"{name:24} {when:44} {request['service']} {levels}{kept}{changed}")


def _when(subscription: Subscription) -> str:
    minutes = subscription.quiet.total_seconds() / 60
    return f"new imagery, {minutes:g} {'minute' if minutes == 1 else 'minutes'} after the last"


@schedule.command("remove")
@click.argument("name", callback=_schedule_name)
@stack_option
def remove_schedule(name: str, stack: str) -> None:
    """Remove a schedule. Running exports continue."""
    outputs = Outputs(stack)
    is_found = _delete_schedule(name, outputs)
    with suppress(KeyError):
        _subscriptions(outputs).delete(name)
        is_found = True
    if not is_found:
        raise RequestError(f"There is no schedule '{name}'.", "name")
    print(f"Removed {name}.")


def _delete_schedule(name: str, outputs: Outputs) -> bool:
    """Delete a schedule. Return False if there is none."""
    scheduler = aws_client("scheduler")
    try:
        scheduler.delete_schedule(Name=name, GroupName=outputs["ScheduleGroupName"])
    except scheduler.exceptions.ResourceNotFoundException:
        return False
    return True


def _subscriptions(outputs: Outputs) -> Subscriptions:
    return Subscriptions(open_store(f"s3://{outputs['TileBucketName']}"))
