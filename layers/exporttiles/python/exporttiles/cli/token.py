"""The command ``exporttiles token`` and its sub-commands."""

import secrets
from datetime import UTC, datetime, timedelta

import click

from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.cli.command import CommandGroup, filled
from exporttiles.cli.stack import max_tiles_option, tile_bucket, tile_bucket_options
from exporttiles.domain.api_key import SECRET_BYTES, ApiKey, key_id_of, token_of
from exporttiles.domain.errors import RequestError
from exporttiles.domain.wording import counted


@click.group(cls=CommandGroup)
def token() -> None:
    """Create, list and revoke API keys.

    A stack deployed with TokenSecurity=on requires them.
    """


@token.command("create")
@click.argument("name", callback=filled)
@click.option(
    "--services",
    required=True,
    metavar="NAMES",
    help="Services that the key opens, separated by commas: Name, Folder/Name, Folder/*, or * for all.",
)
@max_tiles_option
@click.option(
    "--days", type=click.IntRange(1, 36_500), metavar="N", default=365, show_default=True, help="Days until it expires."
)
@tile_bucket_options
def create_key(name: str, *, services: str, max_tiles: int, days: int, stack: str, bucket: str | None) -> None:
    """Create a key and print its token, which is shown only once.

    NAME is the name of the key: letters, digits and _ . @ -
    """
    secret = token_of(secrets.token_bytes(SECRET_BYTES))
    try:
        key = ApiKey(
            key_id=key_id_of(secret),
            name=name,
            services=tuple(filter(None, map(str.strip, services.split(",")))),
            max_tile_count=max_tiles,
            expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
        )
    except ValueError as error:
        raise RequestError(str(error)) from error
    keys = ApiKeys(tile_bucket(stack, bucket))
    if any(found.name == name for found in keys.list()):
        raise RequestError(f"There is a key '{name}' already. Revoke it, or choose another name.", "name")
    keys.put(key)
    click.echo(secret)  # alone on standard output, for a pipe
    click.echo(f"{name} works until {key.expires_at:%Y-%m-%d %H:%M} UTC. The token is not shown again.", err=True)


@token.command("list")
@tile_bucket_options
def list_keys(stack: str, bucket: str | None) -> None:
    """List the keys."""
    for key in ApiKeys(tile_bucket(stack, bucket)).list():
        state = "expired" if key.expires_at <= datetime.now(UTC) else "until"
        until = f"{state} {key.expires_at:%Y-%m-%d %H:%M} UTC"
        print(f"{key.name:24} {until:29} {counted(key.max_tile_count, 'tile'):>17}  {','.join(key.services)}")


@token.command("revoke")
@click.argument("name")
@tile_bucket_options
def revoke_key(name: str, stack: str, bucket: str | None) -> None:
    """Revoke a key immediately."""
    keys = ApiKeys(tile_bucket(stack, bucket))
    found = [key.key_id for key in keys.list() if key.name == name]
    if not found:
        raise RequestError(f"There is no key '{name}'.", "name")
    for key_id in found:
        keys.delete(key_id)
    print(f"Revoked {name}.")
