"""The command ``exporttiles token``: make API keys, list them, revoke them."""

import argparse
import secrets
import sys
from datetime import UTC, datetime, timedelta

from exporttiles.adapters.api_keys import ApiKeys
from exporttiles.cli.stack import add_tile_bucket_options, tile_bucket
from exporttiles.domain.api_key import SECRET_BYTES, ApiKey, key_id_of, token_of
from exporttiles.domain.wording import counted


def add_token_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its own commands to those of ``exporttiles``."""
    token = commands.add_parser("token", help="make, list and revoke the API keys of a stack with TokenSecurity=on")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    add_tile_bucket_options(shared)

    create = actions.add_parser("create", parents=[shared], help="make a key and print its token, this once")
    create.add_argument("name", help="what to call the key: letters, digits and _ . @ -")
    create.add_argument(
        "--services",
        required=True,
        help="which it opens, with commas between: Name, Folder/Name, Folder/*, or * for all",
    )
    create.add_argument(
        "--max-tiles", type=int, default=100_000, help="tiles one export may select (default: %(default)s)"
    )
    create.add_argument("--days", type=float, default=365, help="days that it works (default: %(default)s)")
    create.set_defaults(run=_create)

    listing = actions.add_parser("list", parents=[shared], help="list the keys")
    listing.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", parents=[shared], help="make a key useless at once")
    revoke.add_argument("name", help="what the key is called")
    revoke.set_defaults(run=_revoke)


def _create(options: argparse.Namespace) -> int:
    keys, token = _keys(options), token_of(secrets.token_bytes(SECRET_BYTES))
    if any(key.name == options.name for key in keys.list()):
        return _refuse(f"there is a key '{options.name}' already: revoke it, or choose another name")
    try:
        key = ApiKey(
            key_id=key_id_of(token),
            name=options.name,
            services=tuple(filter(None, map(str.strip, options.services.split(",")))),
            max_tile_count=options.max_tiles,
            expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=options.days),
        )
    except (ValueError, OverflowError) as error:
        return _refuse(str(error))
    keys.put(key)
    print(token)  # alone on standard output, for a pipe
    print(f"{key.name} works until {key.expires_at:%Y-%m-%d %H:%M} UTC. The token is not shown again.", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    for key in _keys(options).list():
        state = "expired" if key.expires_at <= datetime.now(UTC) else "until"
        until = f"{state} {key.expires_at:%Y-%m-%d %H:%M} UTC"
        tiles = counted(key.max_tile_count, "tile", "tiles")
        print(f"{key.name:24} {until:29} {tiles:>17}  {','.join(key.services)}")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    keys = _keys(options)
    found = [key for key in keys.list() if key.name == options.name]
    if not found:
        return _refuse(f"there is no key '{options.name}'")
    for key in found:
        keys.delete(key.key_id)
    print(f"Revoked {options.name}.")
    return 0


def _keys(options: argparse.Namespace) -> ApiKeys:
    return ApiKeys(tile_bucket(options))


def _refuse(reason: str) -> int:
    print(f"exporttiles: {reason}", file=sys.stderr)
    return 1
