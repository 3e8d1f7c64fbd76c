"""The commands ``exporttiles publish``, ``services`` and ``unpublish``."""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from exporttiles.adapters.json_folders import ServiceCatalog, require_service_name
from exporttiles.cli.cache_access import explained, other_account_note, require_named
from exporttiles.cli.command import Command, filled
from exporttiles.cli.source import Source, cache_options, inspect, open_address, print_messages, read_sources
from exporttiles.cli.stack import Outputs, max_tiles_option, services_url, tile_bucket, tile_bucket_options
from exporttiles.domain.errors import DamagedCacheError, RequestError, SourceDeniedError, SourceError
from exporttiles.domain.job import Message, MessageKind
from exporttiles.domain.service import ImageService, bucket_of
from exporttiles.domain.wording import counted


@click.command(cls=Command)
@click.argument("name", callback=filled)
@click.argument("source", type=click.Path(), nargs=-1, required=True, callback=read_sources)
@tile_bucket_options
@cache_options
@max_tiles_option
def publish(name: str, source: Source, *, stack: str, bucket: str | None, max_tiles: int, **cache: Any) -> None:
    """Publish a tile cache as an image service.

    NAME is the name of the service: Name or Folder/Name. An existing service of this name is replaced.

    SOURCE is a folder, .tpkx, .tpk, .zip, .pmtiles or .tif, or a .json of STAC, in S3, such as s3://bucket/caches/Name:
    in the tile bucket, or in a bucket that the parameter CacheBuckets of the stack names. A local stack (make serve)
    also reads paths on this machine. Several .tif, or a .txt that lists them, one a line, are one mosaic.
    """
    require_service_name(name)
    if source.path is None and not bucket_of(source.address):
        raise RequestError(f"'{source}' is not the address of a tile cache, such as s3://bucket/caches/Name.", "source")
    if source.path and "AWS_ENDPOINT_URL" not in os.environ:
        raise RequestError(
            f"'{source}' is on this machine, where the stack cannot read it. Copy it into the tile bucket and name it "
            "as s3://BUCKET/caches/NAME: aws s3 cp --recursive FOLDER s3://BUCKET/caches/NAME. For the local stack, "
            "run the export line that make serve prints.",
            "source",
        )
    catalog, directory = ServiceCatalog(tile_bucket(stack, bucket)), services_url(stack, bucket)
    url = f"file://{source.path.resolve()}" if source.path else source.address
    is_elsewhere = source.path is None and bucket_of(url) != (bucket or Outputs(stack)["TileBucketName"])
    if is_elsewhere and not bucket:
        require_named(url, stack)
    print(f"Inspecting {source} ...")
    try:
        found = inspect(source, open_address(url), name, url, **cache)
    except SourceDeniedError as error:
        raise explained(error, url, None if bucket else stack) from error
    print_messages(found.messages)
    published_at = datetime.now(UTC).isoformat()
    service = replace(found.service, max_export_tiles_count=max_tiles, published_at=published_at)
    verb = "Replaced" if name in catalog.names() else "Published"
    if verb == "Replaced":
        print_messages(_changes(catalog, service))
    catalog.put(service)
    levels = f"levels {service.min_level}-{service.max_level}"
    print(f"{verb} {name}: {service.tile_format}, {levels}, {service.cache.layout} cache.")
    if directory:
        print(f"{directory}/{name}/ImageServer")
    if is_elsewhere:
        note = f"The stack must name {bucket_of(url)} in CacheBuckets." if bucket else other_account_note(url, stack)
        print_messages([Message(MessageKind.WARNING, note)] if note else [])


@click.command(cls=Command)
@tile_bucket_options
def services(stack: str, bucket: str | None) -> None:
    """List the published services.

    One line per service: name, cache layout, levels, tile format, the number of GeoTIFFs that its tiles are drawn
    from, and, unless --bucket is used, its address. Files that were added since are drawn once it is published again.
    """
    catalog, directory = ServiceCatalog(tile_bucket(stack, bucket)), services_url(stack, bucket)
    for name in catalog.names():
        address = f"{directory}/{name}/ImageServer" if directory else ""
        print(f"{name:24} {_description(catalog, name):32} {address}".rstrip())


@click.command(cls=Command)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@tile_bucket_options
def unpublish(name: str, stack: str, bucket: str | None, *, yes: bool) -> None:
    """Remove a published service, but not its tiles.

    NAME is the name of the service: Name or Folder/Name.
    """
    catalog = ServiceCatalog(tile_bucket(stack, bucket))
    if name not in catalog.names():
        raise RequestError(f"There is no image service '{name}'.", "name")
    if not yes and not _is_confirmed(f"Remove the service {name}? Its tiles stay."):
        raise click.ClickException("Nothing was removed. --yes removes without asking.")
    try:
        place = f" at {catalog.get(name).cache.url.removeprefix('file://')}"
    except DamagedCacheError:  # its descriptor cannot be read, and is removed all the same
        place = ""
    catalog.delete(name)
    print(f"Unpublished {name}. The tiles stay{place}.")


def _description(catalog: ServiceCatalog, name: str) -> str:
    try:
        service = catalog.get(name)
    except DamagedCacheError as error:  # the others are listed all the same
        return f"cannot be read: {error}"
    levels = f"levels {service.min_level}-{service.max_level}"
    mosaic = service.cache.mosaic
    files = f" {counted(mosaic.file_count, 'file')}" if mosaic else ""
    return f"{service.cache.layout:10} {levels:13} {service.tile_format}{files}"


def _changes(catalog: ServiceCatalog, service: ImageService) -> list[Message]:
    """Return a message about the GeoTIFFs of a service that changed since it was published."""
    try:
        before = catalog.get_with_rasters(service.name).cache
    except (DamagedCacheError, SourceError):  # it is replaced by one that can be read
        return []
    earlier, later = before.mosaic and before.mosaic.files, service.cache.mosaic and service.cache.mosaic.files
    if not earlier or not later or before.url != service.cache.url:
        return []
    old, new = earlier.versions(), later.versions()
    changed = sum(old[key] != new[key] for key in old.keys() & new.keys())
    counts = f"{len(new.keys() - old.keys()):,} added, {len(old.keys() - new.keys()):,} removed, {changed:,} replaced"
    return [Message(MessageKind.INFORMATIVE, f"GeoTIFFs since it was published: {counts}.")]


def _is_confirmed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        click.echo(err=True)  # ends the line of the question
        return False  # there is nobody to answer
