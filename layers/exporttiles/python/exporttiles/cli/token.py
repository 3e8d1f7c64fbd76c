"""The command ``exporttiles token``, with its own commands."""

import secrets
import sys
from datetime import UTC, datetime, timedelta

import click

from exporttiles.adapters.json_folders import ApiKeys
from exporttiles.cli.command import CommandGroup
from exporttiles.cli.stack import tile_bucket, tile_bucket_options
from exporttiles.domain.api_key import SECRET_BYTES, ApiKey, key_id_of, token_of
from exporttiles.domain.wording import counted


@click.group(cls=CommandGroup)
def token() -> None:
    """Create, list and revoke API keys.

    A stack asks for them if it was deployed with TokenSecurity=on.
    """


@token.command("create")
@click.argument("name")
@click.option(
    "--services",
    required=True,
    help="Services that it opens, with commas between: Name, Folder/Name, Folder/*, or * for all.",
)
@click.option("--max-tiles", type=int, default=100_000, show_default=True, help="Tiles that one export may select.")
@click.option("--days", type=float, default=365, show_default=True, help="Days until it expires.")
@tile_bucket_options
def create_key(name: str, *, services: str, max_tiles: int, days: float, stack: str, bucket: str | None) -> None:
    """Create a key and print its token, which is shown only once.

    NAME of the key: letters, digits and _ . @ -
    """
    keys, secret = ApiKeys(tile_bucket(stack, bucket)), token_of(secrets.token_bytes(SECRET_BYTES))
    if any(key.name == name for key in keys.list()):
        raise click.ClickException(f"there is a key '{name}' already: revoke it, or choose another name")
    try:
        key = ApiKey(
            key_id=key_id_of(secret),
            name=name,
            services=tuple(filter(None, map(str.strip, services.split(",")))),
            max_tile_count=max_tiles,
            expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
        )
    except (ValueError, OverflowError) as error:
        raise click.ClickException(str(error)) from error
    keys.put(key)
    print(secret)  # alone on standard output, for a pipe
    print(f"{key.name} works until {key.expires_at:%Y-%m-%d %H:%M} UTC. The token is not shown again.", file=sys.stderr)


@token.command("list")
@tile_bucket_options
def list_keys(stack: str, bucket: str | None) -> None:
    """List the keys."""
    for key in ApiKeys(tile_bucket(stack, bucket)).list():
        state = "expired" if key.expires_at <= datetime.now(UTC) else "until"
        until = f"{state} {key.expires_at:%Y-%m-%d %H:%M} UTC"
        tiles = counted(key.max_tile_count, "tile", "tiles")
        print(f"{key.name:24} {until:29} {tiles:>17}  {','.join(key.services)}")


@token.command("revoke")
@click.argument("name")
@tile_bucket_options
def revoke_key(name: str, stack: str, bucket: str | None) -> None:
    """Revoke a key, at once."""
    keys = ApiKeys(tile_bucket(stack, bucket))
    found = [key for key in keys.list() if key.name == name]
    if not found:
        raise click.ClickException(f"there is no key '{name}'")
    for key in found:
        keys.delete(key.key_id)
    print(f"Revoked {name}.")
